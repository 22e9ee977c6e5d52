"""Bars for these tests: the real ones beside the repository, and made ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ktrdr.features.columns import SymbolBars

BARS = Path(__file__).parents[2].parent / "shared" / "data" / "bars"


def real_bars(symbol: str, timeframe: str = "1d") -> pl.DataFrame:
    if not (path := BARS / f"{symbol}_{timeframe}.csv").exists():
        pytest.skip(f"no real bars at {path}")
    return _read(path)


@cache
def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path).select(
        pl.col("timestamp").str.to_datetime(time_unit="us", time_zone="UTC"), pl.exclude("timestamp").cast(pl.Float64)
    )


def made_bars(rows: int, seed: int = 0, first: datetime = datetime(2020, 1, 1)) -> pl.DataFrame:  # noqa: DTZ001
    """Daily bars of a random walk."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, rows)))
    stamps = np.datetime64(first, "us") + np.arange(rows) * np.timedelta64(86_400_000_000, "us")
    return pl.DataFrame(
        {
            "timestamp": pl.Series(stamps).dt.replace_time_zone("UTC"),
            "open": close * 0.999,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": random.integers(1000, 2000, rows).astype(np.float64),
        }
    )


def days(begin: int, end: int, seed: int = 0) -> SymbolBars:
    """Daily bars from day `begin` up to day `end`, counted from the first day of 2020."""
    return {"1d": made_bars(end - begin, seed, datetime(2020, 1, 1) + timedelta(days=begin))}  # noqa: DTZ001
