"""Evaluates a model on rows that it was not trained on, and compares it with its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import baselines, fixed_b, metrics
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.breakdown import breakdown
from ktrdr.evaluation.metrics import Floats, Integers
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.evaluation.resolution import resolution
from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.significance import INTERVAL_LEVEL, TEST_LEVEL, VALIDATION_LEVEL, lead_over, measure_significance
from ktrdr.evaluation.timing import class_agreement, number_agreement
from ktrdr.evaluation.verdict import VerdictInput, Wording, verdict
from ktrdr.features.ranks import ranks
from ktrdr.formatting import percentage, score, signed_points, signed_score
from ktrdr.payloads.evaluation import Classification, Evaluation, Lead, PartEvaluation, Regression

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
    evaluation, _ = evaluate_rows(outputs, dataset, part, control, class_weights)
    return evaluation


def evaluate_rows(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None = None,
    class_weights: Sequence[float] | None = None,
) -> tuple[Evaluation, ScoredRows]:
    """As `evaluate`, with the scored rows that it rests on, which a test over several parts needs."""
    if dataset.is_regression:
        return _regression(outputs, dataset, part, control)
    return _classification(outputs, dataset, part, control, class_weights)


def _classification(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None,
    class_weights: Sequence[float] | None,
) -> tuple[Classification, ScoredRows]:
    names, labels = dataset.class_names, part.labels.astype(np.int64)

    def agreement(predicted: Integers) -> Floats:
        return class_agreement(labels, predicted, part.symbols, len(names))

    predicted, probabilities = outputs.argmax(axis=1), class_probabilities(outputs, class_weights)
    guesses = Rivals(
        naive={"majority": baselines.majority(dataset, part), "persistence": baselines.persistence(part)},
        yardstick={"logistic_regression": baselines.logistic_regression(dataset, part)},
        control=None if control is None else Guess(control.argmax(axis=1), class_probabilities(control, class_weights)),
    )
    scores = guesses.map(lambda guess: metrics.class_scores(labels, guess.predicted, guess.probabilities, len(names)))
    own = metrics.class_scores(labels, predicted, probabilities, len(names))
    confusion = metrics.count_confusion(labels, predicted, len(names))
    hits = _as_floats(predicted == labels)
    rows = _scored_rows(
        part,
        hits,
        quality=hits,
        rivals=guesses.map(lambda guess: _as_floats(guess.predicted == labels)),
        agreement=agreement(predicted),
    )
    wording = Wording(
        model=percentage(own.accuracy),
        rivals=scores.map(lambda one: percentage(one.accuracy)),
        constant=names[predicted[0]] if (predicted == predicted[0]).all() else None,
        lead=lambda lead: f"{signed_points(lead)} points",
    )
    log_likelihoods = metrics.log_likelihoods(labels, probabilities)
    shares = np.tile(baselines.class_shares(dataset), (len(labels), 1))
    log_loss_lead = lead_over(log_likelihoods, metrics.log_likelihoods(labels, shares), rows.sampling)
    common = _on_part(
        dataset,
        part,
        rows,
        wording,
        control_agreement=None if guesses.control is None else agreement(guesses.control.predicted),
        log_loss_lead=log_loss_lead,
    )
    evaluation = Classification(
        **dict(common),
        balanced_accuracy=own.balanced_accuracy,
        mcc=own.mcc,
        log_loss=float(-log_likelihoods.mean()),
        log_loss_lead=log_loss_lead,
        f1=dict(zip(names, metrics.f1_scores(confusion), strict=True)),
        confusion=confusion.tolist(),
        calibration=metrics.measure_calibration(labels, predicted, probabilities, rows.sampling),
        baselines=scores.by_name,
    )
    return evaluation, rows


def _regression(
    outputs: NDArray[np.float32], dataset: Dataset, part: Part, control: NDArray[np.float32] | None
) -> tuple[Regression, ScoredRows]:
    targets, predicted = _as_floats(part.labels), _as_floats(outputs[:, 0])
    mean = baselines.training_mean(dataset)
    guesses = Rivals(
        naive={"mean": baselines.mean(dataset, part), "persistence": baselines.persistence(part)},
        yardstick={"ridge_regression": baselines.ridge_regression(dataset, part)},
        control=None if control is None else Guess(control[:, 0]),
    ).map(lambda guess: _as_floats(guess.predicted))
    scores = guesses.map(lambda guess: metrics.number_scores(targets, guess, mean))
    own = metrics.number_scores(targets, predicted, mean)
    rows = _scored_rows(
        part,
        _as_floats(metrics.sign_hits(targets, predicted)),
        quality=-((predicted - targets) ** 2),
        rivals=guesses.map(lambda guess: -((guess - targets) ** 2)),
        agreement=number_agreement(targets, predicted, part.symbols),
    )
    wording = Wording(
        model=f"a squared error of {score(own.mse)} training variances",
        rivals=scores.map(lambda one: score(one.mse)),
        constant="the same number" if (predicted == predicted[0]).all() else None,
        lead=lambda lead: f"{signed_score(lead)} training variances",
    )
    common = _on_part(
        dataset,
        part,
        rows,
        wording,
        control_agreement=None if guesses.control is None else number_agreement(targets, guesses.control, part.symbols),
        log_loss_lead=None,
    )
    evaluation = Regression(
        **dict(common),
        mse=own.mse,
        r2=own.r2,
        ic=own.ic,
        ic_t=metrics.correlation_t(targets, predicted, rows.sampling),
        rank_ic=own.rank_ic,
        rank_ic_t=metrics.correlation_t(ranks(targets), ranks(predicted), rows.sampling),
        baselines=scores.by_name,
    )
    return evaluation, rows


def _scored_rows(part: Part, hits: Floats, *, quality: Floats, rivals: Rivals[Floats], agreement: Floats) -> ScoredRows:
    return ScoredRows(part.timestamps, part.symbols, part.settled - part.rows, hits, quality, rivals, agreement)


def _on_part(
    dataset: Dataset,
    part: Part,
    rows: ScoredRows,
    wording: Wording,
    *,
    control_agreement: Floats | None,
    log_loss_lead: Lead | None,
) -> PartEvaluation:
    """The figures that classification and regression share."""
    name = "test" if part is dataset.test else "validation"
    level = TEST_LEVEL if name == "test" else VALIDATION_LEVEL
    significance, accuracy = measure_significance(rows, level), float(rows.hits.mean())
    case = VerdictInput(
        part=name,
        wording=wording,
        control_beats=_control_beats(rows, control_agreement, level),
        breakdown=breakdown(rows, significance, dataset.symbols),
        log_loss_lead=log_loss_lead,
        resolution=resolution(dataset, part, level),
    )
    z = fixed_b.critical_value(INTERVAL_LEVEL / 2, rows.sampling.b)
    return PartEvaluation(
        part=name,
        samples=len(rows.hits),
        first=part.timestamps.min().astype("datetime64[s]").item(),
        last=part.timestamps.max().astype("datetime64[s]").item(),
        accuracy=accuracy,
        accuracy_interval=metrics.wilson_interval(accuracy, significance.effective_samples, z),
        class_names=dataset.class_names,
        significance=significance,
        breakdown=case.breakdown,
        verdict=verdict(case, significance),
    )


def _control_beats(rows: ScoredRows, agreement: Floats | None, level: float) -> bool:
    """Whether the control, with its own `agreement`, beats the naive baselines too; False without a control."""
    quality = rows.rivals.control
    if quality is None or agreement is None:
        return False
    control = replace(rows, quality=quality, agreement=agreement, rivals=Rivals(rows.rivals.naive))
    return measure_significance(control, level).beats_baselines


def _as_floats(values: NDArray[np.bool_] | Integers | NDArray[np.float32] | Floats) -> Floats:
    return np.asarray(values, np.float64)
