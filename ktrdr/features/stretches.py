"""Divides a symbol's bars at their holes, so that no indicator, window or label bridges one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.columns import Build, Columns
from ktrdr.features.labels.label import Measure, Measured
from ktrdr.features.timeframes import latest_closed
from ktrdr.market.calendars import choose_calendar
from ktrdr.market.closings import closes_at
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.trading_clock import TradingClock
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]
Instants = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bars without a hole: rows `begin` to `end` (exclusive) of the base timeframe, and the bars of all timeframes."""

    begin: int
    end: int
    bars: SymbolBars


@dataclass(frozen=True, slots=True)
class Divider:
    """Divides the bars of one symbol.

    clocks: by timeframe; they come from the whole history, so that a shorter one is divided at the same holes
    bridges_holes: whether the strategy lets everything bridge holes; then there is one stretch
    """

    clocks: Mapping[Timeframe, TradingClock]
    bridges_holes: bool

    @classmethod
    def of(cls, strategy: Strategy, symbol: str, bars: SymbolBars) -> Divider:
        clocks = {timeframe: clock_for(strategy, symbol, bars, timeframe) for timeframe in strategy.timeframes}
        return cls(clocks, strategy.data.holes == "bridge")

    def features(self, build: Build) -> Build:
        """`build`, applied to each stretch by itself: every indicator warms up again after a hole."""

        def build_by_stretch(strategy: Strategy, bars: SymbolBars) -> Columns:
            stretches = self._stretches(strategy, bars)
            if len(stretches) == 1:
                return build(strategy, bars)
            return _joined(stretches, [build(strategy, stretch.bars) for stretch in stretches])

        return build_by_stretch

    def labels(self, measure: Measure) -> Measure:
        """`measure`, applied to each stretch by itself: no label is settled beyond a hole."""

        def measure_by_stretch(spec: Any, bars: pl.DataFrame) -> Measured:
            begins = self._begins(next(iter(self.clocks)), opens_of(bars))
            if len(begins) == 1:
                return measure(spec, bars)
            ends = [*begins[1:], bars.height]
            parts = [measure(spec, bars.slice(begin, end - begin)) for begin, end in zip(begins, ends, strict=True)]
            settled = [
                np.where(part.known, part.settled + begin, -1) for part, begin in zip(parts, begins, strict=True)
            ]
            return Measured(np.concatenate([part.values for part in parts]), np.concatenate(settled))

        return measure_by_stretch

    def _begins(self, timeframe: Timeframe, opens: Instants) -> list[int]:
        """The first row of each stretch of one timeframe."""
        if self.bridges_holes:
            return [0]
        return [0, *(hole.row for hole in self.clocks[timeframe].holes(opens))]

    def _stretches(self, strategy: Strategy, bars: SymbolBars) -> list[Stretch]:
        """A stretch ends at a hole of the base timeframe, and where the first bar after another's hole has closed."""
        base, *others = strategy.timeframes
        opens = {timeframe: opens_of(bars[timeframe]) for timeframe in strategy.timeframes}
        closes = {each: closes_at(bars[each], each, strategy.calendar) for each in strategy.timeframes}
        begins = set(self._begins(base, opens[base]))
        for other in others:
            closed = closes[other][self._begins(other, opens[other])[1:]]
            begins.update(np.searchsorted(closes[base], closed).tolist())
        rows = len(opens[base])
        first, *more = sorted(begin for begin in begins if begin < max(1, rows))
        if not more:
            return [Stretch(first, rows, bars)]

        def between(begin: int, end: int) -> SymbolBars:
            own: dict[str, pl.DataFrame] = {base: bars[base].slice(begin, end - begin)}
            for other in others:
                span = opens[base][begin], closes[base][begin]
                own[other] = bars[other].slice(self._since(other, opens[other], closes[other], *span))
            return replace(bars, frames=own)

        ends = [*more, rows]
        return [Stretch(begin, end, between(begin, end)) for begin, end in zip([first, *more], ends, strict=True)]

    def _since(
        self, other: Timeframe, opens: Instants, closes: Instants, opened: np.datetime64, closed: np.datetime64
    ) -> int:
        """The first bar of another timeframe that a stretch may use whose first bar spans `opened` to `closed`."""
        newest = int(latest_closed(np.array([closed]), closes)[0])
        if newest < 0:
            return 0
        last_begin = self._begins(other, opens[: newest + 1])[-1]
        is_after_hole = len(self._begins(other, np.array([opens[newest], max(opens[newest], opened)]))) > 1
        return newest + 1 if is_after_hole else last_begin


def clock_for(strategy: Strategy, symbol: str, bars: SymbolBars, timeframe: Timeframe) -> TradingClock:
    """The clock of one timeframe: by the strategy's calendar, or else the symbol's, or else a guess."""
    opens = opens_of(bars[timeframe])
    chosen = choose_calendar(symbol, timeframe, opens, strategy.calendar, bars.calendar, asker="the strategy")
    return TradingClock(timeframe, chosen)


def opens_of(frame: pl.DataFrame) -> Instants:
    return frame["timestamp"].to_numpy().astype("datetime64[us]", copy=False)


def _joined(stretches: list[Stretch], columns: list[Columns]) -> Columns:
    """The features of all stretches. A stretch that is shorter than its warm-up has none."""
    gaps = [
        (stretch.begin + begin, min(stretch.begin + ready, stretch.end))
        for stretch, each in zip(stretches, columns, strict=True)
        for begin, ready in each.gaps
    ]
    return Columns.of(np.concatenate([each.values for each in columns]), columns[0].names, gaps)
