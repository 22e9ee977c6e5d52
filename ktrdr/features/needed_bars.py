"""The minimum number of bars of a symbol for a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.splits import Timeline, split

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

MIN_SAMPLES = 2


def needed_bars(strategy: Strategy, warmup: int) -> int:
    """The fewest bars of one symbol that leave MIN_SAMPLES in every part if every label takes its full horizon.

    Doubles the number of samples until it suffices, then bisects.
    """
    first_end = _first_end(strategy, warmup)
    low, high = 0, 1
    while not _is_enough(strategy, first_end, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_enough(strategy, first_end, middle) else (middle, high)
    return first_end + high + strategy.labels.horizon


def has_enough_bars(strategy: Strategy, warmup: int, bars: int) -> bool:
    """Whether a symbol has as many bars as `needed_bars` says, without a search for that number."""
    first_end = _first_end(strategy, warmup)
    samples = bars - first_end - strategy.labels.horizon
    return samples > 0 and _is_enough(strategy, first_end, samples)


def _first_end(strategy: Strategy, warmup: int) -> int:
    return max(warmup + strategy.model.sequence_length - 1, strategy.labels.horizon)


def _is_enough(strategy: Strategy, first_end: int, samples: int) -> bool:
    horizon = strategy.labels.horizon
    opens: NDArray[np.datetime64] = np.arange(first_end + samples + horizon).astype("datetime64[us]")
    closes: NDArray[np.datetime64] = np.append(opens[1:], opens[-1:] + np.timedelta64(1, "us"))
    rows = np.arange(first_end, first_end + samples)
    (parts,) = split(strategy, [Timeline(opens, closes, rows, rows + horizon)])
    needed = (parts.train, parts.validation, *((parts.test,) if strategy.validation.test else ()))
    return min(map(len, needed)) >= MIN_SAMPLES
