"""Faults of a file's rows, by the lines in which an editor shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import polars as pl

from ktrdr.errors import BarsError
from ktrdr.market.bars import SCHEMA, VALUES, find_faults
from ktrdr.market.files.epochs import is_serial_date
from ktrdr.market.files.numbers import is_empty
from ktrdr.market.files.table import PLACE, Table, described

_PLACES_NAMED = 5
_DROP = "leave them out with --bad-rows drop"
# With fewer right rows than this, the file is read wrongly, and no rows are to be left out.
LEAST_RIGHT = 0.5


@dataclass(frozen=True, slots=True)
class FileFault:
    """One kind of fault: how many rows have it, and where the first few of them are."""

    message: str
    count: int
    places: tuple[int, ...]

    def others(self, table: Table) -> str:
        if self.count == 1:
            return ""
        listed = ", ".join(map(str, self.places)) + (", …" if self.count > len(self.places) else "")
        return f" ({self.count:,} such {table.place}s: {listed})"


def shown(faults: Sequence[FileFault], table: Table) -> str:
    """What is wrong with the same rows in one sentence; the text of each line once."""
    messages: dict[tuple[int, tuple[int, ...]], list[FileFault]] = {}
    for fault in faults:
        messages.setdefault((fault.count, fault.places), []).append(fault)
    seen: set[int] = set()
    sentences = []
    for alike in messages.values():
        place = alike[0].places[0]
        where = described(table, place) if place not in seen else f"{table.place} {place}"
        sentences.append(f"{where}: {', '.join(fault.message for fault in alike)}{alike[0].others(table)}")
        seen.add(place)
    return "; ".join(sentences)


def unreadable_cells(rows: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """For each column of bars, which of its cells hold a value that could not be read.

    texts: the cells as they stand in the file
    """
    return pl.DataFrame({name: ~is_empty(texts[name]) & rows[name].is_null() for name in SCHEMA})


def refuse(rows: pl.DataFrame, texts: pl.DataFrame, table: Table) -> None:
    """Raises BarsError naming each kind of fault with its first lines, if there is any."""
    lost = unreadable_cells(rows, texts)
    faults = [
        fault for name in SCHEMA if (fault := _unreadable(name, texts[name], lost[name], rows[PLACE])) is not None
    ]
    if table.surplus:
        faults.append(FileFault(f"more fields than the {table.width} columns", len(table.surplus), table.surplus[:5]))
    is_readable = ~lost.max_horizontal()
    numbered = rows.select(*SCHEMA).with_row_index("row", offset=1).filter(is_readable)
    places = rows[PLACE]
    faults += [
        FileFault(each.message, each.count, tuple(int(places[row - 1]) for row in each.rows))
        for each in find_faults(numbered)
    ]
    if not faults:
        return
    raise BarsError(
        shown(faults, table),
        hint=_hint(texts, lost),
        faults=[asdict(fault) for fault in faults],
    )


def _unreadable(name: str, texts: pl.Series, lost: pl.Series, places: pl.Series) -> FileFault | None:
    rows = lost.arg_true()
    if not len(rows):
        return None
    text = str(texts[rows[0]])[:40]
    what = "a time that can be read" if name == "timestamp" else "a number"
    first = tuple(int(places[row]) for row in rows.head(_PLACES_NAMED))
    return FileFault(f"{name} {text!r} is not {what}", len(rows), first)


def _hint(texts: pl.DataFrame, lost: pl.DataFrame) -> str:
    if lost["timestamp"].any():
        return time_hint(str(texts["timestamp"].filter(lost["timestamp"])[0]))
    if any(lost[name].all() for name in VALUES):
        return "say which column it is with --column, or how its numbers are written with --decimal or --thousands"
    return f"correct these rows, or {_DROP}; nothing was stored"


def time_hint(text: str) -> str:
    """The option that helps with a time that cannot be read."""
    try:
        number = float(text)
    except ValueError:
        return f"say how times are written with --date-format, such as %d/%m/%Y %H:%M; or {_DROP}"
    if is_serial_date(number):
        return "it may be a serial date of Excel: --date-format excel"
    return "digits such as 02012024 need their order: --date-format %d%m%Y"


def named_rows(table: Table, places: Sequence[int]) -> str:
    """Two rows of a contradiction: `line 2, '…' and line 7, '…'`."""
    return " and ".join(described(table, place) for place in places)
