"""When a bar has closed, and which bars of one timeframe had closed when a bar of another did.

A bar may be used once it has closed and never before: joins across timeframes go by the instants found here, never by
those at which bars open.
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


def on_timeframes(strategy: Strategy, asked: Sequence[str]) -> Strategy:
    """The strategy on its own timeframes or on those that are asked for, shortest first.

    Raises InputError when there are none, or when the two are not the same.
    """
    wanted = sorted({Timeframe.parse(timeframe) for timeframe in asked}, key=lambda name: name.length)
    own: list[str] = list(strategy.timeframes)
    if not wanted and not own:
        raise InputError(
            "neither the strategy nor the request names a timeframe",
            hint="name one with --timeframes 1d, or under timeframes in the strategy",
        )
    if wanted and own and wanted != own:
        raise InputError(
            f"the strategy is for the timeframes {', '.join(own)}; the request names {', '.join(wanted)}",
            hint="leave them out of the request, or out of the strategy",
        )
    return strategy.on(own or wanted)


def closes_at(timestamps: Instants, timeframe: Timeframe, calendar: str | None = None) -> Instants:
    """The instants [us, UTC] at which bars that open at `timestamps` have closed.

    A bar lasts its timeframe's length; with a calendar it ends with its session where that ends earlier: an hour that
    the closing bell cuts short, a day at the bell itself, a week at its last one. Half days and changes of the clock
    are the calendar's. A bar outside the sessions lasts its full length, so nothing is ever thought closed too early.
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
    """For each base bar the row of the newest other bar that had closed when it did; -1 where there was none."""
    return np.searchsorted(other_closes, base_closes, "right").astype(np.int64) - 1


@dataclass(frozen=True, slots=True)
class _Days:
    """Whole sessions: a break at noon ends none, or a bar that spans it would be thought closed before its end."""

    dates: Instants
    opens: Instants
    closes: Instants

    def session_closes(self, places: NDArray[np.int64]) -> Instants:
        return np.where(places >= 0, self.closes[np.maximum(places, 0)], np.datetime64("NaT", "us"))


@lru_cache(maxsize=16)
def _load_days(calendar: str) -> _Days | None:
    """All that the calendar knows, made once, whatever part of it is asked for; None where trading does not pause."""
    sessions = sessions_of(calendar, _EARLIEST, _LATEST)
    if sessions.is_around_the_clock:
        return None
    days = sessions.days
    first, last = (np.searchsorted(sessions.dates, days, side) for side in ("left", "right"))
    return _Days(days, sessions.opens[first], sessions.closes[last - 1])
