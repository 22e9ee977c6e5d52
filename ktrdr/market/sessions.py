"""When a market trades: the sessions of an exchange, of foreign exchange (24/5) and of what never closes (24/7)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.market.exchanges import exchange_years

Instants = NDArray[np.datetime64]
"""Instants [us] in UTC, without a zone."""

ALWAYS = "24/7"
FX = "24/5"
NEW_YORK = "America/New_York"

DAY = np.timedelta64(1, "D").astype("timedelta64[us]")

_FX_CLOSE = timedelta(hours=17)
_FX_HOLIDAYS = ((1, 1), (12, 25))
_SATURDAY = 5
# No calendar is asked for more: a bar outside of them has a wrong date.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_MOST = 0.9
_NONE = np.array([], "datetime64[us]")
# Openings that were put off, as exchange_calendars does not know: a minute's silence of an hour and a half.
_LATE_OPENINGS = {"XNYS": {np.datetime64("2002-09-11", "us"): np.datetime64("2002-09-11T15:00", "us")}}


@dataclass(frozen=True, slots=True)
class Sessions:
    """Stretches of trading in their order; a session with a break at noon is two of them with one date.

    name: that of the calendar
    zone: where the exchange keeps its clock
    dates, opens, closes: [stretches], dates as midnights, instants [us, UTC]
    known_from, known_until: where the calendar itself begins and ends, None where it covers the years asked for
    """

    name: str
    zone: str
    dates: Instants
    opens: Instants
    closes: Instants
    known_from: np.datetime64 | None = None
    known_until: np.datetime64 | None = None

    @property
    def is_always(self) -> bool:
        return self.name == ALWAYS

    @property
    def is_around_the_clock(self) -> bool:
        """Whether one session begins where the one before ends, as those of 24/7 and 24/5 do."""
        return self.name in (ALWAYS, FX)

    @property
    def days(self) -> Instants:
        """The date of each session, once."""
        return np.unique(self.dates)

    def between(self, first: np.datetime64, last: np.datetime64) -> Sessions:
        """Those that end after `first` and begin no later than `last`."""
        kept = slice(np.searchsorted(self.closes, first, "right"), np.searchsorted(self.opens, last, "right"))
        return replace(self, dates=self.dates[kept], opens=self.opens[kept], closes=self.closes[kept])

    def is_unknown(self, dates: Instants) -> NDArray[np.bool_]:
        """Which of the instants lie in years that the calendar does not know."""
        before = np.zeros(len(dates), bool) if self.known_from is None else dates < self.known_from
        return before if self.known_until is None else before | (dates >= self.known_until)

    def place_of(self, opens: Instants, length: np.timedelta64) -> NDArray[np.int64]:
        """For each bar the stretch that it has a part of, -1 outside of all; an earlier one goes first."""
        place = np.searchsorted(self.closes, opens, "right")
        begins = self.opens[np.minimum(place, len(self.opens) - 1)] if len(self.opens) else opens
        inside = (place < len(self.opens)) & (begins < opens + length)
        return np.where(inside, place, -1).astype(np.int64)


def sessions_of(calendar: str, first: np.datetime64, last: np.datetime64) -> Sessions:
    """All sessions that touch the years from `first` to `last`, as far as the calendar knows them.

    Raises InputError when the calendar cannot be built.
    """
    years = (min(max(int(str(each.astype("datetime64[Y]"))), _FIRST_YEAR), _LAST_YEAR) for each in (first, last))
    return _sessions(calendar, *years)


def sessions_if_known(calendar: str, first: np.datetime64, last: np.datetime64) -> Sessions:
    """The sessions, or those of 24/5 where the calendar cannot be built: its exchanges rest on Saturday and Sunday."""
    try:
        return sessions_of(calendar, first, last)
    except InputError:
        return sessions_of(FX, first, last)


def stands_at_closes(at: Instants, length: np.timedelta64, sessions: Sessions) -> bool:
    """Whether bars stand at the closes of sessions and none holds an opening: they are stamped with their close."""
    if sessions.is_around_the_clock or not len(at):
        return False
    around = sessions.between(at[0], at[-1])
    closing = np.isin(around.closes, at)
    opening = np.searchsorted(at, around.opens, "right") > np.searchsorted(at, around.opens - length, "right")
    return bool(len(closing) and closing.mean() > _MOST and opening.mean() < 1 - _MOST)


def offsets(zone: str, first: np.datetime64, last: np.datetime64) -> tuple[np.datetime64, Instants]:
    """The first day, and for each day from it on how far the zone's clock is ahead of UTC at noon."""
    since, until = (instant.astype("datetime64[D]") for instant in (first, last))
    days = np.arange(since, until + np.timedelta64(2, "D")).astype("datetime64[us]")
    return days[0], to_local(days + DAY // 2, zone) - (days + DAY // 2)


def local(instants: Instants, zone: str) -> Instants:
    """The instants as the zone's clock shows them; within a day that changes the clock by its state at noon."""
    if not len(instants) or zone == "UTC":
        return instants
    first, ahead = offsets(zone, instants.min(), instants.max())
    wall: Instants = instants + ahead[(instants - first) // DAY]
    return wall


# The sessions.


@lru_cache(maxsize=32)
def _sessions(calendar: str, first_year: int, last_year: int) -> Sessions:
    since, until = date(first_year - 1, 12, 1), date(last_year + 1, 1, 31)
    if calendar == ALWAYS:
        days = np.array(_days(since, until), dtype="datetime64[us]")
        return Sessions(ALWAYS, "UTC", days, days, days + DAY)
    return _fx(since, until) if calendar == FX else _exchange(calendar, since, until)


def _fx(since: date, until: date) -> Sessions:
    """A day of foreign exchange begins and ends at 17:00 in New York, from Sunday evening to Friday."""
    days = [
        day for day in _days(since, until) if day.weekday() < _SATURDAY and (day.month, day.day) not in _FX_HOLIDAYS
    ]
    dates: Instants = np.array(days, dtype="datetime64[us]")
    closing: Instants = dates + np.timedelta64(_FX_CLOSE)
    return Sessions(FX, NEW_YORK, dates, to_utc(closing - DAY, NEW_YORK), to_utc(closing, NEW_YORK))


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days)]


