"""Instants as everybody writes and reads them: aware of UTC, and as text ISO 8601 with a Z."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Literal


def format_instant(instant: datetime, timespec: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """`2023-06-30T13:30:00.123Z`. Bars are written to the second, records to the millisecond."""
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Without a zone it is taken as UTC. Raises ValueError."""
    return as_instant(datetime.fromisoformat(text))


def as_instant(moment: date) -> datetime:
    """The instant in UTC, in which one without a zone is taken to be; of a day its midnight."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time.min, UTC)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
