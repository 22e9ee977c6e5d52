"""The sessions of exchanges, by the library exchange_calendars, as far as it knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from ktrdr.errors import InputError

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExchangeYears:
    """What is known of an exchange between two dates.

    calendars: the library's calendars, one behind the other
    since, until: the first and the last date that they cover; `since` is after `until` where they cover none
    """

    calendars: tuple[Any, ...]
    since: date
    until: date


def exchange_years(name: str, since: date, until: date) -> ExchangeYears:
    """The calendar of an exchange from `since` to `until`, or of those of its years that the library knows.

    Raises InputError when the library cannot build it.
    """
    factory = _factory(name)
    earliest, latest = factory.bound_min(), factory.bound_max()
    first = since if earliest is None else max(since, earliest.date())
    last = until if latest is None else min(until, latest.date())
    if first > last:
        return ExchangeYears((), first, last)
    if (calendars := _build(name, first, last)) is None:
        raise InputError(
            f"the calendar {name} cannot be had: the library exchange_calendars fails to build it",
            hint="name another calendar: 24/5 for Monday to Friday around the clock, 24/7 for none",
            calendar=name,
        )
    return ExchangeYears(calendars, first, last)


@lru_cache(maxsize=32)
def _build(name: str, since: date, until: date) -> tuple[Any, ...] | None:
    """None where the library fails, remembered as it fails slowly."""
    factory = _factory(name)
    return _try(factory, since, until) or _by_weekmask(factory, since, until)


def _factory(name: str) -> Any:
    """The library's class. It knows its first and last year, which the library tells in no other way."""
    from exchange_calendars import calendar_utils  # a second to import, and only for those who need an exchange

    factories = calendar_utils._default_calendar_factories
    if (own_name := calendar_utils.resolve_alias(name)) not in factories:
        raise InputError(f"calendar {name[:64]!r} is not one of exchange_calendars", hint="for example XNYS or 24/7")
    return factories[own_name]


def _try(factory: Callable[..., Any], since: date, until: date) -> tuple[Any, ...] | None:
    try:
        return (factory(start=since.isoformat(), end=until.isoformat()),)
    except Exception:  # noqa: BLE001  pandas and the rules of 70 exchanges raise whatever they run into
        return None


def _by_weekmask(factory: Any, since: date, until: date) -> tuple[Any, ...] | None:
    """One calendar for each stretch of years in which an exchange trades on the same weekdays.

    pandas 3 takes no account of weekdays that have changed since, as Tel Aviv's did in 2026, so that the library finds
    early closes on days without a session.
    """
    calendars: list[Any] = []
    for weekmask, first, last in _weekmasks(factory, since, until):
        one_week = type(factory.__name__, (factory,), {"weekmask": weekmask, "special_weekmasks": []})
        if (built := _try(one_week, first, last)) is None:
            return None
        calendars.extend(built)
    return tuple(calendars) or None


def _weekmasks(factory: Any, since: date, until: date) -> Iterator[tuple[str, date, date]]:
    """The weekdays of sessions, and from when to when they are those."""
    rules = object.__new__(factory)
    position = since
    for begin, end, weekmask in getattr(rules, "special_weekmasks", ()):
        first = max(position, begin.date() if begin is not None else position)
        last = min(until, end.date() if end is not None else until)
        if first > last:
            continue
        if first > position:
            yield rules.weekmask, position, first - _A_DAY
        yield weekmask, first, last
        position = last + _A_DAY
    if position <= until:
        yield rules.weekmask, position, until
