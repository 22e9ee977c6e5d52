"""The probability of backtest overfitting, by combinatorially symmetric cross-validation.

Bailey, Borwein, López de Prado and Zhu (2017, The Probability of Backtest Overfitting).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# 924 halves. 16 blocks, as in the paper, have 12,870, and say no more of the same rows.
BLOCKS = 12
# With fewer instants in a block, its figures are noise.
_MIN_INSTANTS = 4


def overfitting_probability(series: Floats, blocks: int = BLOCKS) -> float | None:
    """How often the look that is best in one half of the blocks is no better than the median in the other half.

    The rows are cut into `blocks` of successive instants. Looks are compared by the ratio of mean to standard
    deviation in each choice of half of the blocks, and in its complement.

    series: [instants, looks], returns or gains; instants that a look lacks are left out for all of them
    blocks: even; fewer where the instants are few

    Returns None with a single look, or too few common instants.
    """
    common = series[~np.isnan(series).any(axis=1)]
    blocks = min(blocks, len(common) // _MIN_INSTANTS // 2 * 2)
    if common.shape[1] < 2 or blocks < 2:
        return None
    ratios = _ratios_by_half(common, blocks)
    # The complement of the first half in order is the last one.
    ranks = [_rank_of_best(half, other) for half, other in zip(ratios, ratios[::-1], strict=True)]
    return float(np.mean(np.array(ranks) <= (common.shape[1] + 1) / 2))


def _ratios_by_half(series: Floats, blocks: int) -> Floats:
    """[halves, looks], the mean over the standard deviation in each choice of half of the blocks."""
    borders = np.linspace(0, len(series), blocks + 1).astype(np.int64)[:-1]
    sums, squares = (np.add.reduceat(values, borders) for values in (series, series**2))
    sizes = np.diff(borders, append=len(series))
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    counts = (chosen @ sizes)[:, None]
    means = chosen @ sums / counts
    variances = chosen @ squares / counts - means**2
    is_varied = variances > 1e-12 * (chosen @ squares / counts)
    return np.divide(means, np.sqrt(np.maximum(variances, 0.0)), out=np.zeros_like(means), where=is_varied)


def _rank_of_best(half: Floats, other: Floats) -> float:
    """The rank in the `other` half [looks], from 1, of the look that is best in this one; ties have their mean rank."""
    best = other[half.argmax()]
    return float(np.count_nonzero(other < best) + (1 + np.count_nonzero(other == best)) / 2)
