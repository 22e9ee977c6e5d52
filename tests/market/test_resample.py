from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import InputError
from ktrdr.market.quality import check
from ktrdr.market.resample import resample
from tests.bars import Series, every_source
from tests.market.test_quality import sound


def opens(frame: pl.DataFrame, day: str, zone: str = "America/New_York") -> list[str]:
    local = frame["timestamp"].dt.convert_time_zone(zone)
    return local.filter(local.dt.strftime("%Y-%m-%d") == day).dt.strftime("%H:%M").to_list()


@every_source
def test_a_days_bar_is_its_sessions_and_agrees_with_another_source(series: Series) -> None:
    minutes, days = series("AAPL_5m"), series("AAPL_1d")
    made = resample(minutes, "AAPL", "5m", "1d", "XNYS")

    both = made.frame.join(days, on="timestamp", suffix="_day")

    assert len(both) == len(made.frame) == 249
    # The other source is adjusted for dividends, a quarter dollar each.
    for name in ("open", "high", "low", "close"):
        assert (both[name] / both[f"{name}_day"] - 1).abs().max() < 0.01  # type: ignore[operator]
    bars_a_half_day, half_days = 42, 3
    inside = (len(both) - half_days) * 78 + half_days * bars_a_half_day
    assert made.note.startswith(f"{len(minutes) - inside:,} bars outside of the sessions are left out: ")
    assert check(made.frame, "AAPL", "1d").expected - len(made.frame) == 1


@every_source
def test_intraday_bars_are_counted_from_the_opening_and_end_with_the_session(series: Series) -> None:
    hours = resample(series("AAPL_5m"), "AAPL", "5m", "1h", "XNYS").frame

    assert opens(hours, "2024-08-09") == ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]
    assert opens(hours, "2024-11-29") == ["09:30", "10:30", "11:30", "12:30"]  # a half day
    report = check(hours, "AAPL", "1h")
    assert {fault.kind for fault in report.faults} == {"missing", "missing_sessions"}


@every_source
def test_where_bars_stand_at_full_hours_longer_ones_do_too(series: Series) -> None:
    made = resample(series("AAPL_1h"), "AAPL", "1h", "4h").frame

    assert opens(made, "2021-03-31") == ["09:00", "13:00"]


@every_source
def test_a_day_of_currency_ends_in_new_york_and_one_of_coins_at_midnight(series: Series) -> None:
    euro = resample(series("EURUSD_1h"), "EURUSD", "1h", "1d").frame
    coin = resample(series("BTCUSD_1h"), "BTCUSD", "1h", "1d")
    hours = series("EURUSD_1h").filter(
        pl.col("timestamp").is_between(
            datetime(2023, 6, 6, 21, tzinfo=UTC), datetime(2023, 6, 7, 21, tzinfo=UTC), closed="left"
        )
    )

    (day,) = euro.filter(pl.col("timestamp") == datetime(2023, 6, 7, tzinfo=UTC)).to_dicts()
    assert (day["open"], day["close"]) == (hours["open"][0], hours["close"][-1])
    assert (day["high"], day["low"]) == (hours["high"].max(), hours["low"].min())
    assert coin.note == "the first and last 1d bar was not whole and is left out"
    assert coin.frame["timestamp"][0] == datetime(2018, 5, 16, tzinfo=UTC)


def test_weeks_are_made_of_days_and_an_unfinished_one_is_left_out() -> None:
    days = sound(timeframe="1d")  # from Tuesday, the first session of the year, to a Friday

    whole, cut = resample(days, "X", "1d", "1w"), resample(days[:-1], "X", "1d", "1w")

    assert (len(whole.frame), whole.note) == (52, "")
    assert (len(cut.frame), cut.note) == (51, "the last 1w bar was not whole and is left out")
    assert whole.frame["timestamp"].dt.weekday().unique().to_list() == [1]
    assert whole.frame["volume"].sum() == days["volume"].sum()


def test_what_cannot_be_made_is_refused() -> None:
    frame = sound(timeframe="1h", last="2023-01-10")

    with pytest.raises(InputError, match="30m bars cannot be made of 1h bars") as refused:
        resample(frame, "X", "1h", "30m")
    assert refused.value.hint == "of 1h bars: 2h, 4h, 6h, 8h, 12h, 1d, 1w"
    with pytest.raises(InputError, match="make no whole 1d bar"):
        resample(frame[2:4], "X", "1h", "1d", "XNYS")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 60), st.integers(200, 600), st.sampled_from(["15m", "1h", "4h", "1d"]))
def test_nothing_is_lost_and_no_bar_is_half_full(first: int, count: int, target: str) -> None:
    frame = sound(timeframe="5m", last="2023-02-10")[first : first + count]

    try:
        made = resample(frame, "X", "5m", target, "XNYS").frame
    except InputError:
        assert target == "1d"
        return

    begin, end = made["timestamp"][[0, -1]]
    inside = frame.filter(pl.col("timestamp") >= begin)
    assert made["high"].max() <= frame["high"].max()  # type: ignore[operator]
    assert float(made["volume"].sum()) <= float(inside["volume"].sum())
    # Resampling the whole and cutting it equals cutting and resampling.
    reference = resample(sound(timeframe="5m", last="2023-02-10"), "X", "5m", target, "XNYS").frame
    assert made.equals(reference.filter(pl.col("timestamp").is_between(begin, end)))
