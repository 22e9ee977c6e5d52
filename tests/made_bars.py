"""Random walks with what real bars have: holes, halts, bad ticks, extended hours, half days, a late opening.

Names, ranges and faults are those of the real series that `tests/bars.py` reads where they lie beside the project, so
that a test expects the same of both.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import exchange_calendars
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.market.bars import PRICES, SCHEMA

Instants = NDArray[np.datetime64]
"""Instants [us] in UTC, without a zone."""
Numbers = NDArray[np.float64]

SHARES = ("AAPL", "AMZN", "GOOGL", "MSFT", "NVDA", "QQQ", "SPY")
NAMES = (
    *(f"{share}_1d" for share in SHARES),
    *("AAPL_1h", "SPY_1h", "AAPL_5m", "SPY_5m", "AAPL_1m", "EURUSD_1h", "BTCUSD_1h"),
)

NEW_YORK = "America/New_York"
MINUTE, FIVE_MINUTES, HOUR = (np.timedelta64(minutes, "m").astype("timedelta64[us]") for minutes in (1, 5, 60))
DAY = 24 * HOUR


stamp = pl.col("timestamp")


def _instant(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


LATE_OPENING = np.datetime64("2002-09-11T13:00", "us"), np.datetime64("2002-09-11T15:00", "us")
HALT = _instant(2013, 8, 22, 17), _instant(2013, 8, 22, 18)
BAD_TICKS = (date(2000, 11, 1), date(2001, 4, 5), date(2009, 9, 21), date(2010, 8, 31), date(2011, 1, 3))
EX_DIVIDEND = _instant(2025, 2, 10)
LOST_SESSION = date(2025, 8, 7)
SESSIONS_OF_MINUTES = ("2021-08-23", "2021-08-24", "2021-08-25", "2021-09-15", "2021-09-16", "2021-09-17", "2021-09-20")
LOST_MINUTES = [_instant(2021, month, day, 15, 7) for month, day in ((8, 23), (8, 24), (8, 25), (9, 17))]
LOST_CURRENCY_HOUR = _instant(2020, 1, 1, 22)
LOST_COIN_HOURS = _instant(2020, 4, 25, 21), _instant(2020, 4, 25, 22)
STILL_COIN_HOURS = _instant(2020, 4, 25, 20), _instant(2020, 4, 25, 23), _instant(2022, 1, 5, 9)


def make(name: str) -> pl.DataFrame:
    symbol, _, timeframe = name.partition("_")
    makers = {"1d": _days, "1h": _hours, "5m": _five_minutes, "1m": _minutes}
    others = {"EURUSD": _currency, "BTCUSD": _coin}
    return others[symbol]() if symbol in others else makers[timeframe](symbol)


# -- walking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Walk:
    """Columns of bars."""

    stamps: Instants
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    @property
    def frame(self) -> pl.DataFrame:
        stamps = pl.Series(self.stamps).dt.replace_time_zone("UTC")
        columns = {name: getattr(self, name) for name in (*PRICES, "volume")}
        return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)

    def grouped(self, opens: Instants) -> Walk:
        """One bar for each run of equal `opens`, which is when it opens."""
        first = np.flatnonzero(np.concatenate([[True], opens[1:] != opens[:-1]]))
        last = np.concatenate([first[1:], [len(opens)]]) - 1
        high, low = np.maximum.reduceat(self.high, first), np.minimum.reduceat(self.low, first)
        return Walk(opens[first], self.open[first], high, low, self.close[last], np.add.reduceat(self.volume, first))


def _walk(stamps: Instants, symbol: str, deviation: float, price: float = 100.0, jumps: Numbers | float = 0.0) -> Walk:
    """Moves of so much deviation a bar, and jumps between bars of `jumps` times as much."""
    random, rows = np.random.default_rng(zlib.crc32(symbol.encode())), len(stamps)
    moves = random.normal(0, deviation, rows)
    gaps = random.normal(0, deviation / 4, rows) + random.normal(0, deviation, rows) * jumps
    close = price * np.exp(np.cumsum(gaps + moves))
    open_ = close / np.exp(moves)
    above, below = np.abs(random.normal(0, deviation / 3, (2, rows)))
    high, low = np.maximum(open_, close) * np.exp(above), np.minimum(open_, close) * np.exp(-below)
    return Walk(stamps, open_, high, low, close, random.integers(1000, 5000, rows).astype(np.float64))


# -- shares: bars of five minutes over all sessions, and hours and days made of them -----------------------------------


@cache
def _regular(symbol: str) -> Walk:
    first = "1998-01-02" if f"{symbol}_1h" in NAMES else "2014-01-02"
    stamps = _slots(FIVE_MINUTES, first, "2026-06-26")
    before_the_opening = (stamps >= LATE_OPENING[0]) & (stamps < LATE_OPENING[1])
    stamps = stamps[~before_the_opening]
    overnight = np.diff(stamps, prepend=stamps[0]) > FIVE_MINUTES
    return _walk(stamps, symbol, 0.0011, jumps=5.0 * overnight)


def _slots(length: np.timedelta64, first: str, last: str) -> Instants:
    """The opening instants of all bars of the sessions from `first` to `last`."""
    sessions = _schedule().loc[first:last]
    opens, closes = (
        sessions[name].dt.tz_localize(None).to_numpy().astype("datetime64[us]") for name in ("open", "close")
    )
    return np.concatenate([np.arange(*ends, length) for ends in zip(opens, closes, strict=True)])


@cache
def _schedule() -> Any:
    return exchange_calendars.get_calendar("XNYS", start="1998-01-01", end="2026-07-01").schedule


def _days(symbol: str) -> pl.DataFrame:
    """From 2014 on, and adjusted for a dividend."""
    walk = _regular(symbol)
    days = walk.grouped(walk.stamps.astype("datetime64[D]").astype("datetime64[us]")).frame
    paid = pl.when(pl.col("timestamp") < EX_DIVIDEND).then(0.998).otherwise(1.0)
    return days.filter(pl.col("timestamp").dt.year() >= 2014).with_columns(pl.col(PRICES) * paid)


def _hours(symbol: str) -> pl.DataFrame:
    """Full hours until March 2021: a day's first bar holds half an hour, and half days have a bar after their end."""
    walk = _regular(symbol)
    hours = walk.grouped(walk.stamps.astype("datetime64[h]").astype("datetime64[us]")).frame
    hours = pl.concat([hours, _after_half_days(hours)]).sort("timestamp").filter(stamp < _instant(2021, 4, 1))
    return _with_bad_ticks(hours.filter(~stamp.is_in(HALT))) if symbol == "AAPL" else hours


