"""Bars that are stamped at their close and not at their opening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ktrdr.errors import KtrdrError
from ktrdr.market.calendars import choose_calendar
from ktrdr.market.sessions import Instants, Sessions, sessions_of
from ktrdr.timeframe import Timeframe

_MOST = 0.9
_LEAST_SESSIONS = 2


@dataclass(frozen=True, slots=True)
class ClosingStamps:
    """Days whose sessions have a bar at their close and none at their opening.

    example: such a close, on the clock of the exchange
    """

    calendar: str
    days: int
    example: str

    @property
    def note(self) -> str:
        return (
            f"the bars seem to be stamped at their close: {self.days:,} days of {self.calendar} have one at "
            f"{self.example}, when they end, and none when they open; if so, import them with --stamp close --replace"
        )


def to_opening(stamps: pl.Series, timeframe: Timeframe) -> pl.Series:
    """Opening instants of bars that are stamped at their close; one that ends with its session may be shorter."""
    opened = stamps - timeframe.length
    before = stamps.shift(1)
    return pl.select(pl.when(before > opened).then(before).otherwise(opened)).to_series()


def find_closing_stamps(
    stamps: pl.Series, symbol: str, timeframe: Timeframe, named_calendar: str | None = None
) -> ClosingStamps | None:
    """Whether the sessions of the symbol's market say so; None where they do not, or cannot."""
    if timeframe.is_by_date or len(stamps) < _LEAST_SESSIONS:
        return None
    instants = stamps.dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    try:
        calendar = choose_calendar(symbol, timeframe, instants, named_for_symbol=named_calendar).name
        sessions = sessions_of(calendar, instants[0], instants[-1]).between(instants[0], instants[-1])
    except KtrdrError:
        return None
    return None if sessions.is_around_the_clock else _evidence(instants, sessions, timeframe)


def _evidence(instants: Instants, sessions: Sessions, timeframe: Timeframe) -> ClosingStamps | None:
    length = np.timedelta64(timeframe.length)
    opened = to_opening(pl.Series(instants), timeframe).to_numpy()
    place = sessions.place_of(opened, length)
    traded = np.unique(place[place >= 0])
    if len(traded) < _LEAST_SESSIONS or (place >= 0).mean() < _MOST:
        return None
    begins, ends = sessions.opens[traded], sessions.closes[traded]
    is_closing = np.isin(ends, instants) & np.isin(begins, opened) & ~np.isin(begins, instants)
    # The last session may not be over in the file.
    if is_closing.mean() < _MOST:
        return None
    close = pl.Series(sessions.closes[traded][is_closing][:1]).dt.replace_time_zone("UTC")
    example = close.dt.convert_time_zone(sessions.zone).dt.strftime("%H:%M")[0]
    return ClosingStamps(sessions.name, len(np.unique(sessions.dates[traded][is_closing])), str(example))
