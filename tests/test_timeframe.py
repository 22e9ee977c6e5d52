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


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1D", "1d"), ("60m", "1h"), ("60min", "1h"), ("hourly", "1h"), ("4H", "4h"), ("720m", "12h"), ("24h", "1d"),
     ("daily", "1d"), ("7d", "1w"), ("1wk", "1w"), ("15Min", "15m")],
)  # fmt: skip
def test_another_spelling_of_the_same_length_is_the_same_timeframe(text: str, meant: str) -> None:
    assert Timeframe.parse(text) is Timeframe(text) is Timeframe(meant)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("1M", "1w"), ("1mo", "1w"), ("3d", "1w"), ("36h", "1d"), ("10m", "15m"), ("3h", "4h"), ("1y", "1w")],
)
def test_one_that_does_not_exist_is_refused_with_the_nearest_in_length(text: str, nearest: str) -> None:
    with pytest.raises(InputError, match=f"timeframe '{text}' is not one of 1m, 3m, 5m, 15m, 30m, 1h, 2h,") as refused:
        Timeframe.parse(text)

    assert refused.value.hint == f"the nearest in length is '{nearest}'"


@pytest.mark.parametrize("text", ["", "0m", "1.5h", "soon", "-1h", "99999y"])
def test_a_text_without_a_length_is_refused_with_the_list(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Timeframe.parse(text)

    assert refused.value.hint == f"choose one of {', '.join(Timeframe)}"
