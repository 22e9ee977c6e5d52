"""Which barrier the close touches first (López de Prado, Advances in Financial Machine Learning, ch. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.indicators import log_returns, source_series
from ktrdr.features.labels.label import Cuts, Measured
from ktrdr.strategy.spec import TripleBarrier

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]

# Rows that are worked on at once: their levels fit a processor's cache.
BLOCK = 16_384


class TripleBarrierLabel:
    """Measures 1 for the upper barrier, -1 for the lower, 0 for the end of `horizon` bars.

    Barriers lie `upper` and `lower` deviations of log returns, as known at the bar, from its log close; a bar from
    which they are no distance away has no label.
    """

    type = "triple_barrier"

    def measure(self, spec: TripleBarrier, bars: pl.DataFrame) -> Measured:
        close = source_series(bars, "close")
        path, deviation, rows = np.log(close), volatility(close, spec.volatility_span), len(close)
        upper, lower = path + spec.upper * deviation, path - spec.lower * deviation
        settled = np.arange(rows) + np.minimum(_quiet_bars(path, upper, lower, spec.horizon) + 1, spec.horizon)
        known = (lower < path) & (path < upper) & (settled < rows)
        settling = path[np.minimum(settled, rows - 1)]
        touched = (settling >= upper).astype(np.float64) - (settling <= lower)
        return Measured(np.where(known, touched, np.nan), np.where(known, settled, -1))

    def cuts(self, spec: TripleBarrier, training_values: Series) -> Cuts:
        return Cuts(-0.5, 0.5)

    def class_names(self, spec: TripleBarrier) -> tuple[str, ...]:
        return ("down", "flat", "up")


def volatility(close: Series, span: int) -> Series:
    """Exponentially weighted deviation of the log returns up to each bar; NaN before there are `span` of them."""
    import polars as pl

    deviation = np.full(len(close), np.nan)
    deviation[1:] = pl.Series(log_returns(close)[1:]).ewm_std(span=span, min_samples=span).to_numpy()
    return deviation


def _quiet_bars(path: Series, upper: Series, lower: Series, horizon: int) -> NDArray[np.int64]:
    """How many bars after each row touch nothing; a count of `horizon` or more says only that."""
    quiet = np.empty(len(path), dtype=np.int64)
    for begin in range(0, len(path), BLOCK):
        block = slice(begin, begin + BLOCK)
        quiet[block] = _quiet_in_block(path[begin + 1 : begin + BLOCK + horizon], upper[block], lower[block], horizon)
    return quiet


def _quiet_in_block(later: Series, upper: Series, lower: Series, horizon: int) -> NDArray[np.int64]:
    """The same for the rows of one block; `later` is the path from the second of them on.

    The extremes of 1, 2, 4, … bars tell whether so many more are quiet: the count is found by its binary digits, the
    largest first, in log2(horizon) steps.
    """
    rows = np.arange(len(upper))
    quiet = np.zeros(len(upper), dtype=np.int64)
    for bars, highest, lowest in reversed(_extremes(later, len(upper) + 2 * horizon - 2, horizon)):
        at = rows + quiet
        quiet += bars * ((highest[at] < upper) & (lowest[at] > lower))
    return quiet


def _extremes(path: Series, length: int, horizon: int) -> list[tuple[int, Series, Series]]:
    """Of 1, 2, 4, … bars up to `horizon`: how many, and their highest and lowest from each row on.

    Past its end, and up to `length`, the path leaves all barriers: what is not known is not quiet.
    """
    highest, lowest = np.full(length, np.inf), np.full(length, -np.inf)
    highest[: len(path)] = lowest[: len(path)] = path
    levels, bars = [(1, highest, lowest)], 1
    while 2 * bars <= horizon:
        highest = np.maximum(highest[:-bars], highest[bars:])
        lowest = np.minimum(lowest[:-bars], lowest[bars:])
        bars *= 2
        levels.append((bars, highest, lowest))
    return levels
