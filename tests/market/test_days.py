from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import BarsError, InputError
from ktrdr.market.bars import SCHEMA, VALUES
from ktrdr.market.closings import without_instants
from ktrdr.market.days import DayClock, trading_days
from ktrdr.market.store import BarStore
from ktrdr.timeframe import Timeframe

EVERY_DAY, MONDAY_TO_FRIDAY, SUNDAY_TO_THURSDAY = range(7), range(5), (6, 0, 1, 2, 3)


def stamps(
    opening: time, zone: str, weekdays: object = EVERY_DAY, first: date = date(2024, 1, 7), days: int = 300
) -> pl.Series:
    """The instants at which a clock shows `opening`, on each date of these weekdays."""
    dates = [first + timedelta(days=number) for number in range(days)]
    moments = [
        datetime.combine(day, opening, ZoneInfo(zone)).astimezone(UTC)
        for day in dates
        if day.weekday() in weekdays  # type: ignore[operator]
    ]
    return pl.Series("timestamp", moments, dtype=pl.Datetime("us", "UTC"))


def first_dates(instants: pl.Series, symbol: str, **options: object) -> tuple[list[str], str]:
    found = trading_days(instants, symbol, Timeframe.DAY, **options)  # type: ignore[arg-type]
    return [f"{stamp:%a %m-%d}" for stamp in found.dates.head(6)], found.note


WEEK = ["Mon 01-08", "Tue 01-09", "Wed 01-10", "Thu 01-11", "Fri 01-12", "Mon 01-15"]


@pytest.mark.parametrize(
    ("symbol", "opening", "zone", "weekdays", "opens"),
    [
        ("EURUSD", time(17), "America/New_York", SUNDAY_TO_THURSDAY, "17:00 America/New_York"),
        ("EURUSD", time(22), "UTC", SUNDAY_TO_THURSDAY, "22:00 UTC"),
        ("ACME", time(16), "UTC", SUNDAY_TO_THURSDAY, "16:00 UTC"),
        ("AAPL", time(9, 30), "America/New_York", MONDAY_TO_FRIDAY, "09:30 America/New_York"),
        ("AAPL", time(0), "America/New_York", MONDAY_TO_FRIDAY, "00:00 America/New_York"),
        ("AAPL", time(16), "America/New_York", MONDAY_TO_FRIDAY, "16:00 America/New_York"),
        ("7203.T", time(0), "Asia/Tokyo", MONDAY_TO_FRIDAY, "00:00 Asia/Tokyo"),
        ("BHP.AX", time(10), "Australia/Sydney", MONDAY_TO_FRIDAY, "10:00 Australia/Sydney"),
        ("FPH.NZ", time(0), "Pacific/Auckland", MONDAY_TO_FRIDAY, "00:00 Pacific/Auckland"),
        ("OPAP.AT", time(14), "UTC", MONDAY_TO_FRIDAY, "14:00 UTC"),
        ("7203.T", time(0), "UTC", MONDAY_TO_FRIDAY, ""),
    ],
)
def test_the_trading_date_is_that_of_the_session_or_of_the_middle_of_the_day(
    symbol: str, opening: time, zone: str, weekdays: object, opens: str
) -> None:
    dates, note = first_dates(stamps(opening, zone, weekdays), symbol)

    assert dates == WEEK
    assert opens in note
    assert bool(opens) == bool(note)


@pytest.mark.parametrize("zone", ["", "Asia/Hong_Kong"])
def test_a_day_that_opens_at_16_utc_counts_for_the_next_date(zone: str) -> None:
    found = trading_days(stamps(time(16), "UTC"), "BTC-USDT", Timeframe.DAY, zone=zone)

    assert found.dates[0] == datetime(2024, 1, 8, tzinfo=UTC)
    assert found.clock is not None
    dates = found.dates.dt.replace_time_zone(None).to_numpy()
    assert found.clock.closes(dates, np.timedelta64(1, "D"))[0] == np.datetime64("2024-01-08T16:00")


def test_days_that_were_exported_come_back_as_they_were(tmp_path: Path) -> None:
    opens = stamps(time(17), "America/New_York", SUNDAY_TO_THURSDAY, days=30)
    frame = pl.DataFrame({"timestamp": opens, **dict.fromkeys(VALUES, 1.0)}, schema=SCHEMA)
    store = BarStore(tmp_path)
    store.merge("EURUSD", "1d", frame, "csv")

    exported = without_instants(store.read_stored("EURUSD", "1d").frame)

    assert exported.equals(frame)
    store.merge("GBPUSD", "1d", exported, "csv")
    assert store.read("GBPUSD", "1d").equals(store.read("EURUSD", "1d"))
    assert store.info("GBPUSD", "1d").clock == store.info("EURUSD", "1d").clock


