"""Which stretches of a series are missing: those that no provider was asked for and that the market traded in.

A range is `[since, until)`, two instants in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.sessions import Instants, Sessions, instant
from ktrdr.market.weeks import market_weeks
from ktrdr.timeframe import Timeframe

Range = tuple[datetime, datetime]

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""Stands for as far back as there are bars."""

# Asking once for two holes that lie so near costs less than asking twice.
_BARS_BETWEEN = 10


def united(ranges: Iterable[Range]) -> list[Range]:
    """In their order, those that touch as one."""
    found: list[Range] = []
    for since, until in sorted(ranges):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        elif since < until:
            found.append((since, until))
    return found


def without(wanted: Range, covered: Iterable[Range]) -> list[Range]:
    """What is left of `wanted`."""
    position, until = wanted
    left: list[Range] = []
    for begin, end in united(covered):
        if begin >= until:
            break
        if begin > position:
            left.append((position, begin))
        position = max(position, end)
    return [*left, (position, until)] if position < until else left


@dataclass(frozen=True, slots=True)
class Expected:
    """When a market's bars are to be expected; only those that have closed by `now`."""

    sessions: Sessions
    timeframe: Timeframe
    now: datetime

    def any_in(self, begins: Instants, ends: Instants) -> NDArray[np.bool_]:
        """For each range, whether a bar ought to open in it."""
        now, step = _numpy(self.now), np.timedelta64(self.timeframe.length)
        if not self.timeframe.is_by_date:
            begun = np.searchsorted(self.sessions.opens, np.minimum(ends, now - step), "left")
            over = np.searchsorted(self.sessions.closes, begins, "right")
            return np.asarray(begun > over)
        days = np.unique(self.sessions.dates[self.sessions.closes <= now])
        if self.timeframe is Timeframe.WEEK:
            days = np.unique(market_weeks(days, self.sessions))
            days = days[days + step <= now]
        return np.asarray(np.searchsorted(days, ends, "left") > np.searchsorted(days, begins, "left"))


def held(stamps: Instants, expected: Expected) -> list[Range]:
    """The ranges over which bars stand without a hole, as far as the market was open."""
    if not len(stamps):
        return []
    step = np.timedelta64(expected.timeframe.length)
    begins, ends = stamps[:-1] + step, stamps[1:]
    holes = np.flatnonzero(ends > begins)
    holes = holes[expected.any_in(begins[holes], ends[holes])]
    firsts = np.concatenate([stamps[:1], stamps[holes + 1]])
    lasts = np.concatenate([stamps[holes], stamps[-1:]]) + step
    return [(instant(first), instant(last)) for first, last in zip(firsts, lasts, strict=True)]


def missing(wanted: Range, covered: Iterable[Range], expected: Expected) -> list[Range]:
    """The parts of `wanted` that are not covered and in which the market has closed bars; near ones are joined."""
    left = [part for part in without(wanted, covered) if part[0] == BEGINNING or _has_bars(part, expected)]
    return _joined(left, _BARS_BETWEEN * expected.timeframe.length)


def _has_bars(part: Range, expected: Expected) -> bool:
    begin, end = (np.array([_numpy(moment)]) for moment in part)
    return bool(expected.any_in(begin, end)[0])


def _joined(ranges: Sequence[Range], near: timedelta) -> list[Range]:
    if not ranges:
        return []
    return united([*ranges, *((left[1], right[0]) for left, right in pairwise(ranges) if right[0] - left[1] <= near)])


def _numpy(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
