"""Bars at the wrong hours: clocks that are off by whole hours, days without a session, instants beside the grid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.quality.bars import BarArrays, Flags, Numbers, fault_at, runs
from ktrdr.market.quality.coverage import Coverage
from ktrdr.market.quality.formatting import bars, clock, place, times
from ktrdr.market.sessions import DAY, FX, Instants, Sessions, local, stands_at_closes
from ktrdr.market.weeks import WEEK, monday_of
from ktrdr.payloads.data import QualityFault

_HOUR = np.timedelta64(3_600_000_000, "us")
# Clocks are looked at in quarters of an hour: no exchange opens at another.
_QUARTER = np.timedelta64(900_000_000, "us")
_QUARTERS = 96
_FARTHEST = 14
# How much more of a week's volume must lie in the session by another clock than by its own, and how much stronger its
# first bar must be against the one before.
_CLEARLY, _BELL = 0.02, 3
_BRIDGED = 3


def hour_faults(series: BarArrays, coverage: Coverage) -> Iterator[QualityFault]:
    if series.is_by_date:
        yield from _off_days(series, coverage)
        return
    if stands_at_closes(series.at, series.length, coverage.sessions):
        yield _closing(series, coverage)
        return
    shifts = _shifts(series, coverage.sessions)
    for hours in sorted(set(shifts[shifts != 0].tolist())):
        yield _shifted(series, shifts == hours, hours, coverage.sessions)
    yield from _outside(series, coverage, coverage.outside & (shifts == 0))


def _closing(series: BarArrays, coverage: Coverage) -> QualityFault:
    closes = coverage.sessions.between(series.at[0], series.at[-1]).closes
    at = series.at[np.isin(series.at, closes)]
    message = (
        f"the bars are stamped with their close: {bars(len(at))} stand at the end of a session and none holds its "
        f"opening ({times(at, by_date=False)}); import them again with --stamp close"
    )
    return fault_at("stamped_at_close", "error", at, message, bars=len(series))


# Clocks.


def _shifts(series: BarArrays, sessions: Sessions) -> NDArray[np.int64]:
    """Of each bar by how many whole hours its week's are late (early where negative)."""
    if sessions.is_always or series.length > _HOUR:
        return np.zeros(len(series), np.int64)
    # A week of FX begins on its Sunday evening.
    ahead = DAY if sessions.name == FX else np.timedelta64(0, "us")
    weeks = monday_of(series.at + ahead) - ahead
    week = ((weeks - weeks[0]) // WEEK).astype(np.int64)
    if sessions.name == FX:
        by_week = _fx_shifts(series, sessions, weeks[0] + np.arange(week[-1] + 1) * WEEK)
    else:
        by_week = _exchange_shifts(series, sessions, week)
    shifts: NDArray[np.int64] = _bridged(by_week)[week]
    return shifts


def _bridged(by_week: NDArray[np.int64]) -> NDArray[np.int64]:
    """A few weeks that tell nothing go with those around them, where these agree."""
    bridged = by_week.copy()
    begins, ends = runs(by_week == 0)
    for begin, end in zip(begins, ends, strict=True):
        is_inside = begin > 0 and end < len(by_week) and end - begin <= _BRIDGED
        if is_inside and by_week[begin - 1] == by_week[end]:
            bridged[begin:end] = by_week[end]
    return bridged


def _exchange_shifts(series: BarArrays, sessions: Sessions, week: NDArray[np.int64]) -> NDArray[np.int64]:
    """The clock by which a week's trading begins with the session, where that is another than its own.

    By volume, because trading before and after a session is thin, and where it lies says nothing: the right clock has
    more of it inside, and much more in the first bar of the session than in the one before.
    """
    weeks = int(week[-1]) + 1
    around = sessions.between(series.at[0], series.at[-1])
    if not len(around.opens) or around.closes[0] - around.opens[0] > DAY // 2:
        return np.zeros(weeks, np.int64)
    opens, closes = (_quarter(local(each, around.zone)) for each in (around.opens, around.closes - _QUARTER))
    width = max(1, int(series.length / _QUARTER))
    begin, end = int(np.quantile(opens, 0.1)) - width + 1, int(np.quantile(closes, 0.9)) + 1
    traded = series.volume if np.nansum(series.volume) > 0 else np.ones(len(series))
    slot = week * _QUARTERS + _quarter(local(series.at, around.zone))
    volume = np.bincount(slot, weights=np.nan_to_num(traded), minlength=weeks * _QUARTERS).reshape(-1, _QUARTERS)
    # Zero first: a clock is thought right unless another is clearly better.
    hours = np.array(sorted(range(-_FARTHEST, _FARTHEST + 1), key=abs))

    def within(first: int, last: int) -> Numbers:
        """By hour and week, the share of volume from the one quarter to the other, by the clock of that hour."""
        places = [np.arange(first, last) + 4 * hour for hour in hours]
        shares: Numbers = np.stack([volume[:, each % _QUARTERS].sum(axis=1) for each in places]) / total
        return shares

    total = np.maximum(volume.sum(axis=1), 1e-300)
    inside = within(begin, end)
    contrast = within(begin, begin + width) / (within(begin - width, begin) + 1e-6)
    clearly = (inside > inside[0] + _CLEARLY) & (contrast > _BELL * contrast[0]) & (contrast > _BELL)
    best = np.where(clearly, inside, 0).argmax(axis=0)
    return np.where(clearly.any(axis=0), hours[best], 0)


def _quarter(wall: Instants) -> NDArray[np.int64]:
    quarters: NDArray[np.int64] = ((wall - wall.astype("datetime64[D]")) // _QUARTER).astype(np.int64)
    return quarters


def _fx_shifts(series: BarArrays, sessions: Sessions, sundays: Instants) -> NDArray[np.int64]:
    """How far the bars of a week reach over its end on Friday, or begin before its start on Sunday."""
    first = np.searchsorted(series.at, sundays)
    last = np.searchsorted(series.at, sundays + WEEK) - 1
    session = np.searchsorted(sessions.opens, sundays)
    monday, friday = session, np.searchsorted(sessions.opens, sundays + WEEK) - 1
    begins, ends = series.at[np.minimum(first, len(series) - 1)], series.at[np.maximum(last, 0)] + series.length
    late, early = (ends - sessions.closes[friday]) / _HOUR, (begins - sessions.opens[monday]) / _HOUR
    # Where the week's own first or last day is a holiday, nothing can be told.
    late = np.where((first <= last) & (sessions.dates[friday] == sundays + 5 * DAY), late, 0)
    early = np.where((first <= last) & (sessions.dates[monday] == sundays + DAY), early, 0)
    # A week that ends early is short, unless it begins as early, by the market's clock or by UTC.
    moved = [each - np.median(each) for each in (early, (begins - sundays) / _HOUR)]
    both = (late < 0) & np.logical_or.reduce([late == each for each in moved])
    shift = np.where((late > 0) | both, late, np.where(early < 0, early, 0))
    is_clock = (np.abs(shift) <= _FARTHEST) & (shift == np.round(shift))
    return np.where(is_clock, shift, 0).astype(np.int64)


def _shifted(series: BarArrays, flags: Flags, hours: int, sessions: Sessions) -> QualityFault:
    at = series.at[flags]
    days = np.unique(at.astype("datetime64[D]"))
    stretches = np.split(days, np.flatnonzero(np.diff(days) > np.timedelta64(7, "D")) + 1)
    spans = "; ".join(f"{stretch[0]} to {stretch[-1]}" for stretch in stretches[:3])
    word, count = "late" if hours > 0 else "early", abs(hours)
    message = (
        f"{bars(len(at))} are {count} {'hour' if count == 1 else 'hours'} {word} by the clock of "
        f"{place(sessions.zone)}: {spans}{'; …' if len(stretches) > 3 else ''}; "
        + (
            "a change to summer time was missed or made twice"
            if count == 1 and not flags.all()
            else "times are of another zone"
        )
    )
    return fault_at("shifted_hours", "error", at, message, bars=len(at))


# What lies outside of the sessions.


def _outside(series: BarArrays, coverage: Coverage, outside: Flags) -> Iterator[QualityFault]:
    at, sessions = series.at[outside], coverage.sessions
    if not len(at):
        return
    inside = sessions.place_of(at, np.timedelta64(1, "us")) >= 0
    if inside.any():
        beside = at[inside]
        message = f"{bars(len(beside))} stand at other instants than the rest: {times(beside, by_date=False)}"
        yield fault_at("off_grid", "warning", beside, message, bars=len(beside))
    if sessions.name == FX:
        if not inside.all():
            yield _fx_closed(at[~inside])
        return
    wall = local(at[~inside], sessions.zone)
    on_session_days = np.isin(wall.astype("datetime64[D]").astype("datetime64[us]"), sessions.days)
    if on_session_days.any():
        yield _extended(at[~inside][on_session_days], wall[on_session_days], series.length, sessions)
    if not on_session_days.all():
        yield _closed(at[~inside][~on_session_days])


def _extended(at: Instants, wall: Instants, length: np.timedelta64, sessions: Sessions) -> QualityFault:
    minutes = (wall - wall.astype("datetime64[D]")).astype("timedelta64[m]").astype(int)
    last = int(minutes.max() + length.astype("timedelta64[m]").astype(int))
    message = (
        f"{bars(len(at))} lie outside of the sessions, between {clock(int(minutes.min()))} and {clock(last)} "
        f"{place(sessions.zone)}; coverage does not count them"
    )
    return fault_at("outside_sessions", "note", at, message)


def _closed(at: Instants) -> QualityFault:
    message = f"{bars(len(at))} lie on days without a session: {times(at, by_date=False)}"
    return fault_at("closed_days", "warning", at, message, bars=len(at))


def _fx_closed(at: Instants, *, by_date: bool = False) -> QualityFault:
    """No one place closes foreign exchange: on holidays some trade on, thinly."""
    message = f"{bars(len(at))} lie outside of the trading week or on a holiday: {times(at, by_date=by_date)}"
    return fault_at("closed_days", "note", at, message)


def _off_days(series: BarArrays, coverage: Coverage) -> Iterator[QualityFault]:
    off = series.at[coverage.outside]
    if not len(off) or series.length == WEEK:
        return
    days = coverage.sessions.days
    for shift in (1, -1):
        if np.isin(series.at - shift * DAY, days).mean() > max(0.98, 1.05 - len(off) / len(series)):
            word = "late" if shift > 0 else "early"
            message = (
                f"the dates are a day {word}: {times(off, by_date=True)} are no days of a session; an older version "
                "may have cut their instants to dates: import them again with --replace"
            )
            yield fault_at("shifted_days", "error", off, message, bars=len(series))
            return
    if coverage.sessions.name == FX:
        yield _fx_closed(off, by_date=True)
        return
    message = f"{bars(len(off))} lie on days without a session: {times(off, by_date=True)}"
    yield fault_at("closed_days", "warning", off, message, bars=len(off))
