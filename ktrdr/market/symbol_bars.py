"""One symbol's bars of several timeframes, with the calendar of its market."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ktrdr.market.other_series import OtherSeries

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.series_file import StoredBars


@dataclass(frozen=True, slots=True, eq=False)
class SymbolBars(Mapping[str, "pl.DataFrame"]):
    """One symbol's checked bars by timeframe.

    calendar: the one that is named for the symbol, None where none is
    others: series that features read beside these bars
    """

    frames: Mapping[str, pl.DataFrame]
    calendar: str | None = None
    others: OtherSeries = field(default_factory=OtherSeries)

    @classmethod
    def of(cls, stored: Mapping[str, StoredBars]) -> SymbolBars:
        """The bars of `stored` series of one symbol, by timeframe."""
        calendar = next((series.calendar for series in stored.values()), None)
        return cls({timeframe: series.frame for timeframe, series in stored.items()}, calendar)

    def map(self, change: Callable[[str, pl.DataFrame], pl.DataFrame]) -> SymbolBars:
        """The bars after `change(timeframe, bars)`, with the same calendar and the same other series."""
        return replace(self, frames={timeframe: change(timeframe, frame) for timeframe, frame in self.items()})

    def __getitem__(self, timeframe: str) -> pl.DataFrame:
        return self.frames[timeframe]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)