def _exchange(name: str, since: date, until: date) -> Sessions:
    years = exchange_years(name, since, until)
    parts = [_stretches(name, calendar) for calendar in years.calendars]
    dates, opens, closes = (
        (np.concatenate([_NONE, *columns]) for columns in zip(*parts, strict=True)) if parts else (_NONE, _NONE, _NONE)
    )
    zone = str(years.calendars[0].tz) if years.calendars else "UTC"
    begin = None if years.since <= since else np.datetime64(years.since, "us")
    end = None if years.until >= until else np.datetime64(years.until, "us") + DAY
    return Sessions(name, zone, dates, opens, closes, begin, end)


def _stretches(name: str, calendar: Any) -> tuple[Instants, Instants, Instants]:
    """Dates, openings and closes; a session with a break is two."""
    dates = calendar.sessions.to_numpy().astype("datetime64[us]")
    opens, noon, afternoon, closes = (
        _naive(column) for column in (calendar.opens, calendar.break_starts, calendar.break_ends, calendar.closes)
    )
    for day, opening in _LATE_OPENINGS.get(name, {}).items():
        opens[dates == day] = opening
    pauses = ~np.isnat(noon)
    order = np.argsort(np.concatenate([opens, afternoon[pauses]]), kind="stable")
    return (
        np.concatenate([dates, dates[pauses]])[order],
        np.concatenate([opens, afternoon[pauses]])[order],
        np.concatenate([np.where(pauses, noon, closes), closes[pauses]])[order],
    )


def _naive(column: Any) -> Instants:
    instants: Instants = column.dt.tz_localize(None).to_numpy().astype("datetime64[us]").copy()
    return instants


def to_utc(wall: Instants, zone: str) -> Instants:
    """The instants at which the zone's clock shows `wall`: the later of two; a time that it skips as if it had not."""
    utc = _exact_utc(wall, zone)
    skipped = np.isnat(utc)
    if skipped.any():
        utc[skipped] = _exact_utc(wall[skipped] - DAY, zone) + DAY
    return utc


def _exact_utc(wall: Instants, zone: str) -> Instants:
    series = pl.Series(wall).dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy().copy()


def to_local(instants: Instants, zone: str) -> Instants:
    """What the zone's clock shows at these instants."""
    series = pl.Series(instants).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return series.dt.replace_time_zone(None).to_numpy()


def instant(moment: np.datetime64) -> datetime:
    """As Python's own, aware of UTC."""
    naive: datetime = moment.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)
