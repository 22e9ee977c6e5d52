from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ktrdr.market.calendars import choose_calendar
from ktrdr.market.trading_clock import Hole, TradingClock
from ktrdr.timeframe import Timeframe
from tests.bars import Series, every_source

Instants = NDArray[np.datetime64]


def opens(frame: pl.DataFrame) -> Instants:
    return frame["timestamp"].to_numpy().astype("datetime64[us]")


def without(instants: Instants, begin: str, end: str) -> Instants:
    """The instants, those from `begin` up to `end` left out."""
    return instants[(instants < np.datetime64(begin)) | (instants >= np.datetime64(end))]


def hours(begin: str, end: str) -> Instants:
    return np.arange(np.datetime64(begin, "h"), np.datetime64(end, "h")).astype("datetime64[us]")


def holes(symbol: str, timeframe: str, at: Instants, calendar: str | None = None) -> list[tuple[str, str, int]]:
    clock = TradingClock(Timeframe(timeframe), choose_calendar(symbol, Timeframe(timeframe), at, calendar))
    return [(f"{hole.after:%Y-%m-%d}", f"{hole.before:%Y-%m-%d}", hole.bars) for hole in clock.holes(at)]


@every_source
@pytest.mark.parametrize(
    "name", ["AAPL_1d", "SPY_1d", "AAPL_1h", "SPY_1h", "AAPL_5m", "SPY_5m", "EURUSD_1h", "BTCUSD_1h"]
)
def test_nights_weekends_holidays_halts_and_single_bars_are_no_holes(series: Series, name: str) -> None:
    symbol, _, timeframe = name.partition("_")

    assert holes(symbol, timeframe, opens(series(name))) == []
    if "USD" not in name:
        assert holes(symbol, timeframe, opens(series(name)), "XNYS") == []


@every_source
def test_a_hole_counts_the_bars_that_the_calendar_expects(series: Series) -> None:
    days = without(opens(series("AAPL_1d")), "2021-01-01", "2026-01-01")

    assert holes("AAPL", "1d", days) == [("2020-12-31", "2026-01-02", 1255)]  # the sessions of five years


@every_source
def test_three_weeks_without_minutes_are_a_hole(series: Series) -> None:
    minutes = opens(series("AAPL_1m"))

    assert holes("AAPL", "1m", minutes) == [("2021-08-25", "2021-09-15", 13 * 390)]


@pytest.mark.parametrize(
    ("symbol", "calendar", "begin", "end", "is_hole"),
    [
        ("BTCUSDT", None, "2024-03-05T00", "2024-03-05T23", False),  # maintenance
        ("BTCUSDT", None, "2024-03-05T00", "2024-03-06T06", True),
        ("AAPL", "XNYS", "2024-03-05T00", "2024-03-08T00", False),  # no longer than a weekend with a holiday
        ("AAPL", "XNYS", "2024-03-05T00", "2024-03-12T00", True),
        ("AAPL", None, "2024-03-05T00", "2024-03-11T00", False),  # as long as a holiday somewhere
        ("AAPL", None, "2024-03-05T00", "2024-03-19T00", True),
    ],
)
def test_a_hole_is_longer_than_its_market_is_ever_closed(
    symbol: str, calendar: str | None, begin: str, end: str, is_hole: bool
) -> None:
    every = hours("2024-02-01", "2024-04-01")
    if symbol == "AAPL":
        weekday, hour = every.astype("datetime64[D]").astype(int) + 3, every.astype("datetime64[h]").astype(int)
        every = every[(weekday % 7 < 5) & (hour % 24 >= 14)]

    assert bool(holes(symbol, "1h", without(every, begin, end), calendar)) is is_hole


def test_bars_that_are_missing_here_and_there_are_no_holes() -> None:
    kept = np.random.default_rng(0).random(60 * 24 * 30) < 0.3
    minutes = (np.datetime64("2024-01-01", "m") + np.flatnonzero(kept)).astype("datetime64[us]")

    assert holes("THINUSDT", "1m", minutes) == []


@given(st.sets(st.integers(0, 400), min_size=30, max_size=200), st.integers(2, 29))
def test_no_later_bar_makes_or_moves_a_hole(days: set[int], count: int) -> None:
    at = (np.datetime64("2024-01-01", "D") + np.array(sorted(days))).astype("datetime64[us]")
    clock = TradingClock(Timeframe.DAY, choose_calendar("X", Timeframe.DAY, at, "24/7"))

    whole, known = clock.holes(at), clock.holes(at[:count])

    assert known == tuple(hole for hole in whole if hole.row < count)
    assert all(isinstance(hole, Hole) and hole.bars > 5 for hole in whole)
