from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ktrdr.evaluation.evaluate import evaluate
from ktrdr.evaluation.resolution import resolution
from ktrdr.features.dataset import Dataset
from tests.evaluation.walks import as_regression, dataset_of_paths, logits_of, walk

LEVEL = 0.025


def samples_of_walk(samples: int, horizon: int, symbols: int = 1, correlation: float = 0.0) -> Dataset:
    return dataset_of_paths(walk(3000, 1, symbols, correlation), samples, horizon)


def test_independent_samples_are_worth_themselves() -> None:
    dataset = samples_of_walk(300, 1)

    found = resolution(dataset, dataset.validation, LEVEL)

    assert found.effective == pytest.approx(300, rel=0.05)
    # (1.96 + 0.84) sqrt(0.5 / 300), less the square of the lead itself
    assert found.least == pytest.approx(0.116, abs=0.002)
    assert "need a lead of about 12 points over a baseline for 80% power" in found.sentence("validation")


def test_labels_that_overlap_are_worth_fewer() -> None:
    """Signs of overlapping sums of h steps are correlated by 2 / pi asin(1 - k / h): h * 0.73 of them are one."""
    dataset = samples_of_walk(300, 20)

    found = resolution(dataset, dataset.validation, LEVEL)

    assert 300 / 20 < found.effective < 300 / 9
    assert "worth about" in found.sentence("validation")


@pytest.mark.parametrize(("correlation", "low", "high"), [(0.0, 900, 1001), (0.6, 180, 300), (0.999, 95, 110)])
def test_symbols_that_move_together_are_worth_few(correlation: float, low: int, high: int) -> None:
    """Ten symbols; the signs of normal moves correlated by 0.6 are correlated by 0.41: 10 are worth 2.1."""
    dataset = samples_of_walk(100, 1, symbols=10, correlation=correlation)

    assert low <= resolution(dataset, dataset.validation, LEVEL).effective <= high


@pytest.mark.parametrize(("samples", "horizon", "hopeless"), [(60, 20, True), (150, 50, True), (300, 20, False)])
def test_rows_that_could_not_show_an_oracle_are_called_hopeless(samples: int, horizon: int, hopeless: bool) -> None:
    dataset = samples_of_walk(samples, horizon)

    found = resolution(dataset, dataset.validation, LEVEL)

    assert found.is_hopeless is hopeless
    assert ("not even a model that is always right" in found.sentence("validation")) is hopeless


def test_it_is_the_same_for_every_model() -> None:
    dataset = samples_of_walk(300, 5)
    labels = dataset.validation.labels.astype(np.int64)

    verdicts = [
        evaluate(logits_of(predicted), dataset, dataset.validation).verdict for predicted in (labels, 1 - labels)
    ]

    sentence = resolution(dataset, dataset.validation, LEVEL).sentence("validation")
    assert all(sentence in verdict for verdict in verdicts)


def test_a_regression_needs_a_correlation() -> None:
    dataset = as_regression(samples_of_walk(300, 1))

    found = resolution(dataset, dataset.validation, LEVEL)

    assert found.least == pytest.approx(0.16, abs=0.01)
    assert "need a correlation with the outcome of about 0.16" in found.sentence("validation")
    assert not found.is_hopeless


def test_a_part_of_a_single_class_is_no_accident() -> None:
    dataset = samples_of_walk(50, 1)
    constant = replace(dataset.validation, labels=np.ones(50, np.int64))

    assert resolution(dataset, constant, LEVEL).samples == 50
