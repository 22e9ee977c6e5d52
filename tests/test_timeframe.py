from __future__ import annotations

from datetime import timedelta

import pytest

from ktrdr.errors import InputError
from ktrdr.timeframe import Timeframe


def test_they_stand_from_the_shortest_to_the_longest() -> None:
    assert sorted(Timeframe, key=lambda timeframe: timeframe.length) == list(Timeframe)
    assert Timeframe.MINUTE_15.length == timedelta(minutes=15)
    assert Timeframe.WEEK.length == timedelta(days=7)


def test_only_days_and_weeks_are_filed_under_a_date() -> None:
    assert [timeframe for timeframe in Timeframe if timeframe.is_by_date] == ["1d", "1w"]


def test_capitals_are_folded_but_a_month_does_not_become_a_minute() -> None:
    assert Timeframe.parse("1D") is Timeframe.DAY
    with pytest.raises(InputError, match="timeframe '1M' is not one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w"):
        Timeframe.parse("1M")


@pytest.mark.parametrize(("text", "meant"), [("daily", "1d"), ("60m", "1h"), ("1wk", "1w"), ("10m", "1m")])
def test_the_nearest_name_is_suggested(text: str, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        Timeframe.parse(text)

    assert refused.value.hint == f"did you mean '{meant}'?"
