"""Instants and counts as messages show them."""

from __future__ import annotations

import numpy as np

from ktrdr.market.sessions import Instants
from ktrdr.payloads.data import Gap

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMED = 3


def bars(count: int) -> str:
    return f"{count:,} {'bar' if count == 1 else 'bars'}"


def place(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")


def clock(minute: int, *, of_week: bool = False) -> str:
    day, rest = divmod(minute, 1440)
    hour = f"{rest // 60:02}:{rest % 60:02}"
    return f"{_DAYS[day % 7]} {hour}" if of_week else hour


def time(moment: np.datetime64, *, by_date: bool) -> str:
    return str(moment.astype("datetime64[D]" if by_date else "datetime64[m]")).replace("T", " ")


def times(moments: Instants, *, by_date: bool) -> str:
    """The first few, and how many there are beside."""
    more = ", …" if len(moments) > _NAMED else ""
    return ", ".join(time(moment, by_date=by_date) for moment in moments[:_NAMED]) + more


def span(gap: Gap, by_date: bool) -> str:
    form = "%Y-%m-%d" if by_date else "%Y-%m-%d %H:%M"
    first, last = gap.first.strftime(form), gap.last.strftime(form)
    return first if first == last else f"{first} to {last}"
