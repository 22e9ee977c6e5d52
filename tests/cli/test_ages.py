from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ktrdr.cli.ages import parse_every, parse_from, parse_older_than
from ktrdr.errors import InputError


@pytest.mark.parametrize(
    ("text", "least", "most"), [("48h", 2, 2), ("30d", 30, 30), ("8w", 56, 56), ("6mo", 181, 184), ("5y", 1826, 1827)]
)
def test_an_age_is_counted_back_from_today(text: str, least: int, most: int) -> None:
    age = datetime.now(UTC).date() - parse_from(text)

    assert least <= age.days <= most
    assert least <= parse_older_than(text) <= most
    assert parse_every(text) == parse_older_than(text) * 86_400


def test_from_takes_a_day_too() -> None:
    assert parse_from("2023-06-30") == date(2023, 6, 30)


@pytest.mark.parametrize("text", ["5q", "y", "2023-13-01", "9999y", "1M", "-1d", "1.5d", ""])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    for parse in (parse_from, parse_every, parse_older_than):
        with pytest.raises(InputError):
            parse(text)


def test_a_pause_of_zero_and_more_than_a_hundred_years_are_refused() -> None:
    assert parse_older_than("0d") == 0
    with pytest.raises(InputError):
        parse_every("0s")
    with pytest.raises(InputError, match="more than a hundred years"):
        parse_older_than("101y")
