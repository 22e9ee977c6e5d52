"""Longer bars made of shorter ones, by the sessions of their market.

A day's bar is its session's, and a week's those of its days, from the market's longest rest to the next; what lies
outside of the sessions is left out. Intraday bars are counted from the session's opening and end with it: of six and a
half hours the last bar of an hour holds half.
Where the shorter bars stand at full hours and the opening is at none, they are counted from the hour it falls into.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.market.bars import PRICES, SCHEMA, check_bars, check_symbol
from ktrdr.market.calendars import choose_calendar
from ktrdr.market.quality.bars import BarArrays
from ktrdr.market.quality.formatting import times
from ktrdr.market.sessions import ALWAYS, Instants, Sessions, sessions_of, stands_at_closes
from ktrdr.market.weeks import market_weeks
from ktrdr.payloads.data import CalendarChoice
from ktrdr.timeframe import Timeframe

# The share of the bars that may be left out by a calendar that nobody has named.
_LEFT_OUT_BY_A_GUESS = 0.02


@dataclass(frozen=True, slots=True)
class Resampled:
    """`note` tells what was left out."""

    frame: pl.DataFrame
    calendar: CalendarChoice
    note: str


@dataclass(frozen=True, slots=True)
class _Groups:
    """Of each bar the longer one that it goes into, -1 for none; of the first and the last of those, when they begin
    and end."""

    labels: Instants
    kept: NDArray[np.bool_]
    first_begins: np.datetime64
    last_ends: np.datetime64


def resample(
    frame: pl.DataFrame,
    symbol: str,
    source: str,
    target: str,
    calendar: str | None = None,
    named_for_symbol: str | None = None,
) -> Resampled:
    """Bars of `target` out of those of `source`; the first and the last are dropped where they are not whole.

    Sessions are those of `calendar`, or else of the one `named_for_symbol`, or else of a guess.

    Raises InputError when whole bars of `source` make none of `target`, no bar is whole, there is no such calendar, or
    a calendar that is a guess would leave out more than a few bars.
    """
    symbol, source, target = check_symbol(symbol), Timeframe.parse(source), Timeframe.parse(target)
    _check_pair(source, target)
    series = BarArrays.of(frame, source)
    chosen = choose_calendar(symbol, source, series.at, calendar, named_for_symbol)
    sessions = sessions_of(chosen.name, series.at[0], series.at[-1])
    groups = _by_days(series, sessions) if series.is_by_date else _by_sessions(series, sessions, target)
    outside = _Outside.of(series, sessions, ~groups.kept)
    if chosen.is_guess:
        outside.check(symbol, chosen, len(series))
    longer = _joined(series, groups)
    first, last = series.at[groups.kept][[0, -1]] if groups.kept.any() else (series.at[-1], series.at[0])
    begins_late, ends_early = first > groups.first_begins, last + series.length < groups.last_ends
    whole = longer[int(begins_late) : len(longer) - int(ends_early)]
    if whole.is_empty():
        raise InputError(
            f"the {source} bars of {symbol} make no whole {target} bar by the calendar {chosen.name}"
            f"{f': {outside.note}' if outside.note else ''}",
            hint="load more of them, or give another calendar with --calendar",
            symbol=symbol,
        )
    parts = [_note(begins_late, ends_early, target), outside.note]
    return Resampled(check_bars(whole, target), chosen, "; ".join(filter(None, parts)))


@dataclass(frozen=True, slots=True)
class _Outside:
    """The bars that belong to no session.

    count: how many
    unknown: those in years that the calendar does not know
    first: instants of the first few
    closing: whether bars stand at the closes of sessions, as those do that are stamped with their end
    """

    count: int
    unknown: int
    first: Instants
    closing: bool

    @classmethod
    def of(cls, series: BarArrays, sessions: Sessions, outside: NDArray[np.bool_]) -> _Outside:
        at = series.at[outside]
        is_closing = not series.is_by_date and stands_at_closes(series.at, series.length, sessions)
        return cls(len(at), int(sessions.is_unknown(at).sum()), at[:4], is_closing)

    @property
    def note(self) -> str:
        if not self.count:
            return ""
        known = f", {self.unknown:,} of them in years that the calendar does not know" if self.unknown else ""
        why = "; the bars seem to be stamped with their close" if self.closing else ""
        return f"{self.count:,} bars outside of the sessions are left out{known}{why}: {self._named}"

    @property
    def _named(self) -> str:
        return times(self.first, by_date=False)

    def check(self, symbol: str, chosen: CalendarChoice, bars: int) -> None:
        """Raises InputError when a guess leaves out more than a few bars."""
        if self.count <= _LEFT_OUT_BY_A_GUESS * bars:
            return
        hint = (
            "the bars seem to be stamped with their close: import them again with --stamp close"
            if self.closing
            else f"name the calendar: --calendar {chosen.name} leaves these bars out, --calendar {ALWAYS} keeps all"
        )
        where = "in years that" if self.unknown == self.count else "outside of the sessions of"
        knows = " does not know" if self.unknown == self.count else ""
        raise InputError(
            f"{self.count:,} of {bars:,} bars of {symbol} lie {where} {chosen.name}{knows}, which is a guess "
            f"({chosen.why}), so none is left out: {self._named}",
            hint=hint,
            symbol=symbol,
            calendar=chosen.name,
        )


def _check_pair(source: Timeframe, target: Timeframe) -> None:
    shorter, longer = source.length, target.length
    if longer <= shorter or (longer % shorter and not target.is_by_date):
        possible = [
            each for each in Timeframe if each.length > shorter and (not each.length % shorter or each.is_by_date)
        ]
        raise InputError(
            f"{target} bars cannot be made of {source} bars",
            hint=f"of {source} bars: {', '.join(possible)}" if possible else f"nothing is made of {source} bars",
        )


def _by_days(series: BarArrays, sessions: Sessions) -> _Groups:
    """No bar is left out, whatever the calendar knows of its day."""
    weeks, days = market_weeks(series.at, sessions), np.union1d(sessions.days, series.at)
    weeks_of_days = market_weeks(days, sessions)
    first, last = days[weeks_of_days == weeks[0]][0], days[weeks_of_days == weeks[-1]][-1]
    return _Groups(weeks, np.ones(len(series), bool), first, last + series.length)


def _by_sessions(series: BarArrays, sessions: Sessions, target: Timeframe) -> _Groups:
    place = sessions.place_of(series.at, series.length)
    kept = place >= 0
    at, place = series.at[kept], place[kept]
    if not len(place):
        return _Groups(at, kept, np.datetime64("NaT", "us"), np.datetime64("NaT", "us"))
    if target.is_by_date:
        labels = market_weeks(sessions.dates, sessions) if target is Timeframe.WEEK else sessions.dates
        same = [np.flatnonzero(labels == labels[each]) for each in (place[0], place[-1])]
        late, early = _usual_absence(at, place, series.length, sessions)
        return _Groups(labels[place], kept, sessions.opens[same[0][0]] + late, sessions.closes[same[1][-1]] - early)
    length = np.timedelta64(target.length)
    anchors = sessions.opens[place] - _lead(at, sessions.opens[place], series.length)
    labels = anchors + (np.maximum(at, anchors) - anchors) // length * length
    begins = np.maximum(labels[0], sessions.opens[place[0]])
    return _Groups(labels, kept, begins, np.minimum(labels[-1] + length, sessions.closes[place[-1]]))


def _usual_absence(
    at: Instants, place: NDArray[np.int64], length: np.timedelta64, sessions: Sessions
) -> tuple[np.timedelta64, np.timedelta64]:
    """How long after the opening the bars of most days begin, and how long before the close they end.

    Gold and futures rest for an hour within the sessions of 24/5. The first and the last day, which may be cut off, do
    not count.
    """
    dates = sessions.dates[place]
    begins = np.flatnonzero(dates[1:] != dates[:-1]) + 1
    opens = sessions.opens[np.searchsorted(sessions.dates, dates[begins], "left")]
    closes = sessions.closes[np.searchsorted(sessions.dates, dates[begins - 1], "right") - 1]
    return _median(at[begins] - opens), _median(closes - at[begins - 1] - length)


def _median(absences: NDArray[np.timedelta64]) -> np.timedelta64:
    middle: np.timedelta64 = np.sort(absences)[len(absences) // 2] if len(absences) else np.timedelta64(0, "us")
    return max(middle, np.timedelta64(0, "us"))


def _lead(at: Instants, opens: Instants, length: np.timedelta64) -> np.timedelta64:
    """By how much bars of this length, as most of these stand, are ahead of the opening that falls into one."""
    phases, counts = np.unique((at - opens) % length, return_counts=True)
    lead: np.timedelta64 = (length - phases[counts.argmax()]) % length
    return lead


def _joined(series: BarArrays, groups: _Groups) -> pl.DataFrame:
    rows = np.flatnonzero(groups.kept)
    if not len(rows):
        return pl.DataFrame(schema=SCHEMA)
    labels = groups.labels
    starts = np.concatenate([[0], np.flatnonzero(labels[1:] != labels[:-1]) + 1])
    ends = np.concatenate([starts[1:], [len(rows)]]) - 1
    open_, high, low, close = (getattr(series, name)[rows] for name in PRICES)
    columns = {
        "open": open_[starts],
        "high": np.maximum.reduceat(high, starts),
        "low": np.minimum.reduceat(low, starts),
        "close": close[ends],
        "volume": np.add.reduceat(series.volume[rows], starts),
    }
    stamps = pl.Series("timestamp", labels[starts]).dt.replace_time_zone("UTC")
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)


def _note(begins_late: bool, ends_early: bool, target: str) -> str:
    if not (begins_late or ends_early):
        return ""
    which = " and ".join([*["first"] * bool(begins_late), *["last"] * bool(ends_early)])
    return f"the {which} {target} bar was not whole and is left out"
