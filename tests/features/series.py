"""Short made bars for these tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from ktrdr.market.symbol_bars import SymbolBars


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
    return SymbolBars({"1d": made_bars(end - begin, seed, datetime(2020, 1, 1) + timedelta(days=begin))})  # noqa: DTZ001
