"""What is said of models whose knowledge is known: of an oracle, of constants, of guesses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.evaluation.evaluate import evaluate
from ktrdr.features.dataset import Dataset
from ktrdr.payloads.evaluation import Classification
from tests.evaluation.walks import as_regression, dataset_of_paths, logits_of, walk

Integers = NDArray[np.int64]


def evaluated(dataset: Dataset, predicted: Integers) -> Classification:
    found = evaluate(logits_of(predicted, len(dataset.class_names)), dataset, dataset.validation)
    assert isinstance(found, Classification)
    return found


def labels_of(dataset: Dataset) -> Integers:
    return dataset.validation.labels.astype(np.int64)


def test_an_oracle_beats_its_baselines_on_ten_labels_that_overlap() -> None:
    """202 samples of 20 bars each: t-values about a mean of zero can't reach their critical value."""
    found = [
        evaluated(dataset, labels_of(dataset))
        for dataset in (dataset_of_paths(walk(1500, seed), 202, 20) for seed in range(10))
    ]

    assert sum(each.significance.beats_baselines for each in found) >= 9
    assert all(each.accuracy == 1.0 and each.accuracy_interval[0] < 0.9 for each in found)
    assert all(3 < each.significance.effective_samples < 30 for each in found)


def test_an_oracle_on_three_labels_may_be_lucky() -> None:
    found = [
        evaluated(dataset, labels_of(dataset))
        for dataset in (dataset_of_paths(walk(1500, seed), 60, 20) for seed in range(10))
    ]

    assert sum(each.significance.beats_baselines for each in found) <= 5
    assert all("not even a model that is always right could count on" in each.verdict for each in found)


NAIVE = ("majority", "persistence")
VOLATILE = ("down", "flat", "up")


def volatile(seed: int, drift: float = 0.0) -> Dataset:
    """Moves twice as large in the validation part as in training: `flat`, a third there, is a sixth here."""
    steps = np.random.default_rng(seed).normal(size=1500)
    steps[1100:] = 2 * steps[1100:] + drift
    return dataset_of_paths(np.cumsum(steps)[:, None], 300, 1, cuts=(-0.5, 0.5), names=VOLATILE)


@pytest.mark.parametrize("seed", range(5))
def test_a_class_that_is_always_said_beats_nothing_however_frequent_it_became(seed: int) -> None:
    dataset = volatile(seed)
    constant = np.full(300, np.bincount(labels_of(dataset)).argmax())

    found = evaluated(dataset, constant)

    assert found.significance.timing is not None
    assert (found.significance.timing.lead, found.significance.timing.p_value) == (0, 0.5)
    assert not found.significance.beats_baselines
    assert f"always says {VOLATILE[constant[0]]}" in found.verdict
    assert "It beats" not in found.verdict


def test_hardly_ever_saying_another_class_is_no_timing_either() -> None:
    """`up` but for ten bars at random: ahead of both baselines, as `up` became frequent, and knows nothing."""
    random = np.random.default_rng(0)
    found = []
    for seed in range(20):
        predicted = np.full(300, 2)
        predicted[random.integers(0, 300, 10)] = 0
        found.append(evaluated(volatile(seed, drift=1.0), predicted))

    ahead = [each for each in found if max(each.significance.against[name].p_value for name in NAIVE) < 0.025]
    assert len(ahead) >= 15
    assert sum(each.significance.beats_baselines for each in found) <= 1
    assert any("agree with the outcomes hardly more than by chance: p =" in each.verdict for each in ahead)


def test_one_class_for_each_symbol_is_no_timing() -> None:
    """One symbol rises in three of four bars and one falls so: to know which is which is to know nothing of when."""
    random = np.random.default_rng(1)
    ups = random.random((1500, 2)) < np.array([0.75, 0.25])
    dataset = dataset_of_paths(np.cumsum(np.where(ups, 1.0, -1.0), axis=0), 300, 1)
    fixed = np.array([1, 0])[dataset.validation.symbols]

    found = evaluated(dataset, fixed)

    assert found.accuracy > 0.7
    assert not found.significance.beats_baselines
    assert "always says the same of each symbol, and so has timed nothing" in found.verdict


def test_a_number_that_is_always_predicted_beats_nothing() -> None:
    """The mean moved after the training; a constant that is closer to it has no correlation with anything."""
    steps = np.random.default_rng(2).normal(size=1500)
    steps[1100:] += 1.0
    dataset = as_regression(dataset_of_paths(np.cumsum(steps)[:, None], 300, 1))

    found = evaluate(np.full((300, 1), 0.8, np.float32), dataset, dataset.validation)

    assert found.significance.against["mean"].p_value < 0.001
    assert not found.significance.beats_baselines
    assert "always says the same number" in found.verdict


def test_real_skill_still_beats_the_baselines() -> None:
    random = np.random.default_rng(3)
    found = []
    for seed in range(10):
        dataset = dataset_of_paths(walk(1500, seed), 300, 1)
        labels = labels_of(dataset)
        found.append(evaluated(dataset, np.where(random.random(300) < 0.68, labels, 1 - labels)))

    assert sum(each.significance.beats_baselines for each in found) >= 9
    assert all(
        "beats its baselines beyond chance" in each.verdict for each in found if each.significance.beats_baselines
    )


def test_probabilities_are_compared_with_the_shares_of_the_classes() -> None:
    dataset = dataset_of_paths(walk(1500, 4), 300, 1)
    labels = labels_of(dataset)

    knows = evaluated(dataset, np.where(np.arange(300) % 10 < 9, labels, 1 - labels))
    boasts = evaluated(dataset, np.where(np.arange(300) % 2 < 1, labels, 1 - labels))

    assert knows.log_loss_lead is not None
    assert boasts.log_loss_lead is not None
    shares = knows.baselines["majority"].log_loss
    assert shares is not None
    assert knows.log_loss_lead.lead == pytest.approx(shares - knows.log_loss)
    assert knows.log_loss_lead.p_value < 0.001
    assert boasts.log_loss_lead.p_value > 0.999
    assert "Its probabilities are better than the classes' shares, beyond chance" in knows.verdict
    assert "Its probabilities are no better than the classes' shares." in boasts.verdict


def test_a_perfect_model_is_as_far_off_as_calibration_by_chance_says() -> None:
    """Overlapping labels: with each counted as one, chance explains two thirds of the error that is shown."""
    shown, by_chance = [], []
    for seed in range(30):
        dataset = dataset_of_paths(walk(1500, seed), 300, 20)
        found = evaluate(np.zeros((300, 2), np.float32), dataset, dataset.validation)
        assert isinstance(found, Classification)
        shown.append(found.calibration.expected_error)
        by_chance.append(found.calibration.error_by_chance)

    assert np.mean(by_chance) == pytest.approx(np.mean(shown), rel=0.2)


def test_one_miss_among_overlapping_labels_shows_little_of_how_misses_cluster() -> None:
    dataset = dataset_of_paths(walk(1500, 5), 202, 20)
    predicted = labels_of(dataset)
    predicted[100] = 1 - predicted[100]

    found = evaluated(dataset, predicted)

    assert found.significance.effective_samples < 60
    assert found.accuracy_interval[0] < 0.92
