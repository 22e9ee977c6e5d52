"""The trading date of a daily or weekly bar, and the instants at which it opens and closes.

The timestamp of such a bar is its trading date at 00:00 UTC, so that symbols join by date. Where a source stamps its
bars with instants, the series also holds a DayClock, from which opening and closing instants follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.market.bars import SCHEMA
from ktrdr.market.calendars import choose_calendar
from ktrdr.market.sessions import (
    DAY,
    NEW_YORK,
    Instants,
    Sessions,
    sessions_if_known,
    to_local,
    to_utc,
)
from ktrdr.payloads.data import CalendarChoice
from ktrdr.timeframe import Timeframe

_NOON = np.timedelta64(12 * 3_600_000_000, "us")
_FX_CLOSE = np.timedelta64(17 * 3_600_000_000, "us")
# A date label that a calendar contradicts more often than this is wrong.
_HOLIDAYS = 0.05
_FIRST_DATE, _DATES = np.datetime64("1970-01-01", "us"), 40_000
_CLOCK = re.compile(r"(\d{2}):(\d{2}):(\d{2}(?:\.\d+)?)( of the day before)? (\S+)")


@dataclass(frozen=True, slots=True)
class DayClock:
    """When the days of a series open.

    time: time of day on the clock of `zone`, since midnight
    zone: name of a time zone
    is_eve: whether a day opens on the date before its trading date, as 17:00 in New York does in foreign exchange
    """

    time: np.timedelta64
    zone: str = "UTC"
    is_eve: bool = False

    @classmethod
    def parse(cls, text: str) -> DayClock:
        """Read what `str` writes. Raises ValueError."""
        if (parts := _CLOCK.fullmatch(text)) is None:
            raise ValueError(f"{text!r} does not tell how days open")
        hours, minutes, seconds, eve, zone = parts.groups()
        time = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
        return cls(np.timedelta64(time), zone, bool(eve))

    def __str__(self) -> str:
        return f"{_time_of_day(self.time)}{' of the day before' if self.is_eve else ''} {self.zone}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DayClock) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def short(self) -> str:
        """As messages show it, such as `17:00 America/New_York`."""
        return f"{_short(self.time)} {self.zone}"

    @property
    def note(self) -> str:
        return f"its days open at {self.short}{', and count for the next date' if self.is_eve else ''}"

    def opens_on(self, dates: Instants) -> bool:
        """Whether each of these days opens on its own date in UTC."""
        return bool((_midnights(self.opens(dates)) == dates).all())

    def opens(self, dates: Instants) -> Instants:
        """Opening instants [us, UTC] of the days with these trading dates."""
        places = (dates - _FIRST_DATE) // DAY
        is_listed = (places >= 0) & (places < _DATES) & (_FIRST_DATE + places * DAY == dates)
        return _listed_opens(self)[places] if is_listed.all() else self._opens(dates)

    def _opens(self, dates: Instants) -> Instants:
        return to_utc(dates - self.is_eve * DAY + self.time, self.zone)

    def closes(self, dates: Instants, length: np.timedelta64) -> Instants:
        """Closing instants [us, UTC]: never before opening + `length`, nor before the clock shows the opening again."""
        return np.maximum(self.opens(dates) + length, self.opens(dates + length))


@lru_cache(maxsize=16)
def _listed_opens(clock: DayClock) -> Instants:
    """The openings of _DATES days from _FIRST_DATE on: many symbols share them, and time zones are slow."""
    return clock._opens(_FIRST_DATE + np.arange(_DATES) * DAY)


DAYS_OF_UTC = DayClock(np.timedelta64(0, "us"))
"""How days open of which only the date is known."""


@dataclass(frozen=True, slots=True)
class TradingDays:
    """The trading dates of a daily or weekly series.

    dates: 00:00 UTC of each trading date, in the order of the instants
    clock: how its days open; None where only dates are known
    """

    dates: pl.Series
    clock: DayClock | None

    @property
    def note(self) -> str:
        return self.clock.note if self.clock else ""


def trading_days(
    instants: pl.Series,
    symbol: str,
    timeframe: Timeframe,
    *,
    dates: pl.Series | bool = False,
    zone: str = "",
    calendar: str | None = None,
) -> TradingDays:
    """Find the trading date of each instant at which a source says that a day (or a week) opens.

    The date is the exchange's where a calendar speaks for one: that of the session that the instant lies in or before.
    Otherwise it is the date at the middle of its 24 hours, by the clock of `zone` or by the one that the instants
    agree on: UTC's, the exchange's, or New York's.

    instants: stamps [us, UTC] without nulls
    dates: which of the stamps were dates without a time of day; they stay that date
    zone: the time zone that the user has named, or in which all stamps are written, or none
    calendar: the calendar that the user has named, or None for a guess

    Raises InputError, which names two rows, when the instants agree on no opening time.
    """
    stamps = instants.cast(SCHEMA["timestamp"]).to_physical().to_numpy().view("datetime64[us]")
    flags = np.full(len(stamps), dates) if isinstance(dates, bool) else dates.to_numpy()
    if (stamps.astype(np.int64) % int(DAY.astype(np.int64)) == 0).all() or flags.all():
        clock = DayClock(np.timedelta64(0, "us"), zone) if zone not in ("", "UTC") and flags.all() else None
        return TradingDays(_series(_midnights(stamps)), clock)
    # The weekday of a day is that of its middle: one that opens on a Sunday evening is Monday's.
    chosen = choose_calendar(symbol, timeframe, np.add(stamps, _NOON), calendar)
    sessions = sessions_if_known(chosen.name, stamps.min(), stamps.max())
    timed = stamps[~flags]
    clock = _clock(timed, zone, sessions)
    if clock is None:
        days = _session_dates(timed, chosen, sessions)
        if days is None:
            raise _contradiction(stamps, flags, zone, sessions)
    else:
        days = _midnights(to_local(timed, clock.zone)) + clock.is_eve * DAY
    everyone = _midnights(stamps)
    everyone[~flags] = days
    return TradingDays(_series(everyone), clock)


def by_trading_date(
    frame: pl.DataFrame, symbol: str, timeframe: Timeframe, calendar: str | None = None
) -> tuple[pl.DataFrame, DayClock | None]:
    """Daily or weekly bars, stamped with instants, at their trading dates, and how their days open.

    Raises InputError as `trading_days` does.
    """
    if frame.is_empty():
        return frame, None
    found = trading_days(frame["timestamp"], symbol, timeframe, calendar=calendar)
    return frame.with_columns(timestamp=found.dates), found.clock


# The opening time.


def _clock(stamps: Instants, zone: str, sessions: Sessions) -> DayClock | None:
    clocks = [clock for each in _zones(zone, sessions) if (clock := _clock_in(stamps, each, sessions)) is not None]
    is_fx = (clock for clock in clocks if clock.zone == NEW_YORK and clock.time == _FX_CLOSE)
    return next(is_fx, next(iter(clocks), None))


def _zones(zone: str, sessions: Sessions) -> list[str]:
    return [zone] if zone else list(dict.fromkeys([sessions.zone, "UTC", NEW_YORK]))


def _clock_in(stamps: Instants, zone: str, sessions: Sessions) -> DayClock | None:
    """The one time of day at which days open on the clock of a zone, where there is one."""
    wall = to_local(stamps, zone)
    times, counts = np.unique(wall - _midnights(wall), return_counts=True)
    # Where the clock is put forward past it, the opening is the first instant after the gap.
    time = times[counts.argmax()]
    days = _midnights(wall)
    is_same = (wall - days == time) | (to_utc(days + time, zone) == stamps)
    return DayClock(time, zone, _is_eve(time, days, sessions)) if is_same.all() else None


def _is_eve(time: np.timedelta64, days: Instants, sessions: Sessions) -> bool:
    """Whether the trading date is the one after the date of the opening."""
    by_middle = bool(time >= _NOON)
    if sessions.is_always or not len(sessions.dates):
        return by_middle
    traded = sessions.days
    off_own, off_next = (float(np.mean(~np.isin(days + shift, traded))) for shift in (0 * DAY, DAY))
    if abs(off_own - off_next) > _HOLIDAYS:
        return off_next < off_own
    return by_middle if sessions.is_around_the_clock else _opens_next(time, sessions)


def _opens_next(time: np.timedelta64, sessions: Sessions) -> bool:
    """Whether sessions have usually closed at this time of day, so that it belongs to the next."""
    ends = to_local(sessions.closes, sessions.zone) - sessions.dates
    return bool(time > np.median(ends.astype(np.int64)).astype("timedelta64[us]"))


def _session_dates(stamps: Instants, chosen: CalendarChoice, sessions: Sessions) -> Instants | None:
    """The date of the session that each instant lies in; None unless all lie in one."""
    if sessions.is_around_the_clock or not len(sessions.opens):
        return None
    place = np.searchsorted(sessions.closes, stamps, "left")
    inside = (place < len(sessions.opens)) & (sessions.opens[np.minimum(place, len(sessions.opens) - 1)] <= stamps)
    dates: Instants = sessions.dates[np.minimum(place, len(sessions.opens) - 1)]
    is_day_each = len(np.unique(dates)) == len(dates)
    return dates if inside.all() and is_day_each and (dates + DAY >= sessions.closes[place]).all() else None


# Words.


def _contradiction(stamps: Instants, flags: NDArray[np.bool_], zone: str, sessions: Sessions) -> InputError:
    """Names two rows that open at different times of day in every zone."""
    shown = _zones(zone, sessions)[0]
    wall = to_local(stamps, shown)
    times = wall - _midnights(wall)
    usual, counts = np.unique(times[~flags], return_counts=True)
    first = int(np.argmax((times == usual[counts.argmax()]) & ~flags))
    other = int(np.argmax((times != times[first]) & ~flags))
    rows = " and ".join(f"row {row + 1} ({_shown(stamps[row])})" for row in sorted((first, other)))
    clocks = " and ".join(f"{_short(times[row])}" for row in sorted((first, other)))
    hint = (
        "leave --timezone out, or name the zone in which each day opens at one time"
        if zone
        else "name the zone in which each day opens at one time, for example --timezone Europe/London"
    )
    return InputError(
        f"the days open at different times: {rows} stand at {clocks} by the clock of {shown}", hint=hint, zone=shown
    )


def _shown(moment: np.datetime64) -> str:
    return f"{moment.astype('datetime64[s]')!s}Z"


def _short(time: np.timedelta64) -> str:
    return _time_of_day(time).removesuffix(":00")


def _time_of_day(time: np.timedelta64) -> str:
    seconds, micros = divmod(int(time.astype("timedelta64[us]").astype(np.int64)), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{micros:06}" if micros else text


def _midnights(instants: Instants) -> Instants:
    return instants.astype("datetime64[D]").astype("datetime64[us]")


def _series(dates: Instants) -> pl.Series:
    return pl.Series("timestamp", dates).dt.replace_time_zone("UTC")
