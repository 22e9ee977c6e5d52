"""How much a price moved up to each bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.bars_per_year import YEAR
from ktrdr.features.labels.triple_barrier import volatility
from ktrdr.market.trading_clock import TradingClock

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]


def volatility_by_stretch(close: Floats, span: int, rows_after_holes: NDArray[np.int64]) -> Floats:
    """[bars], moving deviation of the log returns up to each bar; NaN before `span` returns, at each hole anew."""
    stretches = np.split(close, rows_after_holes)
    return np.concatenate([volatility(each, span) for each in stretches if len(each)])


def bars_in_year_before(instants: Instants, clock: TradingClock) -> Floats:
    """[instants], the bars that the calendar expects in the year before each; of bars outside sessions around it."""
    expected = clock.bars_between(instants - YEAR, instants)
    return np.where(expected > 0, expected, float(YEAR / clock.length))
