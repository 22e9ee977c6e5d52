"""Series that a strategy reads beside a symbol's own bars: bars of other symbols, and tables.

What was known at an instant is cut by closing instants of bars and by the instants at which rows of tables were known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from ktrdr.market.calendars import choose_calendar
from ktrdr.market.closings import closes_at, opens_at
from ktrdr.market.sessions import Instants
from ktrdr.market.trading_clock import TradingClock
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.series_file import StoredBars
    from ktrdr.market.tables.known_rows import KnownRows


class SeriesKey(NamedTuple):
    symbol: str
    timeframe: Timeframe

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe}"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Bars of a symbol that lack another series: it has nothing yet, or nothing that is new enough.

    series: such as `SPY 1d` or `table macro`
    mend: the command that brings what is missing
    rows: how many bars
    first, last: opening instants of the first and the last of them
    """

    series: str
    mend: str
    rows: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, eq=False)
class OtherBars:
    """Bars of another symbol.

    closes: [bars], when each has closed (us, UTC), by the calendar that is named for that symbol
    clock: counts its expected bars; it comes from the whole history, so that a shorter one has the same holes
    provider: who served the bars
    """

    frame: pl.DataFrame
    closes: Instants
    clock: TradingClock
    provider: str = ""

    @classmethod
    def of(cls, key: SeriesKey, stored: StoredBars) -> Self:
        """Without a named calendar a bar lasts its full length: the strategy's calendar is that of its own symbols."""
        calendar = choose_calendar(key.symbol, key.timeframe, opens_at(stored.frame), None, stored.calendar)
        closes = closes_at(stored.frame, key.timeframe)
        return cls(stored.frame, closes, TradingClock(key.timeframe, calendar), stored.provider)

    def known_at(self, instant: np.datetime64) -> OtherBars:
        """The bars that had closed."""
        return self.between(0, self._closed(instant))

    def around(self, first: np.datetime64, last: np.datetime64, memory: int, ahead: int) -> OtherBars:
        """The bars that close between two instants, with `memory` bars before and `ahead` bars after them."""
        return self.between(max(0, self._closed(first) - memory), self._closed(last) + ahead)

    def between(self, begin: int, end: int) -> OtherBars:
        return replace(self, frame=self.frame[begin:end], closes=self.closes[begin:end])

    def _closed(self, instant: np.datetime64) -> int:
        return int(np.searchsorted(self.closes, instant, "right"))


@dataclass(frozen=True, slots=True, eq=False)
class OtherSeries:
    """What one symbol's features read beside its own bars.

    bars: of other symbols
    tables: by name, the rows that are about the symbol
    """

    bars: Mapping[SeriesKey, OtherBars] = field(default_factory=dict)
    tables: Mapping[str, KnownRows] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.bars or self.tables)

    def known_at(self, instant: np.datetime64) -> OtherSeries:
        return self if not self else OtherSeries(self._bars_known_at(instant), self._tables_known_at(instant))

    def with_bars_known_at(self, instant: np.datetime64) -> OtherSeries:
        """All rows of tables, and the bars that had closed."""
        return OtherSeries(self._bars_known_at(instant), self.tables)

    def around(self, first: np.datetime64, last: np.datetime64, memory: int, ahead: int) -> OtherSeries:
        """All rows of tables, and the bars about two instants, as `OtherBars.around` has them."""
        return OtherSeries(
            {key: bars.around(first, last, memory, ahead) for key, bars in self.bars.items()}, self.tables
        )

    def events(self) -> list[Instants]:
        """For each series the instants from which on more of it is known."""
        return [*(bars.closes for bars in self.bars.values()), *(rows.known_at for rows in self.tables.values())]

    def _bars_known_at(self, instant: np.datetime64) -> dict[SeriesKey, OtherBars]:
        return {key: bars.known_at(instant) for key, bars in self.bars.items()}

    def _tables_known_at(self, instant: np.datetime64) -> dict[str, KnownRows]:
        return {name: rows.until(instant) for name, rows in self.tables.items()}
