from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from ktrdr.evaluation import metrics
from ktrdr.evaluation.evaluate import evaluate
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.evaluation.sampling import Sampling
from ktrdr.features.dataset import Dataset, Part
from ktrdr.features.scaling import Scaler
from ktrdr.payloads.evaluation import Classification, Regression


def part_of(
    labels: list[int] | list[float], persistence: list[int] | list[float] | None = None, first: int = 0
) -> Part:
    kind: Any = np.int64 if isinstance(labels[0], int) else np.float32
    rows = np.arange(first, first + len(labels))
    return Part(
        ends=rows,
        labels=np.array(labels, kind),
        persistence=np.array(persistence or labels, kind),
        timestamps=np.datetime64("2020-01-01", "us") + rows * np.timedelta64(1, "D"),
        symbols=np.zeros(len(labels), np.int64),
        rows=rows,
        settled=rows + 1,
        measures=np.zeros(len(labels)),
        weights=np.ones(len(labels), np.float32),
    )


def dataset_of(train: Part, validation: Part, classes: tuple[str, ...], values: list[float] | None = None) -> Dataset:
    rows = len(train.labels) + len(validation.labels)
    column = np.zeros(rows) if values is None else np.array(values)
    return Dataset(
        values=column.astype(np.float32)[:, None],
        feature_names=("x",),
        class_names=classes,
        sequence_length=1,
        train=train,
        validation=validation,
        test=None,
        scaler=Scaler("none", np.zeros(1), np.ones(1)),
        cuts=None,
        target_scale=1.0,
        symbols=("A",),
        coverage=(),
    )


def logits(classes: list[int], confidence: float = 0.8) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.eye(2, dtype=np.float32)[classes] * np.float32(math.log(confidence / (1 - confidence)))


def classified(predicted: list[int], labels: list[int], persistence: list[int], train: list[int]) -> Classification:
    validation = part_of(labels, persistence, first=len(train))
    dataset = dataset_of(part_of(train), validation, ("down", "up"))
    found = evaluate(logits(predicted), dataset, validation)
    assert isinstance(found, Classification)
    return found


def test_a_classification_worked_out_by_hand() -> None:
    found = classified([0, 0, 1, 1], [0, 0, 0, 1], persistence=[1, 0, 1, 1], train=[1, 1, 0])

    assert (found.part, found.samples) == ("validation", 4)
    assert (found.first, found.last) == (datetime(2020, 1, 4, tzinfo=UTC), datetime(2020, 1, 7, tzinfo=UTC))
    assert found.confusion == ((2, 1), (0, 1))
    assert found.accuracy == 0.75
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.mcc == pytest.approx((2 * 1 - 1 * 0) / math.sqrt(2 * 3 * 2 * 1))
    assert found.log_loss == pytest.approx(-(3 * math.log(0.8) + math.log(0.2)) / 4)
    assert found.f1 == {"down": pytest.approx(0.8), "up": pytest.approx(2 / 3)}
    # The training part says "up" most often, although the validation part does not.
    majority, persistence = (found.baselines[name] for name in ("majority", "persistence"))
    assert majority.model_dump() == {
        "accuracy": 0.25,
        "balanced_accuracy": 0.5,
        "mcc": 0.0,
        "log_loss": pytest.approx(-(3 * math.log(1 / 3) + math.log(2 / 3)) / 4),
    }
    assert (persistence.accuracy, persistence.log_loss) == (0.5, None)
    assert found.significance.against["majority"].lead == 0.5
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_a_logistic_regression_stands_beside_the_model_and_knows_the_training_part_alone() -> None:
    train, unseen = [0, 1] * 50, [0, 1] * 30
    validation = part_of(unseen, first=100)
    dataset = dataset_of(part_of(train), validation, ("down", "up"), [float(x) for x in train + unseen])

    found = evaluate(logits(unseen), dataset, validation, control=logits([0] * 60))

    assert found.baselines["logistic_regression"].accuracy == 1.0
    assert found.baselines["shuffled_control"].accuracy == 0.5
    assert found.significance.against.keys() == {
        *("majority", "persistence", "logistic_regression", "shuffled_control")
    }
    assert not found.significance.beats_baselines  # persistence is perfect here
    contrary = replace(dataset, values=np.concatenate([dataset.values[:100], 1 - dataset.values[100:]]))
    assert evaluate(logits(unseen), contrary, validation).baselines["logistic_regression"].accuracy == 0.0


def test_a_control_that_beats_the_baselines_is_told() -> None:
    random = np.random.default_rng(0)
    labels, persistence = (random.integers(0, 2, 400).tolist() for _ in range(2))
    validation = part_of(labels, persistence, first=10)
    dataset = dataset_of(part_of([0, 1] * 5), validation, ("down", "up"))

    found = evaluate(logits(labels), dataset, validation, control=logits(labels))

    assert found.significance.beats_baselines
    assert "trained on shuffled labels (100.0%) beats the baselines as well" in found.verdict