def _after_half_days(hours: pl.DataFrame) -> pl.DataFrame:
    last = hours.filter(stamp.dt.date() != stamp.dt.date().shift(-1))
    early = last.filter(stamp.dt.convert_time_zone(NEW_YORK).dt.hour() == 12)
    price = pl.col("close")
    return early.with_columns(stamp + timedelta(hours=1), open=price, high=price * 1.0005, low=price * 0.9995)


def _with_bad_ticks(hours: pl.DataFrame) -> pl.DataFrame:
    is_bad = stamp.dt.date().is_in(BAD_TICKS) & (stamp.dt.hour() == 17)
    return hours.with_columns(low=pl.when(is_bad).then(pl.col("low") * 0.7).otherwise("low"))


def _five_minutes(symbol: str) -> pl.DataFrame:
    """A year, with what is traded from 04:00 to 20:00 around the sessions."""
    inside = _regular(symbol).frame.filter(stamp.is_between(_instant(2024, 8, 9), _instant(2025, 8, 9)))
    bars = pl.concat([inside, _around(inside, symbol)]).sort("timestamp")
    return bars.filter(stamp.dt.date() != LOST_SESSION)


def _around(inside: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """Bars about the last price of the sessions, of which a tenth has no trade and is missing."""
    random = np.random.default_rng(zlib.crc32(symbol.encode()) + 1)
    openings = inside.filter(stamp.diff().fill_null(DAY) > FIVE_MINUTES).select(stamp - timedelta(hours=5.5))
    hours = openings.select(pl.datetime_ranges(stamp, stamp + timedelta(hours=15.9), "5m").alias("timestamp"))
    bars = (
        hours.explode("timestamp")
        .join(inside, on="timestamp", how="anti")
        .sample(fraction=0.9, seed=1)
        .sort("timestamp")
    )
    price = bars.join_asof(inside, on="timestamp")["close"].fill_null(inside["open"][0]).to_numpy()
    open_, close = price * np.exp(random.normal(0, 0.0005, (2, len(price))))
    high, low = np.maximum(open_, close) * 1.0002, np.minimum(open_, close) * 0.9998
    return Walk(
        bars["timestamp"].to_numpy(), open_, high, low, close, random.integers(1, 900, len(price)).astype(float)
    ).frame


def _minutes(symbol: str) -> pl.DataFrame:
    """Seven sessions, four of which lack a minute."""
    stamps = np.concatenate([_slots(MINUTE, day, day) for day in SESSIONS_OF_MINUTES])
    overnight = np.diff(stamps, prepend=stamps[0]) > MINUTE
    return _walk(stamps, symbol, 0.0005, jumps=10.0 * overnight).frame.filter(~stamp.is_in(LOST_MINUTES))


# -- what trades around the clock --------------------------------------------------------------------------------------


def _currency() -> pl.DataFrame:
    """From Monday 00:00 UTC to Friday 17:00 in New York, without volume, and without an hour of a New Year's Day."""
    hours = (
        pl.datetime_range(_instant(2017, 7, 3), _instant(2026, 3, 23, 23), "1h", eager=True)
        .alias("timestamp")
        .to_frame()
    )
    session = (stamp.dt.convert_time_zone(NEW_YORK) + timedelta(hours=7)).dt
    is_holiday = session.strftime("%m-%d").is_in(["01-01", "12-25"])
    served = hours.filter(
        (session.weekday() <= 5) & ~is_holiday & (stamp.dt.weekday() != 7) & (stamp != LOST_CURRENCY_HOUR)
    )
    return _walk(served["timestamp"].to_numpy(), "EURUSD", 0.001, price=1.1).frame.with_columns(volume=0.0)


def _coin() -> pl.DataFrame:
    """All hours but two, and three in which nothing was traded."""
    hours = pl.datetime_range(_instant(2018, 5, 15, 6), _instant(2022, 3, 1), "1h", eager=True)
    walk = _walk(hours.filter(~hours.is_in(LOST_COIN_HOURS)).to_numpy(), "BTCUSD", 0.007, price=8000.0)
    is_still, price = stamp.is_in(STILL_COIN_HOURS), pl.col("close").shift(1)
    still = {name: pl.when(is_still).then(price).otherwise(name) for name in PRICES}
    return walk.frame.with_columns(**still, volume=pl.when(is_still).then(0.0).otherwise("volume"))
