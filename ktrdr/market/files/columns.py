"""Which column of a file is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ktrdr.errors import BarsError, InputError, nearest
from ktrdr.market.bars import PRICES, SCHEMA
from ktrdr.market.files.headerless import detect_order
from ktrdr.market.files.names import ROLES, fold
from ktrdr.market.files.table import Table
from ktrdr.timeframe import Timeframe

_NAMEABLE = (*SCHEMA, "symbol")


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of a file's columns, from 1.

    clock: the time of day, where it has a column besides the date; None elsewhere
    volume, symbol: None where the file has none
    layout: how they were found, for people
    """

    timestamp: int
    prices: Mapping[str, int]
    clock: int | None = None
    volume: int | None = None
    tick_volume: int | None = None
    symbol: int | None = None
    layout: str = ""

    @property
    def values(self) -> dict[str, int]:
        """Those of the prices, and of the volume where there is one."""
        return {**self.prices, **({"volume": self.volume} if self.volume is not None else {})}


def check_columns(columns: Mapping[str, str]) -> None:
    """Raises InputError unless each key is a column of bars, or `symbol`."""
    for ours in columns:
        if ours not in _NAMEABLE:
            similar = nearest(ours, _NAMEABLE)
            raise InputError(
                f"column {ours[:64]!r} is not one of {', '.join(_NAMEABLE)}",
                hint=f"did you mean {similar!r}?" if similar else "write it as close=Last: ours, then the file's",
            )


def find_columns(table: Table, named: Mapping[str, str], symbol: str, timeframe: Timeframe | None) -> Columns:
    """named: names or positions that the user has given, by our names

    Raises:
        InputError: the user names a column that the file has not.
        BarsError: a column is missing, or two may be meant.
    """
    check_columns(named)
    chosen = {ours: _position(table, ours, theirs) for ours, theirs in named.items()}
    if table.names is None:
        return _by_position(table, chosen, timeframe)
    return _by_name(table, chosen, symbol)


def _position(table: Table, ours: str, theirs: str) -> int:
    names = table.names or ()
    if theirs in names:
        return names.index(theirs) + 1
    if theirs.isdecimal() and 1 <= int(theirs) <= table.width:
        return int(theirs)
    named = [name for name in names if name]
    similar = nearest(theirs, named)
    have = f"it has {', '.join(named[:20])}" if named else f"it has {table.width} columns and no header: give a number"
    raise InputError(
        f"there is no column {theirs!r} to take {ours} from",
        hint=f"did you mean {similar!r}?" if similar else have,
    )


def _by_position(table: Table, chosen: Mapping[str, int], timeframe: Timeframe | None) -> Columns:
    if {"timestamp", *PRICES} <= chosen.keys():
        positions, words = dict(chosen), "no header"
    else:
        detected, words = detect_order(table, timeframe)
        positions = {**detected, **chosen}
    return _columns(positions, words)


def _columns(positions: Mapping[str, int], words: str) -> Columns:
    return Columns(
        positions["timestamp"],
        {name: positions[name] for name in PRICES},
        positions.get("clock"),
        positions.get("volume"),
        positions.get("tick_volume"),
        positions.get("symbol"),
        words,
    )


def _by_name(table: Table, chosen: Mapping[str, int], symbol: str) -> Columns:
    names = table.names or ()
    places = _places(names, table.symbols, symbol)
    positions = {role: place for role, aliases in ROLES.items() if (place := _first(aliases, places)) is not None}
    if "volume" not in positions and (volume := next((p for n, p in places.items() if n.startswith("volume ")), None)):
        positions["volume"] = volume
    if "timestamp" not in positions and "" in names and "timestamp" not in chosen:
        positions["timestamp"] = names.index("") + 1
    if positions.get("clock") == positions.get("timestamp"):
        positions.pop("clock", None)
    if "timestamp" in chosen:
        positions.pop("clock", None)
    positions |= chosen
    _check_complete(positions, names)
    return _columns(positions, "")


def _first(aliases: Sequence[str], places: Mapping[str, int]) -> int | None:
    return next((places[alias] for alias in aliases if alias in places), None)


def _places(names: Sequence[str], symbols: Sequence[str], symbol: str) -> dict[str, int]:
    """Position by folded name; of columns of several symbols, those of the one that is asked for."""
    places: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        folded = fold(name)
        if not folded or (symbols and symbols[place - 1] not in ("", symbol)):
            continue
        if folded in places and names[places[folded] - 1].strip().casefold() == name.strip().casefold():
            continue
        if folded in places and folded in {alias for aliases in ROLES.values() for alias in aliases}:
            raise BarsError(
                f"the columns {names[places[folded] - 1]!r} and {name!r} mean the same",
                hint=f"say which one is meant: --column {_role(folded)}={name!r}",
                columns=list(names[:20]),
            )
        places.setdefault(folded, place)
    return places


def _role(folded: str) -> str:
    role = next(role for role, aliases in ROLES.items() if folded in aliases)
    return role if role in _NAMEABLE else "volume"


def _check_complete(positions: Mapping[str, int], names: Sequence[str]) -> None:
    missing = [name for name in ("timestamp", *PRICES) if name not in positions]
    if not missing:
        return
    shown = ", ".join(name or repr(name) for name in names[:20]) or "none"
    raise BarsError(
        f"no column {', '.join(missing)}; the columns found are {shown}",
        hint=f"say which one it is, by name or by position: --column {missing[0]}=NAME",
        missing=missing,
        columns=list(names[:20]),
    )
