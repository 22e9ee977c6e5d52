"""The week that a trading date belongs to, as its market counts weeks."""

from __future__ import annotations

import numpy as np

from ktrdr.market.sessions import DAY, Instants, Sessions

WEEK = 7 * DAY

# 1970-01-01 was a Thursday.
_FIRST_MONDAY = np.datetime64("1970-01-05T00:00:00", "us")
_SATURDAY, _SUNDAY = 5 * DAY, 6 * DAY


def monday_of(instants: Instants) -> Instants:
    """The midnight of each one's Monday, by the calendar of everyday life."""
    mondays: Instants = instants - (instants - _FIRST_MONDAY) % WEEK
    return mondays


def market_weeks(dates: Instants, sessions: Sessions) -> Instants:
    """The Monday of the market's week that each date belongs to.

    A week ends with the market's longest rest. So Sunday begins a week where Saturday is a day of rest, in Riyadh and
    for the first bars of foreign exchange, and Saturday does where Friday is one.
    """
    mondays = monday_of(dates)
    if sessions.is_always:
        return mondays
    traded = np.union1d(sessions.days, dates)
    day_before, two_before = np.isin(dates - DAY, traded), np.isin(dates - 2 * DAY, traded)
    weekday = dates - mondays
    begins_week = ((weekday == _SATURDAY) & ~day_before) | ((weekday == _SUNDAY) & ~(day_before & two_before))
    return np.where(begins_week, mondays + WEEK, mondays)
