"""Reads what a strategy's features are made of, beside the bars of its symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ktrdr.errors import InputError, SeriesNotFound, TableNotFound, nearest
from ktrdr.features.other_series import other_keys
from ktrdr.market.closings import closes_at
from ktrdr.market.other_series import OtherBars, OtherSeries, SeriesKey
from ktrdr.market.symbol_bars import SymbolBars

if TYPE_CHECKING:
    from ktrdr.market.series_file import StoredBars
    from ktrdr.market.tables.stored_table import StoredTable
    from ktrdr.strategy.spec import Strategy

ReadOther = Callable[[str, str], "StoredBars"]
"""(symbol, timeframe) -> stored bars."""

ReadTable = Callable[[str], "StoredTable"]
"""name -> the stored table."""


def no_tables(name: str) -> StoredTable:
    """Where there are none. Raises TableNotFound."""
    raise TableNotFound(f"no table {name} is stored", hint="import it with: ktrdr data import-table FILE")


def with_other_series(
    strategy: Strategy, bars: Mapping[str, SymbolBars], read_bars: ReadOther, read_table: ReadTable = no_tables
) -> dict[str, SymbolBars]:
    """The bars of each symbol with what its features read beside them, as far as it was known at their last close.

    Raises:
        SeriesNotFound: bars of another symbol are not stored.
        TableNotFound: a table is not stored.
        InputError: there are no such bars in the range, or the table has no such column.
    """
    keys, names = other_keys(strategy), {each.table for each in strategy.table_columns}
    if not (keys or names):
        return dict(bars)
    other_bars = {key: _read(key, read_bars) for key in keys}
    tables = {name: read_table(name) for name in sorted(names)}
    _check_columns(strategy, tables)
    base = strategy.timeframes[0]
    last = max(closes_at(own[base], base, strategy.calendar)[-1] for own in bars.values())
    known = OtherSeries(other_bars).known_at(last)
    return {
        symbol: replace(
            own, others=replace(known, tables={name: each.about(symbol).until(last) for name, each in tables.items()})
        )
        for symbol, own in bars.items()
    }


def _read(key: SeriesKey, read_bars: ReadOther) -> OtherBars:
    try:
        return OtherBars.of(key, read_bars(key.symbol, key.timeframe))
    except SeriesNotFound as missing:
        raise SeriesNotFound(
            f"the strategy's indicators read {key}, and {missing.detail}", hint=missing.hint, **missing.context
        ) from missing


def _check_columns(strategy: Strategy, tables: Mapping[str, StoredTable]) -> None:
    """Raises InputError for a column that a table does not have."""
    for each in strategy.table_columns:
        columns = tables[each.table].columns
        if each.column not in columns:
            similar = nearest(each.column, columns)
            raise InputError(
                f"the table {each.table} has no column {each.column!r} of numbers; it has {', '.join(columns)}",
                hint=f"did you mean {similar!r}?" if similar else f"look at it: ktrdr data tables show {each.table}",
            )
