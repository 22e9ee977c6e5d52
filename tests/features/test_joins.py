"""No feature knows a bar before its close, whatever the zone and the hour at which the bars of a source open."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import LeakFound
from ktrdr.features.assemble import build_dataset
from ktrdr.features.columns import build_features
from ktrdr.features.leaks.gate import check_leaks
from ktrdr.market.bars import SCHEMA
from ktrdr.market.days import trading_days
from ktrdr.market.quality.stored import check_stored
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe

ZONES = ("UTC", "America/New_York", "Asia/Hong_Kong", "Asia/Tokyo", "Asia/Kathmandu", "America/Havana", "Asia/Beirut",
         "Pacific/Auckland", "Australia/Lord_Howe", "America/Santiago")  # fmt: skip


def bars_at(stamps: list[datetime], seed: int) -> pl.DataFrame:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, len(stamps))))
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": np.ones(len(close))}
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)


def strategy(timeframes: tuple[str, str], calendar: str | None = None) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "timeframes": timeframes,
            "calendar": calendar,
            "model": {"type": "mlp", "sequence_length": 4},
            "labels": {"type": "direction", "horizon": 2},
            "indicators": [{"name": "rsi", "period": 3, "timeframe": timeframes[0]}],
        }
    )


def openings(first: date, count: int, at: time, zone: str, step: int) -> list[datetime]:
    days = [first + timedelta(days=step * number) for number in range(count)]
    return [datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC) for day in days]


def stretch(first: date, count: int, base: Timeframe) -> list[datetime]:
    start = datetime.combine(first, time.min, UTC)
    return [start + number * base.length for number in range(int(timedelta(days=count) / base.length))]


@cache
def new_york_closes() -> dict[date, datetime]:
    calendar = exchange_calendars.get_calendar("XNYS", start="2019-01-01", end="2025-12-31")
    return {day.date(): close.to_pydatetime() for day, close in calendar.closes.items()}


def known_returns(opens: list[datetime], ends: list[datetime], close: list[float], now: datetime) -> float | None:
    """The return of the newest bar that has ended, by going through all of them."""
    ended = [number for number in range(len(opens)) if ends[number] <= now]
    return math.log(close[ended[-1]] / close[ended[-1] - 1]) if len(ended) > 1 else None


@settings(max_examples=20, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    quarter=st.integers(0, 95),
    first=st.dates(date(2019, 1, 1), date(2024, 12, 1)),
    base=st.sampled_from([Timeframe.MINUTE_30, Timeframe.HOUR_1, Timeframe.HOUR_4]),
    longer=st.sampled_from([Timeframe.DAY, Timeframe.WEEK]),
    is_named=st.booleans(),
)
def test_no_feature_knows_a_bar_before_it_has_closed(
    zone: str, quarter: int, first: date, base: Timeframe, longer: Timeframe, is_named: bool
) -> None:
    step, count = longer.length.days, 24 if longer is Timeframe.DAY else 8
    opens = openings(first, count, time(quarter // 4, 15 * (quarter % 4)), zone, step)
    days, minutes = bars_at(opens, 1), bars_at(stretch(first, step * count, base), 2)
    found = trading_days(days["timestamp"], "BTC-USD", longer, zone=zone)
    with TemporaryDirectory() as folder:
        store = BarStore(Path(folder))
        store.merge("BTC-USD", base, minutes, "csv")
        store.merge("BTC-USD", longer, days.with_columns(timestamp=found.dates), "csv", clock=found.clock)
        if is_named:
            store.set_calendar("BTC-USD", "24/7")
        bars = {str(each): store.read_stored("BTC-USD", each).frame for each in (base, longer)}

    table = build_features(strategy((base, longer)), SymbolBars(bars))

    seen = table.values[:, table.names.index(f"log_return@{longer}")]
    # Where the clock is put back, a day of its zone is an hour longer than its length.
    surely, slack = [at + longer.length for at in opens], timedelta(hours=2)
    close = days["close"].to_list()
    for row in range(table.warmup, len(minutes), 17):
        now = minutes["timestamp"][row] + base.length
        may = known_returns(opens, surely, close, now)
        must = known_returns(opens, [end + slack for end in surely], close, now)
        assert seen[row] in (may, must)


@settings(max_examples=8, deadline=None)
@given(first=st.dates(date(2019, 2, 1), date(2024, 12, 1)), is_stored=st.booleans(), is_noon=st.booleans())
def test_by_a_calendar_a_day_is_known_at_the_close_of_its_session_and_not_before(
    first: date, is_stored: bool, is_noon: bool
) -> None:
    sessions = [first + timedelta(days=number) for number in range(40)]
    sessions = [day for day in sessions if day in new_york_closes()]
    at = time(12) if is_noon else time(0)
    days = bars_at([datetime.combine(day, at, ZoneInfo("America/New_York")).astimezone(UTC) for day in sessions], 1)
    minutes = bars_at(stretch(first, 40, Timeframe.HOUR_1), 2)
    with TemporaryDirectory() as folder:
        store = BarStore(Path(folder))
        store.merge("ACME", "1h", minutes, "csv")
        store.merge("ACME", "1d", days, "csv")
        if is_stored:
            store.set_calendar("ACME", "XNYS")
        bars = {each: store.read_stored("ACME", each).frame for each in ("1h", "1d")}

    table = build_features(strategy(("1h", "1d"), None if is_stored else "XNYS"), SymbolBars(bars))

    seen, close = table.values[:, table.names.index("log_return@1d")], days["close"].to_list()
    ends = [new_york_closes()[day] for day in sessions]
    for row in range(table.warmup, len(minutes), 5):
        opened = minutes["timestamp"][row]
        # An hour that its session ends early has ended with it.
        early = [end for end in ends if opened < end < opened + timedelta(hours=1)]
        now = early[0] if early else opened + timedelta(hours=1)
        assert seen[row] == known_returns(sessions, ends, close, now)  # type: ignore[arg-type]


def test_the_leak_gate_finds_days_that_an_older_version_cut_to_their_dates() -> None:
    """Days from 16:00 UTC to 16:00 UTC, once filed under the date of their opening and once as they are."""
    first, count = date(2024, 1, 1), 120
    hours = bars_at(stretch(first, count, Timeframe.HOUR_1), 3)
    shifted = hours.with_columns(day=(pl.col("timestamp") + timedelta(hours=8)).dt.truncate("1d"))
    days = (
        shifted.group_by("day", maintain_order=True)
        .agg(pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume"))
        .rename({"day": "timestamp"})
        .cast(pl.Schema(SCHEMA))[1:-1]
    )
    as_they_are = {"BTC-USD": SymbolBars({"1h": hours, "1d": days})}
    cut = {"BTC-USD": SymbolBars({"1h": hours, "1d": days.with_columns(pl.col("timestamp") - timedelta(days=1))})}
    spec = strategy(("1h", "1d"))

    assert check_leaks(spec, as_they_are, build_dataset(spec, as_they_are)).passed
    with pytest.raises(LeakFound, match=r"the 1d bars of BTC-USD are filed early: .* they close 16 hours after"):
        check_leaks(spec, cut, build_dataset(spec, cut))


def test_the_check_of_stored_days_finds_them_too(tmp_path: Path) -> None:
    hours = bars_at(stretch(date(2024, 1, 1), 30, Timeframe.HOUR_1), 3)
    ends = pl.col("timestamp").dt.hour() == 15
    days = hours.filter(ends).with_columns((pl.col("timestamp") - timedelta(days=1)).dt.truncate("1d"))
    store = BarStore(tmp_path)
    store.merge("BTC-USD", "1h", hours, "csv")
    store.merge("BTC-USD", "1d", days, "csv")

    report = check_stored(store, "BTC-USD", "1d")

    (fault,) = [fault for fault in report.faults if fault.kind == "filed_early"]
    assert fault.severity == "error"
    assert "they close 16 hours after they claim to" in fault.message
    assert "--replace" in fault.message
