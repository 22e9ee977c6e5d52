"""The deflated Sharpe ratio: how surely a ratio is above what the luckiest of as many tries would have.

Bailey and López de Prado (2014, The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting and
Non-Normality).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReturnMoments:
    """What a Sharpe ratio's standard error depends on; none of it is annual.

    ratio: mean return by bar over its standard deviation
    skewness: third standardised moment
    kurtosis: fourth standardised moment; 3 of normal returns
    instants: number of returns
    """

    ratio: float
    skewness: float
    kurtosis: float
    instants: int

    @classmethod
    def of(cls, returns: Floats) -> ReturnMoments | None:
        """Of `returns` [instants]; None where they do not vary."""
        deviation = float(returns.std())
        if deviation <= 1e-12 * float(np.abs(returns).max(initial=0.0)):
            return None
        z = (returns - returns.mean()) / deviation
        return cls(float(returns.mean()) / deviation, float(np.mean(z**3)), float(np.mean(z**4)), len(returns))

    @property
    def standard_error(self) -> float:
        """Mertens's (2002), sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / (T - 1))."""
        spread = 1 - self.skewness * self.ratio + (self.kurtosis - 1) / 4 * self.ratio**2
        return math.sqrt(max(spread, 0.0) / (self.instants - 1))


def deflated_sharpe(returns: ReturnMoments, variance: float, trials: float) -> float:
    """The probability that the true ratio is above zero, when the best of `trials` tries was selected.

    variance: of the tries' ratios, by bar
    trials: effective number of independent tries
    """
    from scipy.special import ndtr

    hurdle = expected_greatest(trials) * math.sqrt(variance)
    return float(ndtr((returns.ratio - hurdle) / returns.standard_error))


def expected_greatest(trials: float) -> float:
    """The expected greatest of `trials` independent standard normal values, to first order; zero for a single one.

    (1 - g) q(1 - 1 / N) + g q(1 - 1 / (N e)), q being the normal quantile and g the Euler-Mascheroni constant.
    """
    from scipy.special import ndtri

    if trials <= 1:
        return 0.0
    first, second = ndtri(1 - 1 / trials), ndtri(1 - 1 / (trials * math.e))
    return max(0.0, float((1 - np.euler_gamma) * first + np.euler_gamma * second))


def effective_trials(series: Floats) -> float:
    """As how many independent tries the looks count, r + (1 - r) N, r being their mean correlation (appendix A.3).

    series: [instants, looks]; NaN where a look has no row, which counts as its mean
    """
    looks = int(series.shape[1])
    correlation = min(1.0, max(0.0, mean_correlation(series)))
    return correlation + (1 - correlation) * looks


def mean_correlation(series: Floats) -> float:
    """The mean correlation of all pairs of columns; zero of a single one. The cost is linear in the columns."""
    deviations: Floats = np.nan_to_num(series - np.nanmean(series, axis=0))
    lengths: Floats = np.sqrt((deviations**2).sum(axis=0))
    units: Floats = deviations[:, lengths > 0] / lengths[lengths > 0]
    looks = int(units.shape[1])
    # The squared length of the sum of unit vectors is their number and the sum of the correlations of all pairs.
    squared = float((units.sum(axis=1) ** 2).sum())
    return (squared - looks) / (looks * (looks - 1)) if looks > 1 else 0.0
