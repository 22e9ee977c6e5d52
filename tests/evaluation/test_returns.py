from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import kurtosis, skew

from ktrdr.evaluation.returns import mean_return, over_time, sharpe_error

Floats = NDArray[np.float64]


def test_the_standard_error_of_independent_returns_is_mertens() -> None:
    """sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / T); no lag is left for so few bars."""
    returns = np.random.default_rng(0).gamma(2.0, 1.0, 60) - 1.5
    ratio = returns.mean() / returns.std()
    by_hand = (1 - skew(returns) * ratio + (kurtosis(returns, fisher=False) - 1) / 4 * ratio**2) / 60

    found = sharpe_error(returns, per_year=252)

    assert found is not None
    # The rule gives a lag of 3 here, which independent returns hardly mind.
    assert over_time(60).lag == 3
    assert found.standard_error == pytest.approx(math.sqrt(by_hand * 252), rel=0.25)


@pytest.mark.parametrize("autocorrelation", [0.0, 0.2, -0.2])
def test_autocorrelated_returns_have_the_error_of_their_long_run_variance(autocorrelation: float) -> None:
    random = np.random.default_rng(1)
    shocks = math.sqrt(1 - autocorrelation**2) * random.normal(size=20_000)
    returns = np.asarray(lfilter([1.0], [1.0, -autocorrelation], shocks), np.float64)

    found = sharpe_error(returns, per_year=1)

    assert found is not None
    long_run = (1 + autocorrelation) / (1 - autocorrelation)
    assert found.standard_error == pytest.approx(math.sqrt(long_run / 20_000), rel=0.06)


def test_the_interval_covers_the_true_ratio_of_skewed_returns_as_often_as_it_says() -> None:
    random, ratio, covered = np.random.default_rng(2), 0.1, 0
    for _ in range(400):
        falls = -6.0 * (random.random(250) < 0.02)
        returns = (random.normal(size=250) + falls + 0.12) / math.sqrt(1 + 36 * 0.0196) + ratio
        found = sharpe_error(returns, per_year=1)
        assert found is not None
        covered += found.interval[0] <= ratio <= found.interval[1]

    assert 0.92 <= covered / 400 <= 0.98


def test_returns_that_never_vary_have_no_error() -> None:
    assert sharpe_error(np.zeros(50), per_year=252) is None
    assert sharpe_error(np.full(50, 0.1), per_year=252) is None


def test_a_mean_return_is_tested_against_zero_by_the_year() -> None:
    random = np.random.default_rng(3)

    gain = mean_return(random.normal(0.01, 0.05, 500), per_year=252)
    nothing = mean_return(np.zeros(500), per_year=252)

    assert gain.lead == pytest.approx(2.52, rel=0.3)
    assert gain.standard_error == pytest.approx(252 * 0.05 / math.sqrt(500), rel=0.15)
    assert gain.p_value < 0.001
    assert (nothing.lead, nothing.p_value) == (0, 0.5)
