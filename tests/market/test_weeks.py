"""Weeks are cut where a market rests, whichever way they are made."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import InputError
from ktrdr.market.quality import check
from ktrdr.market.resample import resample
from ktrdr.market.sessions import sessions_of
from tests.market.test_calendars import WHOLE_WEEK, days, frame_at, hours


def of_sessions(calendar: str, first: str, last: str, length: timedelta) -> pl.DataFrame:
    """Bars that fill each session of a calendar."""
    sessions = sessions_of(calendar, np.datetime64(first, "us"), np.datetime64(last, "us")).between(
        np.datetime64(first, "us"), np.datetime64(last, "us")
    )
    stamps = [
        opening + number * np.timedelta64(length)
        for opening, close in zip(sessions.opens, sessions.closes, strict=True)
        for number in range(int(-((opening - close) // np.timedelta64(length))))
    ]
    return frame_at([stamp.item().replace(tzinfo=UTC) for stamp in stamps])


@pytest.mark.parametrize(
    ("symbol", "calendar", "first", "last"),
    [
        ("EURUSD", None, "2024-01-07T22:00", "2024-03-08T21:59"),
        ("2222.SR", "XSAU", "2024-01-07", "2024-03-08"),
        ("TEVA.TA", "XTAE", "2025-12-14", "2026-02-13"),
        ("BTC-USD", None, "2024-01-01", "2024-03-03T23:59"),
        ("AAPL", "XNYS", "2024-01-02", "2024-03-08"),
    ],
)
def test_weeks_of_hours_and_weeks_of_days_of_hours_are_the_same(
    symbol: str, calendar: str | None, first: str, last: str
) -> None:
    name = calendar or check(hours(date(2024, 1, 1), 14), symbol, "1h", calendar).calendar.name
    market = of_sessions("24/5" if symbol == "EURUSD" else name, first, last, timedelta(hours=1))

    weeks = resample(market, symbol, "1h", "1w", calendar).frame
    by_days = resample(resample(market, symbol, "1h", "1d", calendar).frame, symbol, "1d", "1w", calendar).frame

    assert len(weeks) >= 7
    assert weeks.equals(by_days)
    assert set(weeks["timestamp"].dt.weekday()) == {1}


def test_a_sunday_bar_of_foreign_exchange_begins_its_week() -> None:
    euro = days(date(2024, 4, 7), 20, ("Sun", *WHOLE_WEEK[:5]))

    weeks = resample(euro, "EURUSD", "1d", "1w").frame

    (week,) = weeks.filter(pl.col("timestamp") == datetime(2024, 4, 15, tzinfo=UTC)).to_dicts()
    own = euro.filter(pl.col("timestamp").dt.date().is_between(date(2024, 4, 14), date(2024, 4, 19)))
    assert (week["open"], week["close"]) == (own["open"][0], own["close"][-1])
    assert week["volume"] == own["volume"].sum()


def test_weeks_from_saturday_to_wednesday_are_whole() -> None:
    old = days(date(2012, 1, 7), 28, ("Sat", "Sun", "Mon", "Tue", "Wed"))

    weeks = resample(old, "2222.SR", "1d", "1w").frame

    assert weeks["volume"].to_list() == [25.0] * 4
    assert weeks["open"].to_list() == old["open"].gather_every(5).to_list()


def test_bars_stamped_at_their_close_are_called_so_and_none_is_lost() -> None:
    shanghai = of_sessions("XSHG", "2024-01-02", "2024-01-13", timedelta(minutes=30))
    closing = shanghai.with_columns(pl.col("timestamp") + timedelta(minutes=30))

    report = check(closing, "600519.SS", "30m")

    assert "stamped_at_close" in {fault.kind for fault in report.faults if fault.severity == "error"}
    assert "stamped_at_close" not in {fault.kind for fault in check(shanghai, "600519.SS", "30m").faults}
    with pytest.raises(InputError, match=r"18 of 72 bars of 600519\.SS lie outside") as refused:
        resample(closing, "600519.SS", "30m", "1h")
    assert "--stamp close" in refused.value.hint
    assert "seem to be stamped with their close" in resample(closing, "600519.SS", "30m", "1h", "XSHG").note


def test_an_hour_that_is_never_traded_makes_no_day_unwhole() -> None:
    """Gold rests from 17:00 to 18:00 in New York, within the sessions of 24/5."""
    market = of_sessions("24/5", "2024-01-07T22:00", "2024-01-26T21:59", timedelta(hours=1))
    gold = market.filter(pl.col("timestamp").dt.hour() != 22)

    whole, cut = resample(gold, "XAUUSD", "1h", "1d"), resample(gold.slice(3), "XAUUSD", "1h", "1d")

    assert whole.note == ""
    assert whole.frame["volume"].sum() == gold["volume"].sum()
    assert len(whole.frame) == len(gold) / 23 == 15
    assert cut.note == "the first 1d bar was not whole and is left out"
    assert cut.frame.equals(whole.frame.slice(1))
