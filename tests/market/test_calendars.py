"""The calendar of a market: guessed from bars and symbol, stored once it is named, and never a crash."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import InputError
from ktrdr.market.bars import SCHEMA
from ktrdr.market.calendars import choose_calendar
from ktrdr.market.closings import closes_at
from ktrdr.market.quality import check
from ktrdr.market.quality.stored import check_stored, inspect_stored
from ktrdr.market.resample import resample
from ktrdr.market.sessions import sessions_of
from ktrdr.market.store import BarStore
from ktrdr.timeframe import Timeframe

# The library has calendars for Athens, Bucharest, Belgrade and Cyprus, and cannot build them with pandas 3.
UNBUILDABLE = ("ASEX", "XBSE", "XBEL", "XCYS")
WHOLE_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def frame_at(stamps: list[datetime]) -> pl.DataFrame:
    """Bars of a slow rise at these instants."""
    rise = np.linspace(100, 110, len(stamps))
    columns = {"open": rise, "high": rise + 1, "low": rise - 1, "close": rise + 0.5, "volume": np.full(len(rise), 5.0)}
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)


def days(first: date, count: int, weekdays: tuple[str, ...] = WHOLE_WEEK) -> pl.DataFrame:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    dates = [start + timedelta(days=number) for number in range(count)]
    return frame_at([day for day in dates if f"{day:%a}" in weekdays])


def hours(first: date, count: int, weekdays: tuple[str, ...] = WHOLE_WEEK, but: int = -1) -> pl.DataFrame:
    """One bar for each hour of the day but one."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    stamps = [start + timedelta(hours=number) for number in range(24 * count)]
    return frame_at([at for at in stamps if f"{at:%a}" in weekdays and at.hour != but])


NONE = np.array([], "datetime64[us]")


@pytest.mark.parametrize(
    ("symbols", "calendar"),
    [
        ("SUI-USD TON-USD PEPE-USD XTZ-EUR USDT-USD HBAR-USD AAVE-USD 1INCH-USD SUIUSDT PEPEUSD BTC-USDT:USDT", "24/7"),
        ("EURUSD EUR-USD EURUSD=X JPY=X EUR.USD USDTRY XAUUSD XAGUSD XAU-USD XPTUSD US500 GER40 US30 UK100", "24/5"),
        ("ES=F ES1! GC1!", "CMES"),
        ("2222.SR", "XSAU"),
        ("TEVA.TA", "XTAE"),
        ("AAPL BRK-B BF-B GOOGL AUD", "XNYS"),
    ],
)
def test_before_there_are_bars_the_symbol_speaks(symbols: str, calendar: str) -> None:
    assert {symbol: choose_calendar(symbol, Timeframe.HOUR_1, NONE).name for symbol in symbols.split()} == (
        dict.fromkeys(symbols.split(), calendar)
    )


@pytest.mark.parametrize(
    ("symbol", "frame", "timeframe", "calendar"),
    [
        ("EURUSD", hours(date(2024, 1, 1), 14), "1h", "24/7"),
        ("ACME", hours(date(2024, 1, 1), 21, WHOLE_WEEK[:5], but=22), "1h", "24/5"),
        ("VOD.L", hours(date(2024, 1, 1), 21, WHOLE_WEEK[:5]), "1h", "24/5"),
        ("GOLD-USD", hours(date(2024, 1, 1), 21, WHOLE_WEEK[:5]), "1h", "24/5"),
        ("ACME", days(date(2024, 1, 7), 28, ("Sun", *WHOLE_WEEK[:4])), "1d", "XSAU"),
        ("2222.SR", days(date(2012, 1, 7), 28, ("Sat", "Sun", "Mon", "Tue", "Wed")), "1d", "XSAU"),
        ("BTC-USD", days(date(2024, 1, 1), 28, WHOLE_WEEK[:5]), "1d", "24/7"),
    ],
)
def test_what_bars_show_outweighs_what_the_symbol_suggests(
    symbol: str, frame: pl.DataFrame, timeframe: str, calendar: str
) -> None:
    report = check(frame, symbol, timeframe)

    assert (report.calendar.name, report.calendar.is_guess) == (calendar, True)


def test_a_market_around_the_clock_is_no_share_whose_hours_are_wrong() -> None:
    at = pl.col("timestamp").dt
    rests = ((at.weekday() == 5) & (at.hour() > 22)) | ((at.weekday() == 7) & (at.hour() < 23))
    gold = hours(date(2024, 1, 8), 47, (*WHOLE_WEEK[:5], "Sun"), but=22).filter(~rests)

    report = check(gold, "XAUUSD", "1h")
    made = resample(gold, "XAUUSD", "1h", "1d")

    assert report.verdict == "sound"
    assert "shifted_hours" not in {fault.kind for fault in report.faults}
    assert made.frame["volume"].sum() >= gold["volume"].sum() - 2 * 24 * 5


