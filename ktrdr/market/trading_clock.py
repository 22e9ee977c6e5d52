"""Counts the bars that a market's calendar expects, and tells holes in a series from the market's own pauses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.sessions import ALWAYS, FX, Instants, Sessions, instant, sessions_if_known, sessions_of
from ktrdr.payloads.data import CalendarChoice
from ktrdr.timeframe import Timeframe

Counts = NDArray[np.float64]

MOST_MISSING_BARS = 5
# The longest time for which a market is closed: maintenance of what never closes, a weekend with holidays, and any
# holiday anywhere where the exchange is only guessed.
MAINTENANCE = timedelta(days=1)
LONG_WEEKEND = timedelta(days=4)
LONGEST_HOLIDAY, HOLIDAY_BARS = timedelta(days=7), 4


@dataclass(frozen=True, slots=True)
class Hole:
    """Bars that are missing between two bars of a series.

    row: the first bar after the hole
    after, before: opening instants of the bars around it
    bars: bars that the calendar expects in it
    """

    row: int
    after: datetime
    before: datetime
    bars: int


@dataclass(frozen=True, slots=True)
class TradingClock:
    """Counts one symbol's bars of one timeframe by their calendar: an exchange, 24/5 or 24/7."""

    timeframe: Timeframe
    calendar: CalendarChoice

    @property
    def longest_closure(self) -> timedelta:
        """A pause that is no longer is the market's own."""
        if self.calendar.name == ALWAYS:
            return MAINTENANCE
        if self.calendar.name == FX or not self.calendar.is_guess:
            return LONG_WEEKEND
        return LONGEST_HOLIDAY + HOLIDAY_BARS * self.timeframe.length

    def holes(self, opens: Instants) -> tuple[Hole, ...]:
        """The holes between bars that open at `opens`.

        A pause is a hole when it is longer than `longest_closure` and lacks more than MOST_MISSING_BARS bars. Each is
        decided by its own two bars, so later bars change no earlier hole.
        """
        pauses = np.diff(opens) - self.length
        rows = np.flatnonzero(pauses > np.timedelta64(self.longest_closure)) + 1
        if not len(rows):
            return ()
        before, after = opens[rows - 1], opens[rows]
        missing = self.bars_between(before + self.length, after)
        return tuple(
            Hole(int(row), instant(first), instant(second), round(count))
            for row, first, second, count in zip(rows, before, after, missing.tolist(), strict=True)
            if count > MOST_MISSING_BARS
        )

    def bars_between(self, begins: Instants, ends: Instants) -> Counts:
        """Bars that the calendar expects from each instant of `begins` to that of `ends`, fractions included."""
        if self.calendar.name == ALWAYS or self.timeframe == Timeframe.WEEK:
            return np.asarray((ends - begins) / self.length, np.float64)
        sessions = self._sessions(begins.min(), ends.max())
        if self.timeframe == Timeframe.DAY:
            return np.asarray(np.searchsorted(sessions.days, ends) - np.searchsorted(sessions.days, begins), np.float64)
        return (_traded(sessions, ends) - _traded(sessions, begins)) / self.length.astype(np.float64)

    def _sessions(self, first: np.datetime64, last: np.datetime64) -> Sessions:
        """The calendar's, or those of 24/5 where it does not know these years, or is a guess that cannot be built."""
        find_sessions = sessions_if_known if self.calendar.is_guess else sessions_of
        sessions = find_sessions(self.calendar.name, first, last)
        is_known = not sessions.is_unknown(np.array([first, last])).any()
        return sessions if is_known else sessions_of(FX, first, last)

    @property
    def length(self) -> np.timedelta64:
        return np.timedelta64(self.timeframe.length, "us")


def _traded(sessions: Sessions, instants: Instants) -> Counts:
    """Trading time [us] before each instant, from the first of the sessions on."""
    lengths = (sessions.closes - sessions.opens).astype(np.float64)
    before = np.concatenate([[0.0], np.cumsum(lengths)])
    place = np.searchsorted(sessions.closes, instants, "right")
    opens = np.append(sessions.opens, instants.max())[place]
    return np.asarray(before[place] + np.maximum((instants - opens).astype(np.float64), 0.0), np.float64)