def test_weights_of_classes_are_taken_out_of_the_probabilities() -> None:
    # A model that learnt under weights 3 and 1 and knows nothing says 3:1 times the classes' own odds.
    learnt = np.log(np.array([[3 * 0.2, 1 * 0.8]], np.float32))

    assert class_probabilities(learnt, [3.0, 1.0])[0] == pytest.approx([0.2, 0.8])
    assert class_probabilities(learnt, [3.0, 0.0]).sum() == pytest.approx(1)


def regression_of(predicted: list[float], targets: list[float], train: list[float]) -> Regression:
    validation = part_of(targets, [0.0] * len(targets), first=len(train))
    dataset = dataset_of(part_of(train), validation, ())
    found = evaluate(np.array(predicted, np.float32)[:, None], dataset, validation)
    assert isinstance(found, Regression)
    return found


def test_a_regression_worked_out_by_hand() -> None:
    found = regression_of([0.5, -0.5, 0.25, 0.0], [1.0, -2.0, -0.5, 1.0], train=[0.5, -0.5, 0.3])

    errors = [0.25, 2.25, 0.5625, 1.0]
    assert found.mse == pytest.approx(sum(errors) / 4)
    mean = 0.1
    naive = sum((target - mean) ** 2 for target in (1.0, -2.0, -0.5, 1.0)) / 4
    assert found.r2 == pytest.approx(1 - found.mse / naive)
    assert found.baselines["mean"].model_dump() == {
        "mse": pytest.approx(naive),
        "r2": pytest.approx(0, abs=1e-7),
        "ic": None,
        "rank_ic": None,
        "accuracy": 0.5,
    }
    assert found.baselines["persistence"].mse == pytest.approx((1 + 4 + 0.25 + 1) / 4)
    assert found.accuracy == 0.5
    assert found.ic == pytest.approx(np.corrcoef([0.5, -0.5, 0.25, 0.0], [1.0, -2.0, -0.5, 1.0])[0, 1])
    assert found.class_names == ()
    assert found.significance.against.keys() == {"mean", "persistence", "ridge_regression"}
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_a_regression_that_knows_something_has_an_ic_to_show_and_beats_the_mean() -> None:
    random = np.random.default_rng(2)
    targets = random.normal(size=500)
    predicted = 0.4 * targets + 0.3 * random.normal(size=500)

    found = regression_of(predicted.tolist(), targets.tolist(), train=random.normal(size=50).tolist())

    assert found.significance.beats_baselines
    assert "a squared error of 0." in found.verdict
    assert found.rank_ic is not None
    assert found.rank_ic > 0.6
    assert found.ic_t is not None
    assert found.ic_t > 8


def test_wilsons_interval() -> None:
    assert metrics.wilson_interval(0.5, 100, 1.96) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert metrics.wilson_interval(0.0, 10, 1.96) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_calibration_puts_equally_many_samples_into_a_bin_and_equal_confidence_into_one() -> None:
    confidence = np.linspace(0.5, 0.9, 100)
    shares = np.stack([1 - confidence, confidence], axis=1)
    alone = Sampling(np.arange(100), 0)
    labels = (np.arange(100) % 2).astype(np.int64)

    spread = metrics.measure_calibration(labels, np.ones(100, np.int64), shares, alone)
    alike = metrics.measure_calibration(labels, np.ones(100, np.int64), np.full((100, 2), 0.5), alone)

    assert [each.samples for each in spread.bins] == [10] * 10
    assert spread.expected_error == pytest.approx(0.2, abs=0.001)
    assert [(each.confidence, each.accuracy, each.samples) for each in alike.bins] == [(0.5, 0.5, 100)]
    assert alike.expected_error == 0
    assert alike.error_by_chance == pytest.approx(math.sqrt(2 * 0.25 / (100 * math.pi)), rel=0.01)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0.01, 1)), min_size=1, max_size=50))
@settings(deadline=None, max_examples=25)
def test_the_scores_are_those_of_scikit_learn(samples: list[tuple[int, int, float]]) -> None:
    labels, predicted = (np.array([each[side] for each in samples]) for side in (0, 1))
    shares = np.stack([[share / 2, 1 - share, share / 2] for *_, share in samples])

    counts, found = metrics.count_confusion(labels, predicted, 3), metrics.class_scores(labels, predicted, shares, 3)

    every = [0, 1, 2]
    recalls = {"labels": np.unique(labels), "average": "macro"}
    assert counts.tolist() == sklearn_metrics.confusion_matrix(labels, predicted, labels=every).tolist()
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert found.balanced_accuracy == pytest.approx(sklearn_metrics.recall_score(labels, predicted, **recalls))
    assert found.log_loss == pytest.approx(sklearn_metrics.log_loss(labels, shares, labels=every))
    f1 = sklearn_metrics.f1_score(labels, predicted, labels=every, average=None, zero_division=0)
    assert metrics.f1_scores(counts) == pytest.approx(f1)
    if len(set(labels)) > 1 and len(set(predicted)) > 1:
        assert found.mcc == pytest.approx(sklearn_metrics.matthews_corrcoef(labels, predicted), abs=1e-12)
    else:
        assert found.mcc == 0


def test_what_was_called_impossible_costs_much_and_not_everything() -> None:
    assert 30 < metrics.mean_log_loss(np.array([1]), np.array([[1.0, 0.0]])) < 40
