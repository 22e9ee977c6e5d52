from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import InputError, TrainingDataError
from ktrdr.market.bars import PRICES, SCHEMA
from ktrdr.market.quality import check, enforce
from ktrdr.market.quality.bars import BarArrays
from ktrdr.market.quality.chart import bins_of, draw
from ktrdr.market.quality.stored import check_stored, verdict_of
from ktrdr.market.series_file import StoredBars
from ktrdr.market.sessions import sessions_of
from ktrdr.market.store import BarStore
from ktrdr.payloads.data import QualityReport
from ktrdr.timeframe import Timeframe
from tests.bars import Series, every_source


def walk(stamps: np.ndarray, seed: int = 1) -> pl.DataFrame:
    """Made-up bars that move as a market does, at these instants."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.002, len(stamps))))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.0003, len(stamps)))
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) * 1.001,
        "low": np.minimum(open_, close) * 0.999,
        "close": close,
        "volume": random.integers(1000, 5000, len(stamps)).astype(float),
    }
    return pl.DataFrame({"timestamp": pl.Series(stamps).dt.replace_time_zone("UTC"), **columns}, schema=SCHEMA)


def sound(
    calendar: str = "XNYS", timeframe: str = "30m", first: str = "2023-01-03", last: str = "2023-12-29"
) -> pl.DataFrame:
    """A bar for every one that the calendar's sessions expect."""
    since, until = np.datetime64(first, "us"), np.datetime64(f"{last}T23:59", "us")
    sessions = sessions_of(calendar, since, until).between(since, until)
    length = np.timedelta64(Timeframe(timeframe).length)
    if timeframe == "1d":
        return walk(sessions.days[(sessions.days >= since) & (sessions.days <= until)])
    slots = [np.arange(begin, end, length) for begin, end in zip(sessions.opens, sessions.closes, strict=True)]
    return walk(np.concatenate(slots))


def kinds(report: QualityReport, severity: str | None = None) -> set[str]:
    return {fault.kind for fault in report.faults if severity in (None, fault.severity)}


def told(report: QualityReport, kind: str) -> str:
    (fault,) = [fault for fault in report.faults if fault.kind == kind]
    return fault.message


def real_faults(report: QualityReport) -> set[str]:
    return kinds(report) - kinds(report, "note")


# Whole series: what their description names is found, and nothing else.


@every_source
@pytest.mark.parametrize("symbol", ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "SPY", "QQQ"])
def test_daily_bars_have_every_session_and_nothing_wrong(symbol: str, series: Series) -> None:
    report = check(series(f"{symbol}_1d"), symbol, "1d")

    assert (report.verdict, report.score, report.coverage, report.faults) == ("sound", 100.0, 1.0, ())
    assert (report.calendar.name, report.calendar.is_guess) == ("XNYS", True)


@every_source
def test_of_hours_the_partial_first_bar_the_halt_and_the_bad_ticks_are_found(series: Series) -> None:
    apple, spy = check(series("AAPL_1h"), "AAPL", "1h"), check(series("SPY_1h"), "SPY", "1h")

    for report in (apple, spy):
        assert "holds 30 of 60 minutes" in told(report, "partial_first_bar")
        assert kinds(report, "note") == {"partial_first_bar", "outside_sessions"}
    assert real_faults(spy) == set()
    # Nasdaq halted all its shares that afternoon; SPY is another exchange's.
    assert [(gap.first, gap.bars) for gap in apple.gaps] == [(datetime(2013, 8, 22, 17, tzinfo=UTC), 2)]
    assert real_faults(apple) == {"missing", "spikes"}
    (ticks,) = [fault for fault in apple.faults if fault.kind == "spikes"]
    assert {moment.date() for moment in ticks.instants} == {
        date(2000, 11, 1), date(2001, 4, 5), date(2009, 9, 21), date(2010, 8, 31), date(2011, 1, 3)
    }  # fmt: skip


@every_source
@pytest.mark.parametrize("symbol", ["AAPL", "SPY"])
def test_of_minutes_the_missing_session_is_found_and_extended_hours_are_no_fault(symbol: str, series: Series) -> None:
    report = check(series(f"{symbol}_5m"), symbol, "5m")

    assert real_faults(report) == {"missing", "missing_sessions"}
    assert told(report, "missing_sessions") == "1 session missing whole: 2025-08-07"
    assert (report.expected - report.present, report.longest_gap, report.gap_count) == (78, 78, 1)
    assert "between 04:00 and" in told(report, "outside_sessions")


