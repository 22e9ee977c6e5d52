"""Positions at other times: what the same turnover and holding times would have earned without timing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ktrdr.payloads.backtest import RandomEntries

Floats = NDArray[np.float64]
Shifts = NDArray[np.int64]

MAX_DRAWS, MIN_DRAWS = 500, 100
# Limits draws * bars, so that the random entries take some tenths of a second.
MAX_DRAWN_BARS = 10_000_000
# With fewer look-backs in a part, too few shifts differ from each other.
MIN_LOOK_BACKS = 4


def shift_at_random(
    returned: Callable[[Shifts], Floats],
    lengths: list[int],
    look_back: int,
    total_return: float,
    drawn_bars: int = MAX_DRAWN_BARS,
) -> RandomEntries:
    """Shift the positions of each sleeve to later bars, wrap them at the end, and compare the returns with the model's.

    `returned` gives the total return [draws] of shifts [draws, sleeves] by so many periods; `lengths` are the sleeves'
    periods, and `drawn_bars` limits draws * periods. A position depends on the `look_back` bars before it. A shift by
    almost all periods is one to slightly earlier bars, which the position has seen: there trend followers always gain,
    and the opposite always loses. So the last `look_back` shifts are left out.
    """
    if min(lengths) < MIN_LOOK_BACKS * look_back:
        return none_drawn(look_back)
    draws = max(MIN_DRAWS, min(MAX_DRAWS, drawn_bars // sum(lengths)))
    shares = np.random.default_rng(0).random(draws)
    earned = returned(np.array([[_shift(share, length, look_back) for length in lengths] for share in shares]))
    low, median, high = (float(value) for value in np.quantile(earned, (0.05, 0.5, 0.95)))
    # Ties count half: a shift that gives the same positions again is neither better nor worse.
    same = np.isclose(earned, total_return, rtol=1e-9, atol=1e-12)
    above = (earned > total_return) & ~same
    return RandomEntries(
        draws=draws,
        low=low,
        median=median,
        high=high,
        percentile=100 * float(1 - above.mean() - same.mean() / 2),
        # The model itself is one of the orders that chance could have brought.
        p_value=float((1 + np.count_nonzero(above | same)) / (1 + draws)),
        look_back=look_back,
    )


def none_drawn(look_back: int, reason: str | None = None) -> RandomEntries:
    """`reason` says why, where the part is not too short."""
    return RandomEntries(draws=0, low=None, median=None, high=None, percentile=None, look_back=look_back, reason=reason)


def _shift(share: float, length: int, look_back: int) -> int:
    """From 1 to `length - look_back`."""
    return 1 + int(share * max(0, length - max(1, look_back)))
