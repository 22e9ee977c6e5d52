"""The timeframes, that is, the lengths of bars, for all packages."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Self

from ktrdr.errors import InputError

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
# How other programs write the units. A month has no length of its own.
_SPELLINGS = {
    "m": ("m", "min", "mins", "minute", "minutes", "t"),
    "h": ("h", "hr", "hrs", "hour", "hours", "hourly"),
    "d": ("d", "day", "days", "daily"),
    "w": ("w", "wk", "week", "weeks", "weekly"),
    "mo": ("mo", "mon", "mth", "month", "months", "monthly"),
    "y": ("y", "yr", "year", "years", "yearly"),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_LONG = {"mo": timedelta(days=30), "y": timedelta(days=365)}


class Timeframe(StrEnum):
    """The length of a bar; members are in order, shortest first. `Timeframe("60m")` is an hour too."""

    MINUTE_1 = "1m"
    MINUTE_3 = "3m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_4 = "4h"
    HOUR_6 = "6h"
    HOUR_8 = "8h"
    HOUR_12 = "12h"
    DAY = "1d"
    WEEK = "1w"

    @property
    def length(self) -> timedelta:
        return int(self[:-1]) * _UNITS[self[-1]]

    @property
    def is_by_date(self) -> bool:
        """Whether a bar's timestamp is its trading date at 00:00 UTC (daily and weekly bars), not its opening."""
        return self.length >= timedelta(days=1)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        length = length_of(value) if isinstance(value, str) else None
        return next((each for each in cls if each.length == length), None)

    @classmethod
    def nearest(cls, text: str) -> Self | None:
        """The timeframe that is nearest in length to one that does not exist; None where the text tells no length."""
        length = length_of(text)
        return None if length is None else min(cls, key=lambda each: _ratio(each.length, length))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name in any spelling. Raises InputError with the one that is nearest in length."""
        try:
            return cls(text)
        except ValueError:
            known = ", ".join(cls)
            similar = cls.nearest(text)
            raise InputError(
                f"timeframe {text[:64]!r} is not one of {known}",
                hint=f"the nearest in length is '{similar}'" if similar else f"choose one of {known}",
                timeframe=text[:64],
            ) from None


def length_of(text: str) -> timedelta | None:
    """The length that a text such as `60m`, `1wk`, `daily` or `1M` tells; None where it tells none."""
    if (parts := re.fullmatch(r"(\d{0,4}) ?([A-Za-z]+)", text.strip())) is None:
        return None
    # "1M" means a month everywhere, so it must not become a minute.
    unit = "mo" if parts[2] == "M" else _UNIT_OF.get(parts[2].lower())
    if unit is None:
        return None
    return int(parts[1] or 1) * (_UNITS | _LONG)[unit] or None


def _ratio(one: timedelta, other: timedelta) -> float:
    return max(one / other, other / one)