@every_source
def test_the_seven_sessions_of_minutes_lack_those_between(series: Series) -> None:
    report = check(series("AAPL_1m"), "AAPL", "1m")

    assert report.verdict == "faulty"
    assert "13 sessions missing whole: 2021-08-26" in told(report, "missing_sessions")
    assert (report.expected, report.expected - report.present) == (20 * 390, 13 * 390 + 4)


@every_source
def test_currency_has_no_volume_and_coins_lack_two_hours(series: Series) -> None:
    euro, coin = check(series("EURUSD_1h"), "EURUSD", "1h"), check(series("BTCUSD_1h"), "BTCUSD", "1h")

    assert (euro.calendar.name, coin.calendar.name) == ("24/5", "24/7")
    assert "volume is 0 throughout" in told(euro, "zero_volume")
    assert "Sunday 21:00 to Monday 00:00 UTC" in told(euro, "hours_not_served")
    # The first hour after New Year's Day 2020, which other years have.
    assert [(gap.first, gap.bars) for gap in euro.gaps] == [(datetime(2020, 1, 1, 22, tzinfo=UTC), 1)]
    assert real_faults(euro) == {"missing"}
    assert [(gap.first, gap.bars) for gap in coin.gaps] == [(datetime(2020, 4, 25, 21, tzinfo=UTC), 2)]
    assert real_faults(coin) == {"missing", "zero_volume"}
    assert "3 bars have a volume of 0" in told(coin, "zero_volume")


# Bars that are sound but for one thing.


@pytest.mark.parametrize(
    ("calendar", "timeframe"),
    [("XNYS", "30m"), ("XNYS", "1h"), ("XNYS", "4h"), ("XNYS", "1d"), ("XHKG", "30m"), ("XTKS", "1h"), ("XLON", "1d"),
     ("24/5", "1h"), ("24/5", "1d"), ("24/7", "4h"), ("24/7", "1d"), ("CMES", "1h")],
)  # fmt: skip
def test_bars_as_the_calendar_has_them_are_sound(calendar: str, timeframe: str) -> None:
    report = check(sound(calendar, timeframe), "X", timeframe, calendar)

    assert (report.score, report.coverage, report.faults) == (100.0, 1.0, ())


@dataclass(frozen=True)
class Damage:
    do: Callable[[pl.DataFrame], pl.DataFrame]
    kind: str
    says: str
    calendar: str = "XNYS"
    timeframe: str = "30m"


def at(row: int, **values: float) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        is_row = pl.int_range(pl.len()) == row
        return frame.with_columns(
            pl.when(is_row).then(value).otherwise(name).alias(name) for name, value in values.items()
        )

    return change


def scaled(factor: float, before: datetime, *, with_volume: bool = False) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        early = pl.col("timestamp") < before
        parts = dict.fromkeys(PRICES, factor) | ({"volume": 1 / factor} if with_volume else {})
        return frame.with_columns(
            pl.when(early).then(pl.col(name) * by).otherwise(name).alias(name) for name, by in parts.items()
        )

    return change


def late(hours: int, since: datetime, until: datetime) -> Callable[[pl.DataFrame], pl.DataFrame]:
    shifted = pl.col("timestamp") + timedelta(hours=hours)
    inside = pl.col("timestamp").is_between(since, until)
    return lambda frame: frame.with_columns(pl.when(inside).then(shifted).otherwise("timestamp").alias("timestamp"))


