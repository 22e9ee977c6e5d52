"""Computes the features of every bar: each timeframe's indicators on its own bars, joined by closing instants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.other_series import Joined, join_others, other_names
from ktrdr.features.sources import Series, log_returns, source_series
from ktrdr.features.timeframes import latest_closed
from ktrdr.market.closings import closes_at
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.sessions import Instants
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.sections.indicators import IndicatorEntry
    from ktrdr.strategy.spec import Strategy

RETURNS = "log_return"

# A longer pause after the newest closed bar means that bars are missing; holidays are shorter.
_MAX_PAUSE = np.timedelta64(7, "D")
_MAX_PAUSE_BARS = 4


Build = Callable[["Strategy", "SymbolBars"], "Columns"]
"""Computes the features of one symbol, as `build_features` does."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The unscaled features of every base bar.

    values: [rows, features], NaN in the first `warmup` rows
    names: [features]
    warmup: rows without all features; more than `rows` when there are too few bars
    restarts: the first row after each later hole, and the first row from it on that has all features
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    warmup: int
    restarts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, values: NDArray[np.float64], names: tuple[str, ...], gaps: Iterable[tuple[int, int]]) -> Self:
        """Each of the `gaps` is its first row and the first row behind it; one of them begins with row 0."""
        warmup, restarts = 0, list[tuple[int, int]]()
        for begin, end in sorted(gaps):
            if begin <= warmup:
                warmup = max(warmup, end)
            else:
                restarts.append((begin, max(end, restarts[-1][1] if restarts else warmup)))
        values[:warmup] = np.nan
        return cls(values, names, warmup, tuple(restarts))

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        return ((0, self.warmup), *self.restarts)

    def beside(self, names: tuple[str, ...], joined: Joined) -> Columns:
        """These and the `joined` features, where all of them may be used."""
        edges = np.flatnonzero(np.diff(~joined.is_known, prepend=False, append=False)).tolist()
        gaps = zip(edges[::2], edges[1::2], strict=True)
        values = np.concatenate([self.values, joined.values], axis=1)
        return Columns.of(values, (*self.names, *names), (*self.gaps, *gaps))

    def first_rows(self) -> NDArray[np.int64]:
        """[rows], the first row that a window may hold which ends at each row; a later one where it has no features."""
        first = np.full(len(self.values), self.warmup, np.int64)
        for begin, ready in self.restarts:
            first[begin:] = ready
        return first


def build_features(strategy: Strategy, bars: SymbolBars) -> Columns:
    """Compute one symbol's features on the bars of the base timeframe, `strategy.timeframes[0]`.

    Raises TrainingDataError when required bars of another timeframe are missing.
    """
    base = strategy.timeframes[0]
    closes = closes_at(bars[base], base, strategy.calendar)
    own = _build_own(strategy, bars, closes)
    names = other_names(strategy)
    return own.beside(names, join_others(strategy, bars.others, closes)) if names else own


def _build_own(strategy: Strategy, bars: SymbolBars, closes: Instants) -> Columns:
    """The features of the symbol's own bars."""
    base, names = strategy.timeframes[0], own_names(strategy)
    values = np.empty((len(closes), len(names)), order="F")
    place, warmup = 0, 0
    for timeframe in strategy.timeframes:
        own = _own_columns(strategy, timeframe, bars[timeframe])
        own_warmup = _warmup(strategy, timeframe)
        if timeframe == base:
            warmup = max(warmup, own_warmup)
            for column in own:
                values[:, place] = column
                place += 1
            continue
        other_closes = closes_at(bars[timeframe], timeframe, strategy.calendar)
        rows = latest_closed(closes, other_closes)
        warmup = max(warmup, int(np.searchsorted(rows, own_warmup)))
        _check_pauses(timeframe, base, rows[warmup:], other_closes, closes[warmup:])
        for column in own:
            values[:, place] = column[np.maximum(rows, 0)] if len(column) else np.nan
            place += 1
    values[:warmup] = np.nan
    return Columns(values, names, warmup)


def feature_names(strategy: Strategy) -> tuple[str, ...]:
    """The columns of `build_features`, in order: those of the own bars, of other symbols' bars, and of tables."""
    return (*own_names(strategy), *other_names(strategy))


def own_names(strategy: Strategy) -> tuple[str, ...]:
    """The features of the own bars, in order. The base timeframe's keep their names; others get @1d etc."""
    catalogue = IndicatorCatalogue()
    return tuple(
        name if timeframe == strategy.timeframes[0] else f"{name}@{timeframe}"
        for timeframe in strategy.timeframes
        for name in (
            *((RETURNS,) if strategy.features.returns else ()),
            *(name for indicator in _indicators(strategy, timeframe) for name in catalogue.feature_names(indicator)),
        )
    )


def _own_columns(strategy: Strategy, timeframe: Timeframe, frame: pl.DataFrame) -> Iterator[Series]:
    """The features of one timeframe, computed on its own bars."""
    catalogue = IndicatorCatalogue()
    close = source_series(frame, "close")
    if strategy.features.returns:
        yield log_returns(close)
    own = _indicators(strategy, timeframe)
    for indicator, computed in zip(own, catalogue.compute_all(own, frame), strict=True):
        for feature in catalogue.features(indicator):
            yield feature.scale.apply(computed[feature.name], close)


def _indicators(strategy: Strategy, timeframe: Timeframe) -> list[IndicatorEntry]:
    own = (each for each in strategy.indicators if not each.symbol)
    return [each for each in own if timeframe in each.timeframes_in(strategy.timeframes)]


def _warmup(strategy: Strategy, timeframe: Timeframe) -> int:
    """Leading bars of one timeframe on which at least one feature is undefined."""
    catalogue = IndicatorCatalogue()
    own = _indicators(strategy, timeframe)
    return max([int(strategy.features.returns), *(catalogue.warmup(each) for each in own)])


def _check_pauses(
    timeframe: Timeframe,
    base: str,
    rows: NDArray[np.int64],
    other_closes: NDArray[np.datetime64],
    closes: NDArray[np.datetime64],
) -> None:
    """Refuse values that are carried forward too long, because the bars after them must be missing."""
    if not len(rows):
        return
    longest = _MAX_PAUSE + _MAX_PAUSE_BARS * np.timedelta64(timeframe.length)
    late = closes - other_closes[rows] > longest
    if late.any():
        row = int(np.argmax(late))
        raise TrainingDataError(
            f"no {timeframe} bar follows the one that closed at {other_closes[rows[row]]}Z, while {base} bars go on: "
            f"{int(late.sum()):,} of these come too late after it, the first at {closes[row]}Z.",
            hint=f"Load the missing {timeframe} bars, or train on the range that both cover.",
            timeframe=timeframe,
        )
