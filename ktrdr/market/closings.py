"""When bars close: by their length, by the clock of their days, or with the session of their market.

A frame of bars may hold three more columns of instants [us, UTC], which travel with its rows:

    opens_at, closes_at     of days and weeks whose source says when they open
    session_close           the close of the session that ends a bar, by the calendar that is stored with the series
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.market.bars import SCHEMA
from ktrdr.market.days import DayClock
from ktrdr.market.sessions import Instants, sessions_of
from ktrdr.timeframe import Timeframe

INSTANTS = ("opens_at", "closes_at", "session_close")

_EARLIEST, _LATEST = np.datetime64("1970-01-01", "us"), np.datetime64("2049-12-31", "us")


def with_instants(
    frame: pl.DataFrame, timeframe: Timeframe, clock: DayClock | None, calendar: str | None
) -> pl.DataFrame:
    """The bars, with the columns that tell more of their instants than their timestamps do."""
    stamps, columns = _instants(frame["timestamp"]), dict[str, Instants]()
    if clock is not None and timeframe.is_by_date:
        columns["opens_at"] = clock.opens(stamps)
        columns["closes_at"] = clock.closes(stamps, np.timedelta64(timeframe.length))
    if calendar is not None:
        columns["session_close"] = session_closes(stamps, timeframe, calendar)
    if not columns:
        return frame
    utc = SCHEMA["timestamp"]
    return frame.with_columns(pl.Series(name, values, dtype=utc) for name, values in columns.items())


def without_instants(frame: pl.DataFrame) -> pl.DataFrame:
    """The plain bars; days and weeks stand at the instants at which they open, where those are known."""
    stamped = frame.with_columns(timestamp="opens_at") if "opens_at" in frame.columns else frame
    return stamped.drop(INSTANTS, strict=False)


def opens_at(frame: pl.DataFrame) -> Instants:
    """The instants [us, UTC] at which bars open."""
    return _instants(frame["opens_at"] if "opens_at" in frame.columns else frame["timestamp"])


def closes_at(frame: pl.DataFrame, timeframe: Timeframe, calendar: str | None = None) -> Instants:
    """The instants [us, UTC] at which bars have closed.

    A bar lasts its timeframe's length. With a calendar, the named one or that of the series, it ends with its session
    where that is earlier: the last hour of a session, a day, and a week end at a session's close. The calendar knows
    half days and daylight saving. A bar outside the sessions lasts its full length, so no bar closes too early.

    Raises InputError when the calendar cannot be built.
    """
    stamps = _instants(frame["timestamp"])
    full = _instants(frame["closes_at"]) if "closes_at" in frame.columns else stamps + np.timedelta64(timeframe.length)
    if calendar:
        ends = session_closes(stamps, timeframe, calendar)
    elif "session_close" in frame.columns:
        ends = _instants(frame["session_close"])
    else:
        return full
    return np.where((ends > stamps) & (ends < full), ends, full)


def closed_by(frame: pl.DataFrame, timeframe: Timeframe, now: datetime, calendar: str | None = None) -> pl.DataFrame:
    """The bars that have closed by `now`."""
    closes = closes_at(frame, timeframe, calendar)
    return frame.head(int(np.searchsorted(closes, np.datetime64(now.replace(tzinfo=None), "us"), "right")))


def session_closes(stamps: Instants, timeframe: Timeframe, calendar: str) -> Instants:
    """The close of the session in which each bar ends, NaT where no session says so.

    Raises InputError when the calendar cannot be built.
    """
    sessions = _load_days(calendar)
    if sessions is None:
        return np.full(len(stamps), np.datetime64("NaT", "us"))
    if not timeframe.is_by_date:
        return sessions.close_of(np.searchsorted(sessions.opens, stamps, "right") - 1)
    # Bars of days and weeks are stamped with the midnight of a date, as sessions are.
    return sessions.close_of(np.searchsorted(sessions.dates, stamps + np.timedelta64(timeframe.length), "left") - 1)


@dataclass(frozen=True, slots=True)
class _Days:
    """Whole sessions, without lunch breaks: a bar that spans a break has not closed at its beginning.

    Every array is [sessions]: dates at midnight, opening and closing instants (us, UTC).
    """

    dates: Instants
    opens: Instants
    closes: Instants

    def close_of(self, places: NDArray[np.int64]) -> Instants:
        return np.where(places >= 0, self.closes[np.maximum(places, 0)], np.datetime64("NaT", "us"))


@lru_cache(maxsize=16)
def _load_days(calendar: str) -> _Days | None:
    """Every session of the calendar; None where trading never pauses. Cached, as it is slow to make."""
    sessions = sessions_of(calendar, _EARLIEST, _LATEST)
    if sessions.is_around_the_clock:
        return None
    days = sessions.days
    first, last = (np.searchsorted(sessions.dates, days, side) for side in ("left", "right"))
    return _Days(days, sessions.opens[first], sessions.closes[last - 1])


def _instants(stamps: pl.Series) -> Instants:
    return stamps.to_numpy().astype("datetime64[us]", copy=False)
