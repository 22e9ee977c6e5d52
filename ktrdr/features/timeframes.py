"""Computes when bars close, and joins timeframes by closing instants.

A bar may be used only once it has closed. Joins across timeframes therefore compare closing instants, never opening
instants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.market.sessions import sessions_of
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

Instants = NDArray[np.datetime64]

_EARLIEST, _LATEST = np.datetime64("1970-01-01", "us"), np.datetime64("2049-12-31", "us")


def on_timeframes(strategy: Strategy, requested: Sequence[str]) -> Strategy:
    """The strategy on its own timeframes or on the requested ones, shortest first.

    Raises InputError when neither names one, or when the two differ.
    """
    names = sorted({Timeframe.parse(timeframe) for timeframe in requested}, key=lambda name: name.length)
    own: list[str] = list(strategy.timeframes)
    if not names and not own:
        raise InputError(
            "neither the strategy nor the request names a timeframe",
            hint="name one with --timeframes 1d, or under timeframes in the strategy",
        )
    if names and own and names != own:
        raise InputError(
            f"the strategy is for the timeframes {', '.join(own)}; the request names {', '.join(names)}",
            hint="leave them out of the request, or out of the strategy",
        )
    return strategy.on(own or names)


def closes_at(timestamps: Instants, timeframe: Timeframe, calendar: str | None = None) -> Instants:
    """The instants [us, UTC] at which bars that open at `timestamps` have closed.

    A bar lasts its timeframe's length. With a calendar it ends with its session where that is earlier: the last hour of
    a session, a day, and a week end at a session's close. The calendar knows half days and daylight saving. A bar
    outside the sessions lasts its full length, so no bar closes too early.
    """
    full = timestamps + np.timedelta64(timeframe.length)
    sessions = _load_days(calendar) if calendar else None
    if sessions is None:
        return full
    if not timeframe.is_by_date:
        bell = sessions.session_closes(np.searchsorted(sessions.opens, timestamps, "right") - 1)
    else:
        # Bars of days and weeks are stamped with the midnight of a date, as sessions are.
        bell = sessions.session_closes(np.searchsorted(sessions.dates, full, "left") - 1)
    return np.where((bell > timestamps) & (bell < full), bell, full)


def latest_closed(base_closes: Instants, other_closes: Instants) -> NDArray[np.int64]:
    """[base bars], the row of the newest other bar that had closed by the base bar's close; -1 where there is none."""
    return np.searchsorted(other_closes, base_closes, "right").astype(np.int64) - 1


@dataclass(frozen=True, slots=True)
class _Days:
    """Whole sessions, without lunch breaks: a bar that spans a break has not closed at its beginning.

    Every array is [sessions]: dates at midnight, opening and closing instants (us, UTC).
    """

    dates: Instants
    opens: Instants
    closes: Instants

    def session_closes(self, places: NDArray[np.int64]) -> Instants:
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