def still(first: int, count: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        inside = pl.int_range(pl.len()).is_between(first, first + count - 1)
        price = frame["close"][first - 1]
        return frame.with_columns(pl.when(inside).then(price).otherwise(name).alias(name) for name in PRICES)

    return change


def without_day(day: date) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.filter(pl.col("timestamp").dt.date() != day)


def moved(row: int, by: timedelta) -> Callable[[pl.DataFrame], pl.DataFrame]:
    is_row = pl.int_range(pl.len()) == row
    return lambda frame: frame.with_columns(
        pl.when(is_row).then(pl.col("timestamp") + by).otherwise("timestamp").alias("timestamp")
    )


def day(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


JUNE = day(2023, 6, 1)
SUMMER, YEAR = (day(2023, 3, 12), day(2023, 11, 5)), (day(2022, 12, 1), day(2024, 1, 1))
ONE_BAR_OFF = (day(2023, 3, 12), day(2023, 3, 25))

DAMAGES = {
    "a bar twice": Damage(lambda f: pl.concat([f[:50], f[49:]]), "duplicates", "1 bar at an instant"),
    "out of order": Damage(lambda f: pl.concat([f[:50], f[60:70], f[50:60], f[70:]]), "out_of_order", "1 bar earlier"),
    "a high below the close": Damage(at(70, high=1.0, low=0.9), "high", "1 bar has a high that is below"),
    "a low above the open": Damage(at(70, low=1000.0, high=1001.0), "low", "1 bar has a low that is above"),
    "a price of zero": Damage(at(70, low=0.0), "no_price", "1 bar has a price that is missing"),
    "no number for a price": Damage(at(70, close=float("nan")), "no_price", "1 bar has a price that is missing"),
    "no number for a volume": Damage(at(70, volume=float("nan")), "no_volume", "1 bar has a volume that is missing"),
    "a volume of zero": Damage(at(70, volume=0.0), "zero_volume", "1 bar has a volume of 0"),
    "no volume at all": Damage(lambda f: f.with_columns(volume=0.0), "zero_volume", "volume is 0 throughout"),
    "a hole": Damage(lambda f: pl.concat([f[:30], f[33:]]), "missing", "3 of 3,238 bars that were expected"),
    "a session gone": Damage(without_day(JUNE.date()), "missing_sessions", "1 session missing whole: 2023-06-01"),
    "a day gone": Damage(lambda f: pl.concat([f[:30], f[31:]]), "missing", "1 of 250 bars", timeframe="1d"),
    "a still stretch": Damage(still(500, 9), "stale", "9 bars"),
    "still days": Damage(still(100, 4), "stale", "4 bars", timeframe="1d"),
    "a bad close": Damage(at(700, close=40.0, low=39.0), "spikes", "a close far from"),
    "a bad low": Damage(at(700, low=9.0), "spikes", "a high or low far from"),
    "a split of 2 for 1": Damage(scaled(2, JUNE), "split", "a split of 2 for 1"),
    "a split, volumes raw": Damage(scaled(1.5, JUNE, with_volume=True), "split", "a split of 3 for 2"),
    "a reverse split": Damage(scaled(0.1, JUNE), "split", "a split of 1 for 10", timeframe="1d"),
    "summer time missed": Damage(late(1, *SUMMER), "shifted_hours", "1 hour late by the clock of New York: 2023-03-13"),
    "New York's time for UTC": Damage(late(-5, *YEAR), "shifted_hours", "5 hours early by the clock of New York"),
    "two weeks of FX late": Damage(late(1, *ONE_BAR_OFF), "shifted_hours", "1 hour late", "24/5", "1h"),
    "dates a day early": Damage(late(-24, *YEAR), "shifted_days", "a day early", timeframe="1d"),
    "a holiday's bar": Damage(
        moved(124, timedelta(days=1)), "closed_days", "without a session: 2023-07-04", timeframe="1d"
    ),
    "bars beside the grid": Damage(moved(90, timedelta(minutes=7)), "off_grid", "1 bar stand at other instants"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_each_fault_is_found_and_costs_score(damage: Damage) -> None:
    frame = damage.do(sound(damage.calendar, damage.timeframe))

    report = check(frame, "X", damage.timeframe, damage.calendar)

    assert damage.says in told(report, damage.kind)
    assert report.verdict != "sound"
    assert report.score < 100 or damage.says == "volume is 0 throughout"
    # Bars at wrong hours are missing at the right ones.
    missing = {"missing", "missing_sessions"}
    assert real_faults(report) - missing == {damage.kind} - missing


def test_a_real_crash_is_no_split_and_a_volatile_market_no_spike() -> None:
    frame = sound(timeframe="1d")
    # Half the value goes overnight, and everybody trades.
    crash = scaled(2.02, JUNE)(frame).with_columns(
        pl.when(pl.col("timestamp") == JUNE).then(pl.col("volume") * 12).otherwise("volume").alias("volume")
    )

    assert "split" not in kinds(check(crash, "X", "1d"))


@pytest.mark.parametrize(
    ("symbol", "calendar"),
    [("AAPL", "XNYS"), ("VOD.L", "XLON"), ("7203.T", "XTKS"), ("EURUSD", "24/5"), ("EURUSD=X", "24/5"),
     ("JPY=X", "24/5"), ("GBP-CHF", "24/5"), ("BTC-USD", "24/7"), ("ETHUSDT", "24/7"), ("PEPE-USDT", "24/7"),
     ("ES=F", "CMES"), ("^N225", "XTKS")],
)  # fmt: skip
def test_the_calendar_is_guessed_by_the_symbol_and_the_guess_is_told(symbol: str, calendar: str) -> None:
    report = check(sound("24/5", "1d", last="2023-02-01"), symbol, "1d")

    assert (report.calendar.name, report.calendar.is_guess) == (calendar, True)
    assert report.calendar.why


def test_bars_on_saturdays_speak_for_a_market_that_never_closes() -> None:
    assert check(sound("24/7", "1h", last="2023-02-01"), "UNHEARDOF", "1h").calendar.name == "24/7"


def test_an_unknown_calendar_names_the_nearest() -> None:
    with pytest.raises(InputError, match="'XNYX' is not one of") as refused:
        check(sound(timeframe="1d"), "X", "1d", "XNYX")
    assert "XNYS" in refused.value.hint


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(1, 248), min_size=0, max_size=60))
def test_missing_bars_are_counted_exactly(lost: set[int]) -> None:
    frame = sound(timeframe="1d")
    present = [row for row in range(len(frame)) if row not in lost]

    report = check(frame[present], "X", "1d")

    runs = np.split(np.array(sorted(lost)), np.flatnonzero(np.diff(sorted(lost)) != 1) + 1) if lost else []
    assert report.expected - report.present == len(lost)
    assert report.gap_count == len(runs)
    assert report.longest_gap == max(map(len, runs), default=0)
    assert sum(gap.bars for gap in report.gaps) == len(lost)


# Limits.


@dataclass(frozen=True)
class Limits:
    min_coverage: float | None = None
    max_gap: int | None = None


def test_limits_stop_a_training_with_the_bars_in_question_named() -> None:
    frame = sound()
    holed = pl.concat([frame[:30], frame[33:100], frame[101:]])

    assert enforce(Limits(), StoredBars(holed, "made"), "X", "30m") is None
    assert enforce(Limits(0.99, 3), StoredBars(holed, "made"), "X", "30m", "XNYS") is not None
    with pytest.raises(TrainingDataError, match=r"lacks 3 bars in a row; data\.max_gap allows 2") as gap:
        enforce(Limits(max_gap=2), StoredBars(holed, "made"), "X", "30m", "XNYS")
    assert "2023-01-05 16:30 to 2023-01-05 17:30 (3); 2023-01-12 " in gap.value.detail
    assert gap.value.context["gaps"][0]["bars"] == 3
    with pytest.raises(TrainingDataError, match=r"coverage of 0\.9987; data\.min_coverage asks for 0\.999"):
        enforce(Limits(min_coverage=0.999), StoredBars(holed, "made"), "X", "30m", "XNYS")


# What is kept, and what is drawn.


def test_a_verdict_is_kept_until_the_bars_change(tmp_path: Path) -> None:
    store, frame = BarStore(tmp_path), sound(timeframe="1d")
    store.merge("X", "1d", frame[:100], "csv")
    assert verdict_of(store, store.info("X", "1d")) is None

    store.set_calendar("X", "XNYS")
    report = check_stored(store, "x", "1d")

    assert verdict_of(store, store.info("X", "1d")) == report.summary
    store.merge("X", "1d", frame[100:120], "csv")
    assert verdict_of(store, store.info("X", "1d")) is None
    assert check_stored(store, "X", "1d").calendar.is_guess is False  # given once, it holds


def test_a_report_is_drawn_and_its_bins_tell_where_bars_are_missing() -> None:
    frame = sound(timeframe="1d")
    holed = frame.filter(pl.col("timestamp").dt.month() != 6)
    report = check(holed, "X", "1d")

    bins = bins_of(report, BarArrays.of(holed, Timeframe.DAY))

    assert draw(report, holed).startswith(b"\x89PNG")
    inside = (bins.edges[:-1] >= np.datetime64("2023-06-05")) & (bins.edges[1:] <= np.datetime64("2023-06-29"))
    assert (bins.shares[inside] == 0).all()
    assert bins.word == "week"
