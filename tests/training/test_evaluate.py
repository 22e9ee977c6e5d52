from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.features.matrix import Part
from ktrdr.training.evaluate import confusion_of, evaluate, f1_of, scores_of, standard_error


def part_of(labels: list[int], persistence: list[int]) -> Part:
    count = len(labels)
    return Part(np.arange(count), np.array(labels), np.array(persistence), np.zeros(count, dtype="datetime64[us]"))


def test_scores_worked_out_by_hand() -> None:
    validation = part_of([0, 0, 0, 1], persistence=[1, 0, 1, 1])

    found = evaluate(np.array([0, 0, 1, 1]), validation, np.array([1, 1, 0]), ("down", "up"))

    assert found["validation_samples"] == 4
    assert found["confusion"] == [[2, 1], [0, 1]]
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["f1"] == {"down": pytest.approx(0.8), "up": pytest.approx(2 / 3)}
    # The training part says "up" most often, although the validation part does not.
    assert found["baselines"]["majority"] == {"accuracy": 0.25, "balanced_accuracy": 0.5}
    assert found["baselines"]["persistence"] == {"accuracy": 0.5, "balanced_accuracy": pytest.approx(2 / 3)}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=50))
def test_the_confusion_counts_every_sample_once(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(side) for side in zip(*pairs, strict=True))

    counts = confusion_of(labels, predicted, 3)

    assert counts.sum() == len(pairs)
    assert scores_of(counts)["accuracy"] == pytest.approx(np.mean(labels == predicted))
    scores = scores_of(counts)
    assert all(0 <= score <= 1 for score in [*f1_of(counts), scores["accuracy"], scores["balanced_accuracy"]])


def test_a_class_that_never_occurs_has_no_part_in_balanced_accuracy() -> None:
    counts = confusion_of(np.array([0, 0, 1]), np.array([0, 0, 1]), 3)

    assert scores_of(counts)["balanced_accuracy"] == 1.0
    assert f1_of(counts) == [1.0, 1.0, 0.0]


def test_standard_error_of_a_share() -> None:
    assert standard_error(0.5, 100) == pytest.approx(0.05)
