"""Lengths of time as options take them, all with the same units: 90s, 15m, 12h, 30d, 8w, 6mo, 5y."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

from ktrdr.errors import InputError

_AGE = re.compile(r"(\d{1,9})(s|m|h|d|w|mo|y)")
_LENGTHS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MONTHS = {"mo": 1, "y": 12}
_EXAMPLES = "90s, 15m, 12h, 30d, 8w, 6mo or 5y"
_OLDEST_DAYS = 36_500


def parse_from(text: str) -> date:
    """`--from`: an age, or a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        fault, hint = f"--from {text!r} is neither a day nor an age", f"write 2023-06-30, or {_EXAMPLES}"
        return _before(datetime.now(UTC), text, fault, hint).date()


def parse_every(text: str) -> float:
    """`--every` in seconds."""
    seconds = _length(text, f"--every {text!r} is not a length of time").total_seconds()
    if not seconds:
        raise InputError(f"--every {text!r} leaves no time between", hint=f"write {_EXAMPLES}")
    return seconds


def parse_older_than(text: str) -> float:
    """`--older-than` in days."""
    days = _length(text, f"--older-than {text!r} is not an age") / timedelta(days=1)
    if days > _OLDEST_DAYS:
        raise InputError(f"--older-than {text!r} is more than a hundred years", hint=f"write {_EXAMPLES}")
    return days


def _length(text: str, fault: str) -> timedelta:
    now = datetime.now(UTC)
    return now - _before(now, text, fault, f"write {_EXAMPLES}")


def _before(instant: datetime, text: str, fault: str, hint: str) -> datetime:
    """The instant so long before; months and years are those of the calendar. Raises InputError."""
    age = _AGE.fullmatch(text.strip())
    if not age:
        raise InputError(fault, hint=hint)
    count, unit = int(age[1]), age[2]
    try:
        return instant - count * _LENGTHS[unit] if unit in _LENGTHS else _months_before(instant, count * _MONTHS[unit])
    except (ValueError, OverflowError):
        raise InputError(fault, hint=hint) from None


def _months_before(instant: datetime, months: int) -> datetime:
    year, month = divmod(instant.year * 12 + instant.month - 1 - months, 12)
    last_day = monthrange(year, month + 1)[1]
    return instant.replace(year=year, month=month + 1, day=min(instant.day, last_day))
