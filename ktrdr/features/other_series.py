"""Features made from other symbols' bars and from tables, joined to the bars of a symbol by what was known.

A bar of another symbol joins the rows that close at or after its own close, as longer timeframes do. It is too old for
a row as soon as a bar that followed it there would leave a hole: see `TradingClock.holes`. Its indicators warm up again
after each hole of their own bars. A row of a table joins the rows that close at or after the instant it was known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.timeframes import latest_closed
from ktrdr.market.closings import opens_at
from ktrdr.market.other_series import OtherBars, SeriesKey, Shortfall
from ktrdr.market.sessions import instant
from ktrdr.market.trading_clock import MOST_MISSING_BARS

if TYPE_CHECKING:
    from ktrdr.market.other_series import OtherSeries
    from ktrdr.market.sessions import Instants
    from ktrdr.market.tables.known_rows import KnownRows
    from ktrdr.strategy.sections.indicators import IndicatorEntry, TableColumn
    from ktrdr.strategy.spec import Strategy

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Joined:
    """Features on the rows of a symbol: values [rows, features], and is_known [rows], where they may be used."""

    values: Values
    is_known: Mask


def other_keys(strategy: Strategy) -> tuple[SeriesKey, ...]:
    """The bars of other symbols that features need, each once."""
    keys = (key for each in strategy.indicators for key in _keys(strategy, each))
    return tuple(dict.fromkeys(keys))


def other_names(strategy: Strategy) -> tuple[str, ...]:
    """The columns of `join_others`, in order; a timeframe that is not the strategy's first is named last."""
    catalogue, base = IndicatorCatalogue(), strategy.timeframes[0]
    return (
        *(
            name if key.timeframe == base else f"{name}@{key.timeframe}"
            for each in strategy.indicators
            for key in _keys(strategy, each)
            for name in catalogue.feature_names(each)
        ),
        *(name for each in strategy.table_columns for name in catalogue.feature_names(each)),
    )


def join_others(strategy: Strategy, others: OtherSeries, closes: Instants) -> Joined:
    """The features of `other_names` on rows that close at `closes`."""
    joined = [
        *(
            _join_bars(each, others.bars[key], closes, bridges_holes=strategy.data.holes == "bridge")
            for each in strategy.indicators
            for key in _keys(strategy, each)
        ),
        *(_join_table(each, others.tables[each.table], closes) for each in strategy.table_columns),
    ]
    return Joined(
        np.concatenate([each.values for each in joined], axis=1),
        np.logical_and.reduce([each.is_known for each in joined]),
    )


def find_shortfalls(
    strategy: Strategy, others: OtherSeries, opens: Instants, closes: Instants
) -> tuple[Shortfall, ...]:
    """What other series lack for bars that open and close at these instants; a few bars count for nothing."""
    found = [
        *(
            _shortfall(str(key), f"ktrdr data load {key}", ~_is_there(others.bars[key], closes), opens)
            for key in other_keys(strategy)
        ),
        *(
            _shortfall(
                f"table {each.table}",
                f"ktrdr data import-table FILE --known-at COLUMN --name {each.table}",
                ~_join_table(each, others.tables[each.table], closes).is_known,
                opens,
            )
            for each in strategy.table_columns
        ),
    ]
    largest = {each.series: each for each in sorted(found, key=lambda each: each.rows)}
    return tuple(each for each in largest.values() if each.rows > MOST_MISSING_BARS)


def find_late(strategy: Strategy, others: OtherSeries, opens: Instants, closes: Instants) -> tuple[SeriesKey, ...]:
    """Series of the same timeframe that join most bars one bar late, as only a guess says when they close."""
    return tuple(
        key
        for key in other_keys(strategy)
        if key.timeframe == strategy.timeframes[0] and _is_late(others.bars[key], opens, closes)
    )


def _is_late(bars: OtherBars, opens: Instants, closes: Instants) -> bool:
    rows = latest_closed(closes, bars.closes)
    is_there = rows >= 0
    if not bars.clock.calendar.is_guess or not is_there.any():
        return False
    # The other market has a bar that opens with the own one, and has not closed with it.
    has_same = np.isin(opens, opens_at(bars.frame))
    is_older = opens_at(bars.frame)[np.maximum(rows, 0)] < opens
    return bool((is_there & has_same & is_older).sum() > is_there.sum() / 2)


def _shortfall(series: str, mend: str, is_missing: Mask, opens: Instants) -> Shortfall:
    rows = np.flatnonzero(is_missing)
    first, last = (instant(opens[row]) for row in (rows[[0, -1]] if len(rows) else (0, -1)))
    dates = f" --start-date {first:%Y-%m-%d} --end-date {last:%Y-%m-%d}" if "data load" in mend else ""
    return Shortfall(series, f"{mend}{dates}", len(rows), first, last)


def _is_there(bars: OtherBars, closes: Instants) -> Mask:
    rows = latest_closed(closes, bars.closes)
    if not len(bars.closes):
        return rows >= 0
    return (rows >= 0) & ~_is_stale(bars, np.maximum(rows, 0), closes)


def _keys(strategy: Strategy, entry: IndicatorEntry) -> Iterator[SeriesKey]:
    """The other bars that an entry is computed on; none where it has no symbol."""
    if entry.symbol:
        yield from (SeriesKey(entry.symbol, each) for each in entry.timeframes_in(strategy.timeframes))


def _join_bars(entry: IndicatorEntry, bars: OtherBars, closes: Instants, *, bridges_holes: bool) -> Joined:
    values, is_ready = _own_values(entry, bars, bridges_holes=bridges_holes)
    rows = latest_closed(closes, bars.closes)
    is_known = rows >= 0
    if not len(values):
        return Joined(np.full((len(closes), values.shape[1]), np.nan), is_known)
    rows = np.maximum(rows, 0)
    is_known &= is_ready[rows]
    if not bridges_holes:
        is_known &= ~_is_stale(bars, rows, closes)
    return Joined(np.where(is_known[:, None], values[rows], np.nan), is_known)


def _own_values(entry: IndicatorEntry, bars: OtherBars, *, bridges_holes: bool) -> tuple[Values, Mask]:
    """The features on the other bars themselves, and the bars that are past a warm-up."""
    catalogue, opens = IndicatorCatalogue(), opens_at(bars.frame)
    holes = () if bridges_holes else bars.clock.holes(opens)
    warmup = catalogue.warmup(entry)
    values, is_ready = [], np.zeros(len(opens), bool)
    for begin, end in pairwise([0, *(hole.row for hole in holes), len(opens)]):
        columns = catalogue.feature_columns(entry, bars.frame[begin:end])
        values.append(np.stack(list(columns), axis=1))
        is_ready[begin + warmup : end] = True
    return np.concatenate(values), is_ready


def _is_stale(bars: OtherBars, rows: NDArray[np.int64], closes: Instants) -> Mask:
    """Whether a bar is missing for so long, when a row closes, that it is a hole in the other bars."""
    clock = bars.clock
    ends = opens_at(bars.frame)[rows] + clock.length
    stale = closes - ends > np.timedelta64(clock.longest_closure)
    if stale.any():
        stale[stale] = clock.bars_between(ends[stale], closes[stale]) > MOST_MISSING_BARS
    return np.asarray(stale)


def _join_table(column: TableColumn, rows: KnownRows, closes: Instants) -> Joined:
    known = rows.column(column.column)
    values = {"level": known.levels, "change": known.changes, "age": known.ages}[column.value](closes)
    return Joined(values[:, None], np.isfinite(values))
