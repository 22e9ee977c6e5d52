from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from ktrdr.instants import as_instant, format_instant, parse_instant

NEW_YORK = timezone(timedelta(hours=-5))


def test_records_have_milliseconds_and_bars_seconds_both_in_utc() -> None:
    instant = datetime(2023, 6, 30, 9, 30, 0, 123456, NEW_YORK)

    assert format_instant(instant) == "2023-06-30T14:30:00.123Z"
    assert format_instant(instant, "seconds") == "2023-06-30T14:30:00Z"


@pytest.mark.parametrize("text", ["2023-06-30T14:30:00Z", "2023-06-30T09:30:00-05:00", "2023-06-30T14:30:00"])
def test_what_is_read_is_aware_of_utc(text: str) -> None:
    read = parse_instant(text)

    assert (read, read.tzinfo) == (datetime(2023, 6, 30, 14, 30, tzinfo=UTC), UTC)


def test_a_day_begins_at_its_midnight() -> None:
    assert as_instant(date(2023, 6, 30)) == datetime(2023, 6, 30, tzinfo=UTC)
