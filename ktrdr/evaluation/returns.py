"""How sure a Sharpe ratio and a mean return are. Returns by bar may be skewed, fat-tailed and autocorrelated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import fixed_b
from ktrdr.evaluation.sampling import Sampling, largest_size
from ktrdr.evaluation.significance import INTERVAL_LEVEL, lead_from_gains
from ktrdr.payloads.evaluation import Lead

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SharpeError:
    """An annual Sharpe ratio's standard error and its interval of 95 % confidence."""

    standard_error: float
    interval: tuple[float, float]


def sharpe_error(returns: Floats, per_year: float) -> SharpeError | None:
    """The error of the Sharpe ratio of `returns` [periods] by bar; None where they do not vary.

    To first order an observation moves the ratio by z - SR / 2 (z^2 - 1), z being the standardised return (Mertens
    2002; Opdyke 2007). The variance of the mean of these influences is Newey and West's (1987).
    """
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    if not math.isfinite(deviation) or deviation <= 1e-12 * largest_size(returns):
        return None
    mean = returns.mean()
    ratio = float(mean) / deviation
    influences = returns - mean
    influences /= deviation
    squares = influences**2
    squares -= 1
    squares *= ratio / 2
    influences -= squares
    sampling = over_time(len(returns))
    error = math.sqrt(sampling.variance(influences) * per_year) / len(returns)
    half = error * fixed_b.critical_value(INTERVAL_LEVEL / 2, sampling.b)
    annual = ratio * math.sqrt(per_year)
    return SharpeError(error, (annual - half, annual + half))


def mean_return(returns: Floats, per_year: float) -> Lead:
    """One-sided test of whether the mean of `returns` [periods] is above zero; the lead is arithmetic, a year."""
    return lead_from_gains(per_year * returns, over_time(len(returns)))


def over_time(periods: int) -> Sampling:
    """Consecutive periods, with Newey and West's (1994) rule for the lag, 4 (T / 100)^(2 / 9)."""
    return Sampling(np.arange(periods), min(periods - 1, int(4 * (periods / 100) ** (2 / 9))), is_series=True)
