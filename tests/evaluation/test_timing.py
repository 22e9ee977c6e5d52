from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from ktrdr.evaluation.timing import class_agreement, number_agreement

ALONE = np.zeros(300, np.int64)


def test_its_mean_is_the_numerator_of_cohens_kappa() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    predicted = np.where(random.random(300) < 0.4, labels, random.integers(0, 3, 300))

    agreement = class_agreement(labels, predicted, ALONE, 3)

    frequencies = [np.bincount(side, minlength=3) / 300 for side in (labels, predicted)]
    expected = float(frequencies[0] @ frequencies[1])
    assert agreement.mean() / (1 - expected) == pytest.approx(cohen_kappa_score(labels, predicted))


@pytest.mark.parametrize("constant", [0, 1, 2])
def test_whoever_always_says_the_same_agrees_with_nothing(constant: int) -> None:
    labels = np.random.default_rng(1).integers(0, 3, 300)

    assert not class_agreement(labels, np.full(300, constant), ALONE, 3).any()


def test_to_know_one_symbol_from_another_is_no_timing() -> None:
    symbols = np.repeat([0, 1, 2], 100)
    labels = np.random.default_rng(2).integers(0, 2, 300) * (symbols > 0)

    assert not class_agreement(labels, np.array([0, 1, 1])[symbols], symbols, 2).any()
    assert not number_agreement(labels.astype(np.float64), np.array([0.1, 0.3, 0.7])[symbols], symbols).any()


def test_of_numbers_it_is_the_correlation() -> None:
    random = np.random.default_rng(3)
    targets = random.normal(size=300)
    predicted = 0.01 * targets + random.normal(3, 0.02, size=300)

    found = number_agreement(targets, predicted, ALONE)

    assert found.mean() == pytest.approx(np.corrcoef(targets, predicted)[0, 1])
    assert not number_agreement(targets, np.full(300, 0.1), ALONE).any()
