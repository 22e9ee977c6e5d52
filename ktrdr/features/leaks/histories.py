"""The bars that were known at an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.closings import closes_at, opens_at
from ktrdr.market.other_series import OtherSeries
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Strategy

Instants = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class History:
    """One symbol's bars of every timeframe, or a stretch of them. Rows count bars of the base timeframe.

    frames: bars by timeframe
    base: the shortest timeframe
    opens, closes: [bars], instants (us, UTC) by timeframe
    series: what features read beside these bars
    """

    frames: Mapping[str, pl.DataFrame]
    base: str
    opens: Mapping[str, Instants]
    closes: Mapping[str, Instants]
    series: OtherSeries = field(default_factory=OtherSeries)

    @classmethod
    def of(cls, strategy: Strategy, bars: SymbolBars) -> History:
        used: dict[str, pl.DataFrame] = {timeframe: bars[timeframe] for timeframe in strategy.timeframes}
        opens = {timeframe: opens_at(frame) for timeframe, frame in used.items()}
        closes = {each: closes_at(frame, Timeframe(each), strategy.calendar) for each, frame in used.items()}
        return cls(used, strategy.timeframes[0], opens, closes, bars.others)

    @property
    def rows(self) -> int:
        return len(self.opens[self.base])

    @property
    def others(self) -> list[str]:
        return [each for each in self.frames if each != self.base]

    def closed_at(self, row: int) -> np.datetime64:
        return np.datetime64(self.closes[self.base][row])

    def closed_bars(self, timeframe: str, row: int) -> int:
        """The number of bars of a timeframe that had closed by the close of base bar `row`."""
        return int(np.searchsorted(self.closes[timeframe], self.closed_at(row), "right"))

    @property
    def bars(self) -> SymbolBars:
        """All of them, with the other series."""
        return SymbolBars(self.frames, others=self.series)

    def until(self, row: int, series: OtherSeries | None = None) -> SymbolBars:
        """The bars that had closed by the close of bar `row`, and what was known then of other series, or `series`."""
        others = {each: self.frames[each].head(self.closed_bars(each, row)) for each in self.others}
        known = {self.base: self.frames[self.base].head(row + 1), **others}
        return SymbolBars(known, others=self.series.known_at(self.closed_at(row)) if series is None else series)

    def until_with_open_bars(self, row: int) -> SymbolBars | None:
        """The closed bars and the longer bars still open, built from the base bars so far; None without open bars."""
        closed = self.until(row)
        opened = {each: bar for each in self.others if (bar := self._open_bar(each, row)) is not None}
        return closed.map(lambda each, bars: bars.vstack(opened[each]) if each in opened else bars) if opened else None

    def opened_since(self, timeframe: str, row: int) -> int | None:
        """The first base row inside the longer bar that was open at the close of bar `row`; None without one."""
        place, opens = self.closed_bars(timeframe, row), self.opens[timeframe]
        if place == len(opens) or opens[place] >= self.closed_at(row):
            return None
        first = int(np.searchsorted(self.opens[self.base], opens[place]))
        return first if first <= row else None

    def stretch(self, first: int, last: int, memory: int, ahead: int) -> History:
        """Base bars `first` to `last`, with `memory` bars before and `ahead` bars after them in other timeframes."""
        spans = {self.base: (first, last + 1)}
        for timeframe in self.others:
            opened = int(np.searchsorted(self.opens[timeframe], self.closed_at(last)))
            spans[timeframe] = (max(0, self.closed_bars(timeframe, first) - memory), opened + ahead)
        return History(
            {each: self.frames[each].slice(begin, end - begin) for each, (begin, end) in spans.items()},
            self.base,
            {each: self.opens[each][begin:end] for each, (begin, end) in spans.items()},
            {each: self.closes[each][begin:end] for each, (begin, end) in spans.items()},
            self.series.around(self.closed_at(first), self.closed_at(last), memory, ahead),
        )

    def _open_bar(self, timeframe: str, row: int) -> pl.DataFrame | None:
        import polars as pl

        if (first := self.opened_since(timeframe, row)) is None:
            return None
        opened = self.frames[timeframe].slice(self.closed_bars(timeframe, row), 1)
        bar = self.frames[self.base].slice(first, row + 1 - first)
        return opened.with_columns(
            open=pl.lit(bar["open"][0]),
            high=pl.lit(bar["high"].max()),
            low=pl.lit(bar["low"].min()),
            close=pl.lit(bar["close"][-1]),
            volume=pl.lit(bar["volume"].sum()),
        )
