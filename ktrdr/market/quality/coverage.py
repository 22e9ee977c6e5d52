"""Which bars there should be, and which of them are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.quality.bars import SHOWN, BarArrays, Flags, fault_at, runs
from ktrdr.market.quality.formatting import bars, clock, place, span, time, times
from ktrdr.market.sessions import FX, Instants, Sessions, instant, local
from ktrdr.market.weeks import WEEK, market_weeks, monday_of
from ktrdr.payloads.data import Gap, QualityFault, Severity

GAPS_KEPT = 100

_MINUTE = np.timedelta64(60_000_000, "us")
_DAY_MINUTES, _WEEK_MINUTES = 1440, 7 * 1440
# Of a slot that a source serves never at all: it must have had this many chances.
_CHANCES, _NEVER = 10, 0.01


@dataclass(frozen=True, slots=True)
class Coverage:
    """`expected` are opening instants, `place` the stretch of `sessions` that each belongs to, -1 for days and weeks.

    `present` says of each whether it is there, `served` whether its source has such bars at all, and `outside` of each
    bar that is there whether it was not expected.
    """

    sessions: Sessions
    expected: Instants
    place: NDArray[np.int64]
    present: Flags
    served: Flags
    outside: Flags
    opens_before: Flags

    @property
    def wanted(self) -> Instants:
        return self.expected[self.served]

    @property
    def missing(self) -> Flags:
        return ~self.present[self.served]


def coverage_of(series: BarArrays, sessions: Sessions) -> Coverage:
    at = market_weeks(series.at, sessions) if series.length == WEEK else series.at
    candidates = _days(series, sessions) if series.is_by_date else _grids(series, sessions)
    found = [(_find(expected, at), expected, place) for expected, place in candidates]
    (present, outside), expected, place = max(found, key=lambda each: each[0][0].sum())
    outside &= ~sessions.is_unknown(at)
    inside = (expected >= at[0]) & (expected <= at[-1])
    expected, place, present = expected[inside], place[inside], present[inside]
    early = np.zeros(len(expected), bool) if series.is_by_date else expected < sessions.opens[place]
    served = np.ones(len(expected), bool)
    if not (series.is_by_date or sessions.is_always):
        served = ~_never_served(expected, present, sessions)
    return Coverage(sessions, expected, place, present, served, outside, early)


def gaps_of(coverage: Coverage) -> tuple[tuple[Gap, ...], int, int]:
    """The longest ones in the order of time, how many there are, and the length of the longest."""
    wanted = coverage.wanted
    begins, ends = runs(coverage.missing)
    lengths = ends - begins
    longest = np.sort(np.argsort(-lengths, kind="stable")[:GAPS_KEPT])
    kept = tuple(
        Gap(first=instant(wanted[begins[run]]), last=instant(wanted[ends[run] - 1]), bars=int(lengths[run]))
        for run in longest
    )
    return kept, len(lengths), int(lengths.max(initial=0))


def coverage_faults(series: BarArrays, coverage: Coverage) -> Iterator[QualityFault]:
    missing = coverage.wanted[coverage.missing]
    if len(missing):
        yield _missing(series, coverage, missing)
    if not series.is_by_date:
        yield from _whole_sessions(coverage)
        yield from _never(series, coverage)
        yield from _partial_first(series, coverage)


def unknown_years(series: BarArrays, sessions: Sessions) -> Iterator[QualityFault]:
    """Bars of years that the calendar does not know: whether they lie in sessions, nobody can say."""
    at = series.at[sessions.is_unknown(series.at)]
    if len(at):
        known_from, known_until = sessions.known_from, sessions.known_until
        parts = [f"from {time(known_from, by_date=True)}" if known_from is not None else ""]
        parts += [f"until {time(known_until, by_date=True)}" if known_until is not None else ""]
        message = (
            f"the calendar {sessions.name} is known {' '.join(filter(None, parts))} only: {bars(len(at))} of other "
            "years are not held against its sessions"
        )
        yield fault_at("unknown_years", "note", at, message)


# What is expected.


def _days(series: BarArrays, sessions: Sessions) -> list[tuple[Instants, NDArray[np.int64]]]:
    days = np.unique(market_weeks(sessions.dates, sessions)) if series.length == WEEK else sessions.days
    return [(days, np.full(len(days), -1))]


def _grids(series: BarArrays, sessions: Sessions) -> list[tuple[Instants, NDArray[np.int64]]]:
    """Bars may be counted from the session's opening or stand at full hours, by the market's clock or by UTC."""
    around = sessions.between(series.at[0], series.at[-1])
    midnights = around.opens - (local(around.opens, around.zone) - around.dates)
    since_midnight = around.opens - midnights
    starts = [
        around.opens,
        around.opens - since_midnight % series.length,
        around.opens - around.opens.astype(np.int64) % series.length.astype("timedelta64[us]").astype(np.int64),
    ]
    offset = int(np.searchsorted(sessions.closes, series.at[0], "right"))
    different = [starts[0], *(start for start in starts[1:] if (start != starts[0]).any())]
    return [_slots(start, around.closes, series.length, offset) for start in different]


def _slots(
    starts: Instants, closes: Instants, length: np.timedelta64, offset: int
) -> tuple[Instants, NDArray[np.int64]]:
    counts = -((starts - closes) // length)
    place = np.repeat(np.arange(len(starts)), counts)
    step = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
    slots = starts[place] + step * length
    if len(slots) > 1 and (np.diff(slots.astype(np.int64)) <= 0).any():
        # Where one stretch begins in the bar that the one before ends in, that bar is expected once.
        slots, kept = np.unique(slots, return_index=True)
        place = place[kept]
    return slots, place + offset


def _find(expected: Instants, at: Instants) -> tuple[Flags, Flags]:
    """Of the expected which are there, and of those that are there which were not expected."""
    outside = np.ones(len(at), bool)
    if not len(expected):
        return np.zeros(0, bool), outside
    places = np.minimum(np.searchsorted(at, expected), len(at) - 1)
    present = at[places] == expected
    outside[places[present]] = False
    return present, outside


def _never_served(expected: Instants, present: Flags, sessions: Sessions) -> Flags:
    """Bars of a time of day, around the clock of a time of the week too, at which a source never has any."""
    flags = _never_at(*_slot_of(expected, sessions), present)
    if sessions.name == FX:
        # Metals and indices pause for an hour at the end of each day.
        flags |= _never_at(*_time_of_day(expected, sessions), present)
    # A source that lacks most of a session follows another calendar.
    return flags if flags.mean() <= 0.5 else np.zeros(len(expected), bool)


def _never_at(slot: NDArray[np.int64], count: int, present: Flags) -> Flags:
    chances, hits = np.bincount(slot, minlength=count), np.bincount(slot[present], minlength=count)
    never: Flags = (chances >= _CHANCES) & (hits <= _NEVER * chances)
    return never[slot]


def _slot_of(expected: Instants, sessions: Sessions) -> tuple[NDArray[np.int64], int]:
    if sessions.name == FX:
        return ((expected - monday_of(expected)) // _MINUTE).astype(np.int64), _WEEK_MINUTES
    return _time_of_day(expected, sessions)


def _time_of_day(expected: Instants, sessions: Sessions) -> tuple[NDArray[np.int64], int]:
    wall = local(expected, sessions.zone)
    return ((wall - wall.astype("datetime64[D]")) // _MINUTE).astype(np.int64), _DAY_MINUTES


# What is told of it.


def _missing(series: BarArrays, coverage: Coverage, missing: Instants) -> QualityFault:
    gaps, count, longest = gaps_of(coverage)
    where = next(gap for gap in gaps if gap.bars == longest)
    wanted = len(coverage.wanted)
    message = (
        f"{len(missing):,} of {bars(wanted)} that were expected are missing, in {count:,} "
        f"{'gap' if count == 1 else 'gaps'}; the longest is {bars(longest)}: {span(where, series.is_by_date)}"
    )
    severity: Severity = "warning" if len(missing) <= 0.01 * wanted else "error"
    return fault_at("missing", severity, missing, message)


def _whole_sessions(coverage: Coverage) -> Iterator[QualityFault]:
    place, dates = coverage.place[coverage.served], coverage.sessions.dates
    wanted, there = (
        np.bincount(place, minlength=len(dates)),
        np.bincount(place[~coverage.missing], minlength=len(dates)),
    )
    # A session that breaks at noon is missing when both its parts are.
    absent = np.setdiff1d(dates[(wanted > 0) & (there == 0)], dates[there > 0])
    if len(absent):
        noun = "day" if coverage.sessions.is_around_the_clock else "session"
        message = (
            f"{len(absent):,} {noun}{'' if len(absent) == 1 else 's'} missing whole: {times(absent, by_date=True)}"
        )
        yield fault_at("missing_sessions", "warning", absent, message)


def _never(series: BarArrays, coverage: Coverage) -> Iterator[QualityFault]:
    never = coverage.expected[~coverage.served]
    if not len(never):
        return
    sessions = coverage.sessions
    slots = np.unique(_slot_of(never, sessions)[0])
    step = int(series.length / _MINUTE)
    is_weekly = sessions.name == FX
    stretches = _joined(slots, step)
    spans = ", ".join(f"{clock(a, of_week=is_weekly)} to {clock(b, of_week=is_weekly)}" for a, b in stretches[:SHOWN])
    where = f"{spans}{', …' if len(stretches) > SHOWN else ''} {'UTC' if is_weekly else place(sessions.zone)}"
    message = f"the source never has bars from {where}; {len(never):,} such bars are not counted as missing"
    yield fault_at("hours_not_served", "note", never, message)


def _joined(slots: NDArray[np.int64], step: int) -> list[tuple[int, int]]:
    """Stretches of slots that follow each other, as minutes from and to."""
    parts = np.split(slots, np.flatnonzero(np.diff(slots) != step) + 1)
    return [(int(part[0]), int(part[-1]) + step) for part in parts]


def _partial_first(series: BarArrays, coverage: Coverage) -> Iterator[QualityFault]:
    early = coverage.expected[coverage.opens_before & coverage.present]
    if not len(early):
        return
    opening = coverage.sessions.opens[coverage.place[coverage.opens_before & coverage.present][0]]
    held = int((early[0] + series.length - opening) / _MINUTE)
    message = (
        f"the first bar of {len(early):,} sessions is partial: it opens before its session and holds {held} of "
        f"{int(series.length / _MINUTE)} minutes"
    )
    yield fault_at("partial_first_bar", "note", early, message)
