"""How good a model is on rows it was not trained on, beside the baselines that it must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import baselines, metrics
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.metrics import Calibration, ClassScores, Floats, Integers, NumberScores
from ktrdr.evaluation.outputs import probabilities_of
from ktrdr.evaluation.significance import TEST_LEVEL, VALIDATION_LEVEL, Sampling, Significance, judge
from ktrdr.evaluation.verdict import VerdictInput, verdict
from ktrdr.features.ranks import ranks

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part

CONTROL = "shuffled_control"


# Functional, because of the key "from".
_Common = TypedDict(
    "_Common",
    {
        "part": str,
        "validation_samples": int,
        "from": str,
        "to": str,
        "accuracy": float,
        "accuracy_interval": list[float],
        "class_names": list[str],
        "significance": Significance,
        "verdict": str,
    },
)


class Classification(_Common):
    """`confusion[i][j]` counts samples of class i that were taken for class j.

    `accuracy_interval` holds the accuracy with 95 % confidence; `from` and `to` are instants of the first and the last
    sample; `verdict` is for people.
    """

    balanced_accuracy: float
    mcc: float
    log_loss: float
    f1: dict[str, float]
    confusion: list[list[int]]
    calibration: Calibration
    baselines: dict[str, ClassScores]


class Regression(_Common):
    """`mse` in units of the training targets' variance; `accuracy` is the share of right signs; the rest as above."""

    mse: float
    r2: float
    ic: float | None
    ic_t: float | None
    rank_ic: float | None
    rank_ic_t: float | None
    baselines: dict[str, NumberScores]


Evaluation = Classification | Regression


def is_classification(evaluation: Evaluation) -> TypeGuard[Classification]:
    return bool(evaluation["class_names"])


def is_regression(evaluation: Evaluation) -> TypeGuard[Regression]:
    return not evaluation["class_names"]


def evaluate(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None = None,
    class_weights: Sequence[float] | None = None,
) -> Evaluation:
    """Score a model's `outputs` [samples, classes], logits, or [samples, 1], targets, on `part`.

    `control` holds the outputs of the same model trained on shuffled labels. `class_weights` are those of the
    training's loss: logits learnt under them speak of a world in which the classes are as frequent as they weigh, so
    the weights are taken out of the probabilities (not out of the predicted classes, which they are meant to move).
    """
    if dataset.is_regression:
        return _regression(outputs, dataset, part, control)
    return _classification(outputs, dataset, part, control, class_weights)


def _classification(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None,
    class_weights: Sequence[float] | None,
) -> Classification:
    names, labels = dataset.class_names, part.labels.astype(np.int64)
    predicted, probabilities = outputs.argmax(axis=1), probabilities_of(outputs, class_weights)
    guesses = {
        "majority": baselines.majority(dataset, part),
        "persistence": baselines.persistence(part),
        "logistic_regression": baselines.logistic_regression(dataset, part),
    }
    if control is not None:
        guesses[CONTROL] = Guess(control.argmax(axis=1), probabilities_of(control, class_weights))
    beside = {
        name: metrics.class_scores(labels, each.predicted, each.probabilities, len(names))
        for name, each in guesses.items()
    }
    confusion = metrics.confusion_of(labels, predicted, len(names))
    mine = metrics.class_scores(labels, predicted, probabilities, len(names))
    figures = {"model": f"{mine['accuracy']:.1%}"} | {name: f"{each['accuracy']:.1%}" for name, each in beside.items()}
    hits = {name: _as_floats(each.predicted == labels) for name, each in guesses.items()}
    model_hits = _as_floats(predicted == labels)
    common = _judged(dataset, part, figures, model_hits, model_hits, hits)
    return Classification(
        **common,
        balanced_accuracy=mine["balanced_accuracy"],
        mcc=mine["mcc"],
        log_loss=metrics.log_loss_of(labels, probabilities),
        f1=dict(zip(names, metrics.f1_of(confusion), strict=True)),
        confusion=confusion.tolist(),
        calibration=metrics.calibration_of(labels, predicted, probabilities),
        baselines=beside,
    )


def _regression(
    outputs: NDArray[np.float32], dataset: Dataset, part: Part, control: NDArray[np.float32] | None
) -> Regression:
    targets, predicted = _as_floats(part.labels), _as_floats(outputs[:, 0])
    mean = baselines.training_mean(dataset)
    guesses = {
        "mean": baselines.mean(dataset, part),
        "persistence": baselines.persistence(part),
        "ridge_regression": baselines.ridge_regression(dataset, part),
    }
    if control is not None:
        guesses[CONTROL] = Guess(control[:, 0])
    guessed = {name: _as_floats(each.predicted) for name, each in guesses.items()}
    beside = {name: metrics.number_scores(targets, each, mean) for name, each in guessed.items()}
    mine = metrics.number_scores(targets, predicted, mean)
    figures = {name: f"{each['mse']:.4f}" for name, each in {"model": mine, **beside}.items()}
    figures["model"] = f"a squared error of {figures['model']} training variances"
    qualities = {name: -((each - targets) ** 2) for name, each in guessed.items()}
    hits = _as_floats(metrics.sign_hits(targets, predicted))
    sampling = Sampling.of(part)
    return Regression(
        **_judged(dataset, part, figures, hits, -((predicted - targets) ** 2), qualities),
        mse=mine["mse"],
        r2=mine["r2"],
        ic=mine["ic"],
        ic_t=metrics.correlation_t(targets, predicted, sampling),
        rank_ic=mine["rank_ic"],
        rank_ic_t=metrics.correlation_t(ranks(targets), ranks(predicted), sampling),
        baselines=beside,
    )


def _judged(
    dataset: Dataset,
    part: Part,
    figures: Mapping[str, str],
    hits: Floats,
    quality: Floats,
    rivals: Mapping[str, Floats],
) -> _Common:
    """`quality` and `rivals`: of each sample, the higher the better; the first two rivals are the naive ones."""
    name = "test" if part is dataset.test else "validation"
    level = TEST_LEVEL if name == "test" else VALIDATION_LEVEL
    sampling = Sampling.of(part)
    first, second, *yardsticks = rivals
    naive = {each: rivals[each] for each in (first, second)}
    significance = judge(hits, quality, naive, {each: rivals[each] for each in yardsticks}, sampling, level)
    control = judge(hits, rivals[CONTROL], naive, {}, sampling, level) if CONTROL in rivals else None
    case = VerdictInput(
        part=name,
        samples=len(hits),
        naive=tuple(naive),
        yardstick=yardsticks[0],
        figures=figures,
        unit="training variances" if dataset.is_regression else "percentage points",
        scale=1.0 if dataset.is_regression else 100.0,
        control_beats=control["beats_baselines"] if control else None,
    )
    accuracy = float(hits.mean())
    return {
        "part": name,
        "validation_samples": len(hits),
        "from": _instant(part.timestamps.min()),
        "to": _instant(part.timestamps.max()),
        "accuracy": accuracy,
        "accuracy_interval": list(metrics.wilson_interval(accuracy, significance["effective_samples"])),
        "class_names": list(dataset.class_names),
        "significance": significance,
        "verdict": verdict(case, significance, sampling),
    }


def _instant(timestamp: np.datetime64) -> str:
    return f"{timestamp.astype('datetime64[s]')}Z"


def _as_floats(values: NDArray[np.bool_] | Integers | NDArray[np.float32] | Floats) -> Floats:
    return np.asarray(values, np.float64)
