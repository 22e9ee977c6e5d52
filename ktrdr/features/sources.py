"""Series of bars that indicators read: columns, their averages, and log returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]

BAR_COLUMNS = ("open", "high", "low", "close", "volume")
AVERAGES = {"hl2": ("high", "low"), "hlc3": ("high", "low", "close"), "ohlc4": ("open", "high", "low", "close")}


def source_series(bars: pl.DataFrame, source: str) -> Series:
    """[bars], one source as contiguous float64. The first of `returns` is NaN."""
    if source == "returns":
        return log_returns(source_series(bars, "close"))
    if source in AVERAGES:
        columns = [source_series(bars, column) for column in AVERAGES[source]]
        return np.asarray(sum(columns[1:], columns[0]) / len(columns), dtype=np.float64)
    return np.ascontiguousarray(bars[source].to_numpy(), dtype=np.float64)


def log_returns(close: Series) -> Series:
    """ln(close[t] / close[t - 1]); the first is NaN."""
    returns = np.full(len(close), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns[1:] = np.log(close[1:] / close[:-1])
    return returns
