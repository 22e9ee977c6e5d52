"""The timeframes, that is, the lengths of bars, for all packages."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Self

from ktrdr.errors import InputError, nearest

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
# Names that other programs use; error messages suggest the right one.
_ALIASES = {
    "60m": "1h",
    "hourly": "1h",
    "24h": "1d",
    "d": "1d",
    "day": "1d",
    "daily": "1d",
    "1wk": "1w",
    "weekly": "1w",
}


class Timeframe(StrEnum):
    """The length of a bar; members are in order, shortest first."""

    MINUTE_1 = "1m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOUR_1 = "1h"
    HOUR_4 = "4h"
    DAY = "1d"
    WEEK = "1w"

    @property
    def length(self) -> timedelta:
        return int(self[:-1]) * _UNITS[self[-1]]

    @property
    def is_by_date(self) -> bool:
        """Whether a bar's timestamp is a date at 00:00 UTC (daily and weekly bars), not its opening instant."""
        return self.length >= timedelta(days=1)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name in any case. Raises InputError with the nearest name."""
        # "1M" means a month everywhere, so it must not become a minute.
        is_month = text.endswith("M")
        folded = text if is_month else text.lower()
        try:
            return cls(folded)
        except ValueError:
            known = ", ".join(cls)
            similar = _ALIASES.get(folded) or (None if is_month else nearest(folded, cls))
            raise InputError(
                f"timeframe {text[:64]!r} is not one of {known}",
                hint=f"did you mean '{similar}'?" if similar else f"choose one of {known}",
                timeframe=text[:64],
            ) from None
