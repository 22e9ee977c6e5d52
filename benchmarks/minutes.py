"""One-minute bars of a made-up share, by the sessions of New York's exchange: what store and check are given."""

from __future__ import annotations

import numpy as np
import polars as pl

from ktrdr.market.bars import SCHEMA
from ktrdr.market.sessions import sessions_of

FIRST, LAST = np.datetime64("1999-01-04", "us"), np.datetime64("2026-06-30", "us")
_MINUTE = np.timedelta64(1, "m").astype("timedelta64[us]")


def minutes(count: int) -> pl.DataFrame:
    """A random walk in whole cents with volumes as uneven as real ones."""
    sessions = sessions_of("XNYS", FIRST, LAST).between(FIRST, LAST)
    slots = [np.arange(begin, end, _MINUTE) for begin, end in zip(sessions.opens, sessions.closes, strict=True)]
    stamps = np.concatenate(slots)[:count]
    random = np.random.default_rng(0)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.0003, count))), 2)
    open_ = np.concatenate([[100.0], close[:-1]])
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) + 0.01 * random.integers(0, 6, count),
        "low": np.minimum(open_, close) - 0.01 * random.integers(0, 6, count),
        "close": close,
        "volume": np.round(1e4 * np.exp(random.normal(0, 1, count))),
    }
    return pl.DataFrame({"timestamp": pl.Series(stamps).dt.replace_time_zone("UTC"), **columns}, schema=SCHEMA)
