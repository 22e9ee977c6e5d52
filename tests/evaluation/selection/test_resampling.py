from __future__ import annotations

import math

import numpy as np
import pytest

from ktrdr.evaluation.selection.resampling import MAX_INSTANTS, resample, resampled_sums, stationary_weights


def test_every_resample_has_as_many_rows_as_there_are() -> None:
    weights = stationary_weights(37, 5, 200)

    assert weights.shape == (200, 37)
    assert (weights.sum(axis=1) == 37).all()
    assert (weights >= 0).all()


def test_all_instants_are_drawn_equally_often() -> None:
    weights = stationary_weights(20, 4, 20_000)

    assert weights.mean(axis=0) == pytest.approx(np.ones(20), abs=0.06)


@pytest.mark.parametrize("block", [1.0, 3.0, 10.0])
def test_the_spread_is_that_of_politis_and_romano(block: float) -> None:
    """Their lemma 1 gives the variance of a resampled mean in closed form."""
    series = np.cumsum(np.random.default_rng(1).normal(size=60)) / 5 + np.random.default_rng(2).normal(size=60)
    count, q, centred = len(series), 1 / block, series - series.mean()
    covariances = [float(centred @ np.roll(centred, -lag)) / count for lag in range(count)]
    by_formula = (
        covariances[0] + sum(2 * (1 - k / count) * (1 - q) ** k * covariances[k] for k in range(1, count))
    ) / count

    found = resample(series[:, None], np.ones((60, 1)), block, resamples=20_000)

    assert found.spread == pytest.approx([math.sqrt(by_formula)], rel=0.03)


def test_looks_of_the_same_instants_meet_the_same_resamples() -> None:
    one, two = np.random.default_rng(3).normal(size=(2, 50, 2))
    counts = np.ones((50, 2))

    alone, together = resample(one, counts, 3), resample(np.hstack([one, two]), np.ones((50, 4)), 3)

    assert together.deviations[:, :2] == pytest.approx(alone.deviations, abs=1e-6)
    assert (together.means[:2] == alone.means).all()


def test_a_look_at_some_of_the_rows_has_the_mean_of_those() -> None:
    sums = np.array([[1.0, np.nan], [2.0, 4.0], [3.0, np.nan], [0.0, 8.0]])
    counts = np.array([[1.0, np.nan], [1.0, 2.0], [2.0, np.nan], [1.0, 2.0]])

    found = resample(sums, counts, 1, resamples=4_000)

    assert found.means == pytest.approx([6 / 5, 12 / 4])
    # Two instants of equal weight, 1 and -1 from the mean, each drawn once on average.
    assert found.deviations.mean(axis=0) == pytest.approx([0, 0], abs=0.02)
    assert set(np.unique(found.deviations[:, 1].round(4))) <= {step / 2 for step in range(-8, 9)}


def test_a_look_that_never_varies_deviates_nowhere() -> None:
    found = resample(np.full((30, 1), 0.1), np.ones((30, 1)), 2).studentized()

    assert not found.deviations.any()
    assert found.means == [0.0]


def test_long_series_cost_no_more_and_have_the_same_spread() -> None:
    count = 10 * MAX_INSTANTS
    series = np.random.default_rng(4).normal(size=(count, 1))

    found = resample(series, np.ones((count, 1)), 20)

    assert found.instants == count
    assert found.spread == pytest.approx([1 / math.sqrt(count)], rel=0.1)


def test_sums_are_those_of_the_drawn_rows() -> None:
    series = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    weights = np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2]], np.float32)

    assert resampled_sums(series, weights).tolist() == [[7, 70], [3, 30], [10, 100]]
