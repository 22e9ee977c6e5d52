"""Which barrier the close touches first (López de Prado, Advances in Financial Machine Learning, ch. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts, Measured
from ktrdr.features.sources import log_returns, source_series
from ktrdr.strategy.sections.labels import TripleBarrier

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]

# Rows in one block; its levels fit a processor's cache.
BLOCK = 16_384


class TripleBarrierLabel:
    """Measures 1 for the upper barrier, -1 for the lower, 0 for the end of `horizon` bars.

    The barriers are ln(close) + upper * deviation and ln(close) - lower * deviation, with the deviation of log returns
    known at the bar. A bar with a deviation of zero has no label.
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
    """[bars], exponentially weighted deviation of the log returns up to each bar; NaN before `span` returns."""
    import polars as pl

    deviation = np.full(len(close), np.nan)
    deviation[1:] = pl.Series(log_returns(close)[1:]).ewm_std(span=span, min_samples=span).to_numpy()
    return deviation


def _quiet_bars(path: Series, upper: Series, lower: Series, horizon: int) -> NDArray[np.int64]:
    """[rows], the number of bars after each row that touch no barrier; counts are exact below `horizon`."""
    quiet = np.empty(len(path), dtype=np.int64)
    for begin in range(0, len(path), BLOCK):
        block = slice(begin, begin + BLOCK)
        quiet[block] = _quiet_in_block(path[begin + 1 : begin + BLOCK + horizon], upper[block], lower[block], horizon)
    return quiet


def _quiet_in_block(later: Series, upper: Series, lower: Series, horizon: int) -> NDArray[np.int64]:
    """The same for the rows of one block; `later` is the path from the block's second row on.

    The extremes of the next 1, 2, 4, … bars show whether all of them are quiet. This finds the binary digits of the
    count, the largest first, in log2(horizon) steps.
    """
    rows = np.arange(len(upper))
    quiet = np.zeros(len(upper), dtype=np.int64)
    for bars, highest, lowest in reversed(_extremes(later, len(upper) + 2 * horizon - 2, horizon)):
        at = rows + quiet
        quiet += bars * ((highest[at] < upper) & (lowest[at] > lower))
    return quiet


def _extremes(path: Series, length: int, horizon: int) -> list[tuple[int, Series, Series]]:
    """(bars, highest, lowest) for 1, 2, 4, … bars up to `horizon`, from each row on.

    Past its end, up to `length`, the path counts as outside all barriers.
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
