"""Reads and writes instants: aware datetimes in UTC, as text ISO 8601 with a Z."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Literal


def format_instant(instant: datetime, timespec: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """For example `2023-06-30T13:30:00.123Z`; bars use seconds, records milliseconds."""
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Parse ISO 8601; a text without a zone is in UTC. Raises ValueError."""
    return as_instant(datetime.fromisoformat(text))


def as_instant(moment: date) -> datetime:
    """Convert to an aware instant in UTC; a naive one is in UTC, and a date means its midnight."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time.min, UTC)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
