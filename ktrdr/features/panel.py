"""The data that all folds of a training share: each symbol's features, measured labels and candidates for samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.checks import check_candidates, check_finite, check_length, check_other_series
from ktrdr.features.columns import Build, Columns, build_features
from ktrdr.features.labels.label import Measured
from ktrdr.features.labels.types import label_of
from ktrdr.features.other_series import find_late, find_shortfalls
from ktrdr.features.splits import Timeline
from ktrdr.features.stretches import Divider, opens_of
from ktrdr.market.closings import closes_at
from ktrdr.market.other_series import SeriesKey, Shortfall
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.trading_clock import TradingClock

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SymbolSeries:
    """One symbol's bars of the base timeframe, before any split. Rows count from its first bar.

    columns: unscaled features
    measured: label measures, and the bars that settle them
    newest_settled: [rows], newest row whose label is settled at the row's close; -1 where there is none
    timeline: the instants of its bars, and the rows at which a sample may end
    clock: the calendar of its bars
    shortfalls: what other series lack for its bars
    late: other series that join its bars a bar late
    """

    symbol: str
    columns: Columns
    measured: Measured
    newest_settled: Rows
    timeline: Timeline
    clock: TradingClock
    shortfalls: tuple[Shortfall, ...] = ()
    late: tuple[SeriesKey, ...] = ()

    @property
    def kept_rows(self) -> int:
        """Rows after the warm-up."""
        return max(0, len(self.columns.values) - self.columns.warmup)


@dataclass(frozen=True, slots=True)
class Panel:
    """All symbols of a training, in order. Independent of the fold."""

    strategy: Strategy
    series: tuple[SymbolSeries, ...]

    @property
    def may_leave_out(self) -> bool:
        """Whether a fold may leave a symbol out: there are other folds and other symbols."""
        return may_leave_out(self.strategy, len(self.series))


def may_leave_out(strategy: Strategy, symbols: int) -> bool:
    return strategy.validation.type != "holdout" and symbols > 1


def build_panel(strategy: Strategy, bars: Mapping[str, SymbolBars], build: Build = build_features) -> Panel:
    """Compute features and label measures. `bars` maps each symbol to its checked bars of every timeframe.

    Raises TrainingDataError when there are too few bars, or when a feature is not finite.
    """
    if not bars:
        raise TrainingDataError("No symbols to train on.")
    is_strict = not may_leave_out(strategy, len(bars))
    panel = Panel(
        strategy, tuple(_series(strategy, symbol, frames, build, is_strict) for symbol, frames in bars.items())
    )
    check_candidates({one.symbol: len(one.timeline.rows) for one in panel.series})
    return panel


def _series(strategy: Strategy, symbol: str, frames: SymbolBars, build: Build, is_strict: bool) -> SymbolSeries:
    base = strategy.timeframes[0]
    divider = Divider.of(strategy, symbol, frames)
    try:
        columns = divider.features(build)(strategy, frames)
    except TrainingDataError as error:
        raise TrainingDataError(f"{symbol}: {error.detail}", hint=error.hint, symbol=symbol, **error.context) from error
    opens, closes = opens_of(frames[base]), closes_at(frames[base], base, strategy.calendar)
    shortfalls = find_shortfalls(strategy, frames.others, opens, closes)
    check_other_series(symbol, shortfalls, len(opens))
    if is_strict or not len(opens):
        check_length(strategy, symbol, len(opens), columns.warmup)
    check_finite(symbol, columns, opens)
    measured = divider.labels(label_of(strategy.labels).measure)(strategy.labels, frames[base])
    newest = measured.newest_settled()
    window_begins = np.arange(len(opens)) - (strategy.model.sequence_length - 1)
    is_candidate = (measured.settled >= 0) & (newest >= 0) & (window_begins >= columns.first_rows())
    rows = np.flatnonzero(is_candidate).astype(np.int64)
    timeline = Timeline(opens, closes, rows, measured.settled[rows])
    late = find_late(strategy, frames.others, opens, closes)
    return SymbolSeries(symbol, columns, measured, newest, timeline, divider.clocks[base], shortfalls, late)
