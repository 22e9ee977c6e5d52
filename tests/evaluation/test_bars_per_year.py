"""How many bars a year there are, against what the exchange's own calendar has."""

from __future__ import annotations

import numpy as np
import pytest
from exchange_calendars import get_calendar
from numpy.typing import NDArray

from ktrdr.evaluation.bars_per_year import bars_per_year
from ktrdr.market.trading_clock import TradingClock
from ktrdr.payloads.data import CalendarChoice
from ktrdr.timeframe import Timeframe
from tests.bars import one_source

Instants = NDArray[np.datetime64]


def clock(timeframe: Timeframe, calendar: str, *, is_guess: bool = True) -> TradingClock:
    return TradingClock(timeframe, CalendarChoice(name=calendar, why="", is_guess=is_guess))


DAYS = clock(Timeframe.DAY, "XNYS")
COINS = clock(Timeframe.DAY, "24/7")
MINUTES = clock(Timeframe.MINUTE_1, "XNYS", is_guess=False)


def sessions(begin: str, end: str) -> Instants:
    found = get_calendar("XNYS", start="2013-01-01", end="2026-12-31").sessions_in_range(begin, end)
    stamps: Instants = found.to_numpy().astype("datetime64[us]")
    return stamps


def minutes(begin: str, end: str) -> Instants:
    """Of whole sessions in summer, which begin at 13:30 UTC."""
    offsets = (13 * 60 + 30 + np.arange(390)) * np.timedelta64(1, "m")
    stamps: Instants = (sessions(begin, end)[:, None] + offsets).ravel()
    return stamps


def test_a_hole_in_the_history_before_the_part_changes_nothing() -> None:
    part = sessions("2025-01-01", "2026-06-26")

    assert bars_per_year(part, [DAYS]) == pytest.approx(250, abs=1)


def test_a_hole_within_the_part_counts_as_no_time() -> None:
    holed = np.concatenate([sessions("2019-12-27", "2020-12-31"), sessions("2026-01-02", "2026-06-26")])

    assert bars_per_year(holed, [DAYS]) == pytest.approx(251, abs=1)
    assert bars_per_year(holed, [DAYS], bridges_holes=True) == pytest.approx(58, abs=1)


@pytest.mark.parametrize("begin", ["2021-09-17", "2021-09-20"])
def test_a_session_or_two_of_minutes_count_by_the_calendar(begin: str) -> None:
    part = minutes(begin, "2021-09-20")

    assert bars_per_year(part, [MINUTES]) == 250 * 390 + 2 * 210  # two half days since September 2020


def test_a_source_that_lacks_a_fifth_of_its_minutes_has_as_much_less_a_year() -> None:
    every = minutes("2021-09-13", "2021-09-20")

    thin = every[np.arange(len(every)) % 5 > 0]

    assert bars_per_year(thin, [MINUTES]) == pytest.approx(0.8 * 97_920, rel=1e-3)


def test_a_share_beside_a_coin_has_the_bars_of_both() -> None:
    coin = np.arange(np.datetime64("2022-01-14"), np.datetime64("2023-12-15")).astype("datetime64[us]")
    both = np.unique(np.concatenate([sessions("2022-01-14", "2023-12-15"), coin]))

    assert bars_per_year(both, [DAYS, COINS]) == pytest.approx(365.25)


def test_bars_after_the_bell_alone_are_never_more_than_time_has_room_for() -> None:
    evening = np.arange(np.datetime64("2021-09-20T21:00"), np.datetime64("2021-09-20T23:00")).astype("datetime64[us]")

    assert bars_per_year(evening, [MINUTES]) == pytest.approx(365.25 * 1440)


def test_extended_hours_count_as_they_are() -> None:
    part = one_source("AAPL_5m")["timestamp"].tail(9000).to_numpy().astype("datetime64[us]")
    span_years = float((part[-1] - part[0]) / np.timedelta64(1, "s")) / (365.25 * 86_400)

    found = bars_per_year(part, [clock(Timeframe.MINUTE_5, "XNYS")])

    assert found == pytest.approx(len(part) / span_years, rel=0.03)
