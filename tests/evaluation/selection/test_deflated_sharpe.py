from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from ktrdr.evaluation.selection.deflated_sharpe import (
    ReturnMoments,
    deflated_sharpe,
    effective_trials,
    expected_greatest,
    mean_correlation,
)

# The numerical example of Bailey and López de Prado (2014): five years of daily returns, an annual ratio of 2.5, and
# tries whose annual ratios have a variance of one half.
EXAMPLE = ReturnMoments(ratio=2.5 / math.sqrt(250), skewness=-3, kurtosis=10, instants=1250)
VARIANCE = 0.5 / 250


def test_the_example_of_the_paper() -> None:
    assert expected_greatest(100) * math.sqrt(VARIANCE) == pytest.approx(0.1132, abs=1e-4)
    assert deflated_sharpe(EXAMPLE, VARIANCE, 100) == pytest.approx(0.9004, abs=1e-4)
    assert deflated_sharpe(EXAMPLE, VARIANCE, 46) == pytest.approx(0.9505, abs=1e-4)


def test_normal_returns_would_have_allowed_more_tries() -> None:
    normal = ReturnMoments(EXAMPLE.ratio, skewness=0, kurtosis=3, instants=1250)

    assert deflated_sharpe(normal, VARIANCE, 88) == pytest.approx(0.95, abs=2e-3)


def test_a_single_try_is_not_deflated() -> None:
    assert expected_greatest(1) == 0
    assert deflated_sharpe(ReturnMoments(0, 0, 3, 100), VARIANCE, 1) == 0.5


@pytest.mark.parametrize("trials", [10, 100])
def test_the_greatest_of_many_normal_values(trials: int) -> None:
    simulated = np.random.default_rng(0).normal(size=(4_000, trials)).max(axis=1).mean()

    assert expected_greatest(trials) == pytest.approx(simulated, abs=0.05)


def test_moments_by_hand() -> None:
    found = ReturnMoments.of(np.array([1.0, 1.0, 1.0, 5.0]))

    # Mean 2, deviation sqrt(3): three values of -1 / sqrt(3) and one of sqrt(3).
    assert found is not None
    assert found.ratio == pytest.approx(2 / math.sqrt(3))
    assert found.skewness == pytest.approx((3**1.5 - 3 * 3**-1.5) / 4)
    assert found.kurtosis == pytest.approx((9 + 3 / 9) / 4)
    assert ReturnMoments.of(np.full(5, 0.1)) is None


def test_the_mean_correlation_is_that_of_all_pairs() -> None:
    random = np.random.default_rng(1)
    series = random.normal(size=(50, 7)) + random.normal(size=(50, 1))
    pairs = [np.corrcoef(series[:, one], series[:, other])[0, 1] for one, other in combinations(range(7), 2)]

    assert mean_correlation(series) == pytest.approx(np.mean(pairs))


def test_tries_count_as_many_as_they_differ() -> None:
    one, others = np.random.default_rng(2).normal(size=(400, 1)), np.random.default_rng(3).normal(size=(400, 20))

    assert effective_trials(np.repeat(one, 20, axis=1)) == pytest.approx(1)
    assert effective_trials(others) == pytest.approx(20, rel=0.05)
    assert effective_trials(np.hstack([one, np.where(np.arange(400)[:, None] < 4, np.nan, one)])) < 1.1
