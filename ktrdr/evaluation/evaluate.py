"""Evaluates a model on rows that it was not trained on, and compares it with its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import baselines, metrics
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.metrics import Floats, Integers
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.evaluation.significance import TEST_LEVEL, VALIDATION_LEVEL, Rivals, Sampling, measure_significance
from ktrdr.evaluation.verdict import VerdictInput, verdict
from ktrdr.features.ranks import ranks
from ktrdr.formatting import percentage, score
from ktrdr.payloads.evaluation import Classification, Evaluation, PartEvaluation, Regression

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part


def evaluate(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None = None,
    class_weights: Sequence[float] | None = None,
) -> Evaluation:
    """Score a model's `outputs` [samples, classes], logits, or [samples, 1], targets, on `part`.

    `control` holds the outputs of the same model trained on shuffled labels. `class_weights` [classes] are the weights
    of the training's loss. `ktrdr.evaluation.outputs.class_probabilities` removes them from the probabilities. The
    predicted classes keep them, because class weights are meant to move predictions.
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
    predicted, probabilities = outputs.argmax(axis=1), class_probabilities(outputs, class_weights)
    guesses = Rivals(
        naive={"majority": baselines.majority(dataset, part), "persistence": baselines.persistence(part)},
        yardstick={"logistic_regression": baselines.logistic_regression(dataset, part)},
        control=None if control is None else Guess(control.argmax(axis=1), class_probabilities(control, class_weights)),
    )
    scores = guesses.map(lambda guess: metrics.class_scores(labels, guess.predicted, guess.probabilities, len(names)))
    own = metrics.class_scores(labels, predicted, probabilities, len(names))
    hits = _as_floats(predicted == labels)
    confusion = metrics.count_confusion(labels, predicted, len(names))
    common = _on_part(
        dataset,
        part,
        hits,
        quality=hits,
        rivals=guesses.map(lambda guess: _as_floats(guess.predicted == labels)),
        words=percentage(own.accuracy),
        rivals_in_words=scores.map(lambda one: percentage(one.accuracy)),
    )
    return Classification(
        **dict(common),
        balanced_accuracy=own.balanced_accuracy,
        mcc=own.mcc,
        log_loss=metrics.mean_log_loss(labels, probabilities),
        f1=dict(zip(names, metrics.f1_scores(confusion), strict=True)),
        confusion=confusion.tolist(),
        calibration=metrics.measure_calibration(labels, predicted, probabilities),
        baselines=scores.by_name,
    )


def _regression(
    outputs: NDArray[np.float32], dataset: Dataset, part: Part, control: NDArray[np.float32] | None
) -> Regression:
    targets, predicted = _as_floats(part.labels), _as_floats(outputs[:, 0])
    mean = baselines.training_mean(dataset)
    guesses = Rivals(
        naive={"mean": baselines.mean(dataset, part), "persistence": baselines.persistence(part)},
        yardstick={"ridge_regression": baselines.ridge_regression(dataset, part)},
        control=None if control is None else Guess(control[:, 0]),
    ).map(lambda guess: _as_floats(guess.predicted))
    scores = guesses.map(lambda guess: metrics.number_scores(targets, guess, mean))
    own = metrics.number_scores(targets, predicted, mean)
    sampling = Sampling.of(part)
    common = _on_part(
        dataset,
        part,
        _as_floats(metrics.sign_hits(targets, predicted)),
        quality=-((predicted - targets) ** 2),
        rivals=guesses.map(lambda guess: -((guess - targets) ** 2)),
        words=f"a squared error of {score(own.mse)} training variances",
        rivals_in_words=scores.map(lambda one: score(one.mse)),
    )
    return Regression(
        **dict(common),
        mse=own.mse,
        r2=own.r2,
        ic=own.ic,
        ic_t=metrics.correlation_t(targets, predicted, sampling),
        rank_ic=own.rank_ic,
        rank_ic_t=metrics.correlation_t(ranks(targets), ranks(predicted), sampling),
        baselines=scores.by_name,
    )


def _on_part(
    dataset: Dataset,
    part: Part,
    hits: Floats,
    *,
    quality: Floats,
    rivals: Rivals[Floats],
    words: str,
    rivals_in_words: Rivals[str],
) -> PartEvaluation:
    """The figures that classification and regression share.

    hits: [samples], 1 where the class or the sign is right, else 0
    quality, rivals: [samples], quality of the model's and the rivals' predictions; higher is better
    words, rivals_in_words: their mean quality, formatted
    """
    name = "test" if part is dataset.test else "validation"
    level = TEST_LEVEL if name == "test" else VALIDATION_LEVEL
    sampling = Sampling.of(part)
    significance = measure_significance(hits, quality, rivals, sampling, level)
    control = None
    if rivals.control is not None:
        control = measure_significance(hits, rivals.control, Rivals(rivals.naive), sampling, level)
    case = VerdictInput(
        part=name,
        samples=len(hits),
        model=words,
        rivals=rivals_in_words,
        unit="training variances" if dataset.is_regression else "percentage points",
        scale=1.0 if dataset.is_regression else 100.0,
        control_beats=control.beats_baselines if control else None,
    )
    accuracy = float(hits.mean())
    return PartEvaluation(
        part=name,
        samples=len(hits),
        first=part.timestamps.min().astype("datetime64[s]").item(),
        last=part.timestamps.max().astype("datetime64[s]").item(),
        accuracy=accuracy,
        accuracy_interval=metrics.wilson_interval(accuracy, significance.effective_samples),
        class_names=dataset.class_names,
        significance=significance,
        verdict=verdict(case, significance, sampling),
    )


def _as_floats(values: NDArray[np.bool_] | Integers | NDArray[np.float32] | Floats) -> Floats:
    return np.asarray(values, np.float64)