def test_days_that_open_at_another_time_cannot_join_the_stored_ones(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    values = dict.fromkeys(VALUES, 1.0)
    store.merge("BTC-USD", "1d", pl.DataFrame({"timestamp": stamps(time(0), "UTC"), **values}, schema=SCHEMA), "csv")
    later = pl.DataFrame({"timestamp": stamps(time(16), "UTC"), **values}, schema=SCHEMA)

    with pytest.raises(BarsError, match="open at 00:00 UTC, and these at 16:00 UTC: they cannot join"):
        store.merge("BTC-USD", "1d", later, "csv")

    store.merge("BTC-USD", "1d", later, "csv", replace=True)
    assert store.info("BTC-USD", "1d").clock == DayClock.parse("16:00:00 of the day before UTC")


def test_dates_stay_dates_and_a_zone_says_when_they_end() -> None:
    dates = stamps(time(0), "UTC", days=5)

    assert trading_days(dates, "BTC-USDT", Timeframe.DAY, dates=True).clock is None
    tokyo = trading_days(dates, "BTC-USDT", Timeframe.DAY, dates=True, zone="Asia/Tokyo")
    assert tokyo.dates.to_list() == dates.to_list()
    assert tokyo.clock == DayClock(np.timedelta64(0, "us"), "Asia/Tokyo")


def test_dates_and_instants_may_stand_in_one_series() -> None:
    mixed = pl.concat([stamps(time(0), "UTC", days=2), stamps(time(16), "UTC", first=date(2024, 1, 8), days=2)])

    found = trading_days(mixed, "BTC-USDT", Timeframe.DAY, dates=pl.Series([True, True, False, False]))

    assert found.dates.dt.day().to_list() == [7, 8, 9, 10]


def test_instants_that_agree_on_no_time_of_day_are_refused_with_two_rows() -> None:
    odd = pl.concat([stamps(time(16), "UTC", days=5), stamps(time(9), "UTC", first=date(2024, 1, 12), days=1)])

    with pytest.raises(InputError, match=r"row 1 \(2024-01-07T16:00:00Z\) and row 6 \(2024-01-12T09:00:00Z\)") as error:
        trading_days(odd, "BTC-USDT", Timeframe.DAY)

    assert "--timezone" in error.value.hint


def test_a_zone_that_the_instants_contradict_is_refused() -> None:
    with pytest.raises(InputError, match=r"at 11:00 and 12:00 by the clock of America/New_York") as error:
        trading_days(stamps(time(16), "UTC"), "BTC-USDT", Timeframe.DAY, zone="America/New_York")

    assert "leave --timezone out" in error.value.hint


# Clocks that skip midnight, repeat it, or are off by less than an hour are among them.
ZONES = ("UTC", "America/New_York", "Asia/Hong_Kong", "Asia/Kathmandu", "Asia/Beirut", "America/Havana",
         "Australia/Lord_Howe", "Pacific/Auckland", "America/Santiago", "Africa/Cairo")  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    opening=st.integers(0, 95),
    first=st.dates(date(1990, 1, 1), date(2025, 1, 1)),
    days=st.integers(2, 400),
    symbol=st.sampled_from(["BTC-USDT", "EURUSD", "AAPL", "7203.T"]),
)
def test_no_day_closes_before_24_hours_have_passed_since_its_instant(
    zone: str, opening: int, first: date, days: int, symbol: str
) -> None:
    instants = stamps(time(opening // 4, 15 * (opening % 4)), zone, first=first, days=days)

    found = trading_days(instants, symbol, Timeframe.DAY, zone=zone)

    clock = found.clock or DayClock(np.timedelta64(0, "us"))
    closes = clock.closes(found.dates.dt.replace_time_zone(None).to_numpy(), np.timedelta64(1, "D"))
    a_day_later = instants.dt.offset_by("24h").dt.replace_time_zone(None).to_numpy()
    assert (closes >= a_day_later).all()
    assert found.dates.is_sorted()
    assert found.dates.n_unique() == len(instants)
    assert DayClock.parse(str(clock)) == clock


def test_a_clock_that_cannot_be_read_is_no_clock() -> None:
    read: Callable[[str], DayClock] = DayClock.parse
    with pytest.raises(ValueError, match="does not tell how days open"):
        read("in the morning")
