"""A seeded random walk in the shape of bars, for tests and for experiments with nothing to find."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import sleep
from typing import ClassVar

import numpy as np
import polars as pl

from ktrdr.errors import NoBars
from ktrdr.market.bars import SCHEMA, check_bars, check_range, check_symbol, range_filter
from ktrdr.market.provider import Capabilities, Page, Pages, Wait
from ktrdr.timeframe import Timeframe

# Every series begins here whatever range is asked for, so that overlapping ranges agree bar by bar.
ORIGIN = date(2015, 1, 1)
LAST_BY_DEFAULT = date(2024, 12, 31)
LAST = date(2099, 12, 31)

SESSION_OPEN = time(14, 30)
SESSION = timedelta(hours=6, minutes=30)

_YEARLY_VOLATILITY = 0.25
_SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class SyntheticProvider:
    """Geometric Brownian motion without drift; symbol, timeframe and seed choose the path."""

    seed: int = 0
    name: ClassVar[str] = "synthetic"
    capabilities: ClassVar[Capabilities] = Capabilities(
        source="synthetic",
        timeframes=tuple(Timeframe),
        adjusted="no",
        symbols=f"any; {ORIGIN} to {LAST_BY_DEFAULT}, or to a later end",
    )

    def pages(self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = sleep) -> Pages:
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        check_range(start, end)
        if end is None and start is not None and _day(start) > LAST_BY_DEFAULT:
            raise _nothing(symbol, timeframe, start, LAST_BY_DEFAULT)
        since, until = check_range(start, end or LAST_BY_DEFAULT)
        last = min(_day(until or LAST), LAST)
        walk = _walk(_stamps(timeframe, last), timeframe, _generator(self.seed, symbol, timeframe))
        frame = walk.filter(range_filter(since, until))
        if frame.is_empty():
            raise _nothing(symbol, timeframe, start or ORIGIN, end or LAST_BY_DEFAULT)
        note = f"made-up bars: a random walk with seed {self.seed}, not a market"
        yield Page(check_bars(frame), self.name, until or datetime.now(UTC), note)


def _nothing(symbol: str, timeframe: Timeframe, start: date, end: date) -> NoBars:
    return NoBars(
        f"synthetic {symbol} {timeframe} has no bar in {start} to {end}",
        hint=f"choose dates from {ORIGIN} to {LAST} that hold a weekday",
        symbol=symbol,
        timeframe=timeframe,
    )


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _generator(seed: int, symbol: str, timeframe: Timeframe) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {symbol} {timeframe}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def _stamps(timeframe: Timeframe, last: date) -> pl.Series:
    """Mondays for weeks, weekdays for days, and steps through a fixed session of weekdays below that."""
    days = pl.date_range(ORIGIN, last, "1d", eager=True).alias("timestamp")
    days = days.filter(days.dt.weekday() == 1 if timeframe is Timeframe.WEEK else days.dt.weekday() <= 5)
    midnights = days.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    bar = timeframe.length
    if bar >= timedelta(days=1):
        return midnights
    opening = datetime.combine(date.min, SESSION_OPEN, UTC) - datetime.combine(date.min, time.min, UTC)
    steps = [opening + bar * step for step in range(-(-SESSION // bar))]
    return midnights.to_frame().select(pl.concat([pl.col("timestamp") + step for step in steps]).sort()).to_series()


def _walk(stamps: pl.Series, timeframe: Timeframe, random: np.random.Generator) -> pl.DataFrame:
    a_year = _SESSIONS_A_YEAR * max(1.0, SESSION / timeframe.length)
    deviation = _YEARLY_VOLATILITY / np.sqrt(a_year if timeframe is not Timeframe.WEEK else 52)
    # One row of draws for each bar: a longer series then begins with the shorter one.
    draws = random.standard_normal((len(stamps), 5))
    close = 100.0 * np.exp(np.cumsum(deviation * draws[:, 0]))
    open_ = np.concatenate(([100.0], close[:-1])) * np.exp(0.1 * deviation * draws[:, 1])
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) * np.exp(0.5 * deviation * np.abs(draws[:, 2])),
        "low": np.minimum(open_, close) * np.exp(-0.5 * deviation * np.abs(draws[:, 3])),
        "close": close,
        "volume": np.round(1e6 * np.exp(0.3 * draws[:, 4])),
    }
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)
