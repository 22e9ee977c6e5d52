from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.evaluation.selection.overfitting import overfitting_probability

Floats = NDArray[np.float64]


def by_loops(series: Floats, blocks: int) -> float:
    """Each half of the blocks by itself, as Bailey et al. (2017) describe it; no ties."""
    pieces = np.split(series, blocks)
    logits = []
    for half in combinations(range(blocks), blocks // 2):
        one = np.concatenate([pieces[place] for place in half])
        other = np.concatenate([pieces[place] for place in range(blocks) if place not in half])
        best = (one.mean(0) / one.std(0)).argmax()
        outside = other.mean(0) / other.std(0)
        share = (1 + np.count_nonzero(outside < outside[best])) / (1 + series.shape[1])
        logits.append(np.log(share / (1 - share)))
    return float(np.mean(np.array(logits) <= 1e-12))


@pytest.mark.parametrize("looks", [2, 5, 12])
def test_it_is_the_share_of_halves_whose_best_fails_in_the_other(looks: int) -> None:
    series = np.random.default_rng(looks).normal(size=(96, looks))

    assert overfitting_probability(series, blocks=8) == pytest.approx(by_loops(series, 8))


def test_by_hand() -> None:
    """Two blocks, two looks: each is best in the half in which the other is not."""
    first, second = [1.0, 2.0, 1.0, 2.0, 0.0, 1.0, 0.0, -1.0], [0.0, 1.0, 0.0, -1.0, 1.0, 2.0, 1.0, 2.0]

    assert overfitting_probability(np.column_stack([first, second]), blocks=2) == 1


def test_a_look_with_skill_is_chosen_and_stays_good() -> None:
    series = np.random.default_rng(1).normal(size=(600, 30))
    series[:, 4] += 0.5

    assert overfitting_probability(series) == 0


def test_without_skill_the_best_is_soon_among_the_worse() -> None:
    found = [overfitting_probability(np.random.default_rng(seed).normal(size=(240, 20))) for seed in range(20)]

    assert np.mean(np.array(found, float)) == pytest.approx(0.5, abs=0.15)


def test_rows_that_one_look_lacks_are_left_out() -> None:
    series = np.random.default_rng(2).normal(size=(124, 6))
    series[:4, 3] = np.nan

    assert overfitting_probability(series) == overfitting_probability(series[4:])


@pytest.mark.parametrize("shape", [(100, 1), (7, 5)])
def test_there_is_none_of_one_look_or_of_few_rows(shape: tuple[int, int]) -> None:
    assert overfitting_probability(np.random.default_rng(3).normal(size=shape)) is None