def test_a_coin_outside_of_all_lists_keeps_its_weekends() -> None:
    coin = hours(date(2024, 1, 1), 42)

    days_made, quarters = resample(coin, "SUI-USD", "1h", "1d"), resample(coin, "SUI-USD", "1h", "4h")

    assert days_made.frame["timestamp"].to_list() == [
        datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(42)
    ]
    assert set(quarters.frame["timestamp"].dt.hour()) == {0, 4, 8, 12, 16, 20}
    assert days_made.note == quarters.note == ""


def test_a_guess_leaves_out_no_bars_and_a_named_calendar_does() -> None:
    """Bars of a share before and after its session."""
    share = hours(date(2024, 1, 2), 4).filter(pl.col("timestamp").dt.hour().is_between(9, 23))

    with pytest.raises(
        InputError, match=r"\d+ of 60 bars of ACME lie outside of the sessions of XNYS, which is a guess"
    ) as refused:
        resample(share, "ACME", "1h", "1d")

    assert "--calendar XNYS leaves these bars out" in refused.value.hint
    assert "bars outside of the sessions are left out" in resample(share, "ACME", "1h", "1d", "XNYS").note


def test_a_calendar_is_named_once_and_used_from_then_on(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.merge("ACME", "1d", days(date(2024, 1, 2), 30, WHOLE_WEEK[:5]), "csv")
    assert check_stored(store, "ACME", "1d").calendar.is_guess

    assert inspect_stored(store, "ACME", "1d", "xlon").calendar.name == "XLON"
    assert check_stored(store, "ACME", "1d").calendar.is_guess  # the one before was asked for once
    store.set_calendar("ACME", "XLON")

    again = check_stored(store, "ACME", "1d")
    assert (again.calendar.name, again.calendar.is_guess) == ("XLON", False)
    assert BarStore(tmp_path).read_stored("acme", "1d").calendar == "XLON"
    frame = store.read_stored("ACME", "1d").frame
    assert closes_at(frame, Timeframe.DAY)[0] == np.datetime64("2024-01-02T16:30")
    assert closes_at(frame, Timeframe.DAY, "XTKS")[0] == np.datetime64("2024-01-03")  # closed on that day
    assert store.read("ACME", "1d").columns == list(SCHEMA)


def test_bars_before_a_calendars_first_day_are_no_fault_and_the_rest_is_checked() -> None:
    around = days(date(2020, 12, 20), 40, ("Sun", *WHOLE_WEEK[:4]))

    report = check(around, "2222.SR", "1d")

    (note,) = [fault for fault in report.faults if fault.kind == "unknown_years"]
    assert note.severity == "note"
    assert "XSAU is known from 2021-01-01 only: 10 bars of other years" in note.message
    assert report.expected == report.present == len(around) - 10
    before = check(days(date(1990, 1, 1), 60, WHOLE_WEEK[:5]), "7203.T", "1d")
    assert (before.verdict, before.expected) == ("sound", 0)


@pytest.mark.parametrize(
    ("first", "weekdays"), [(date(2024, 1, 7), ("Sun", *WHOLE_WEEK[:4])), (date(2026, 1, 12), WHOLE_WEEK[:5])]
)
def test_tel_aviv_trades_from_sunday_to_thursday_until_2026(first: date, weekdays: tuple[str, ...]) -> None:
    report = check(days(first, 28, weekdays), "TEVA.TA", "1d")

    assert report.calendar.name == "XTAE"
    assert report.verdict == "sound"


def test_tel_avivs_weeks_change_within_one_series() -> None:
    sessions = sessions_of("XTAE", np.datetime64("2025-12-20", "us"), np.datetime64("2026-01-20", "us"))

    weekdays = {day.item().strftime("%Y %a") for day in sessions.days if day > np.datetime64("2025-12-20")}

    assert "2025 Sun" in weekdays
    assert "2025 Fri" not in weekdays
    assert "2026 Fri" in weekdays


# Those that cannot be built, those with a first or a last year, and one of each kind of sessions.
# `python -m benchmarks calendars` asks all.
@pytest.mark.parametrize(
    "calendar",
    [*UNBUILDABLE, "XTAE", "XSAU", "AIXK", "XSES", "XBOM", "XHKG", "XNYS", "CMES", "us_futures", "24/5", "24/7"],
)
def test_every_calendar_of_the_library_answers_or_is_refused_in_a_sentence(calendar: str) -> None:
    frame = days(date(2025, 11, 24), 42, WHOLE_WEEK[:5])
    for answer in (
        lambda: check(frame, "X", "1d", calendar),
        lambda: resample(frame, "X", "1d", "1w", calendar),
        lambda: closes_at(frame, Timeframe.DAY, calendar),
    ):
        if calendar not in UNBUILDABLE:
            answer()
            continue
        with pytest.raises(InputError, match=f"the calendar {calendar} cannot be had: ") as refused:
            answer()
        assert len(refused.value.detail) < 200
