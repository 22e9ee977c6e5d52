"""Evaluates a model on rows that it was not trained on, and compares it with its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import metrics
from ktrdr.evaluation.breakdown import breakdown
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, collect_rows
from ktrdr.evaluation.resolution import Resolution, resolution
from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.significance import (
    TEST_LEVEL,
    VALIDATION_LEVEL,
    accuracy_interval,
    lead_over,
    measure_significance,
)
from ktrdr.evaluation.verdict import VerdictInput, Wording, verdict
from ktrdr.features.ranks import ranks
from ktrdr.formatting import percentage, score, signed_points, signed_score
from ktrdr.payloads.evaluation import Classification, Evaluation, Lead, PartEvaluation, Regression
from ktrdr.payloads.selection import SelectionVerdict

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part


def evaluate(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None = None,
    class_weights: Sequence[float] | None = None,
) -> Evaluation:
    """Score a model's `outputs` [samples, outputs] on `part`; the parameters are those of `collect_rows`."""
    rows = collect_rows(outputs, dataset, part, control, class_weights)
    level = level_for(rows.part)
    return evaluate_rows(rows, Standard(resolution(dataset, part, level), level))


def level_for(part: str) -> float:
    """The significance level of tests on the validation or test part."""
    return TEST_LEVEL if part == "test" else VALIDATION_LEVEL


@dataclass(frozen=True, slots=True)
class Standard:
    """What the model's lead is held against.

    shown: what the rows can show; None where that is not known
    level: the significance level
    selection: the lead beside all tries at the same rows; None where they are not counted
    is_trial: whether it is one trial of a search, of which the search's verdict on its winner counts all
    """

    shown: Resolution | None = None
    level: float = VALIDATION_LEVEL
    selection: SelectionVerdict | None = None
    is_trial: bool = False


PLAIN = Standard()


def evaluate_rows(rows: EvaluatedRows, standard: Standard = PLAIN) -> Evaluation:
    """Score the model on rows that it has predicted already, of one fold or of several joined."""
    return _regression(rows, standard) if rows.is_regression else _classification(rows, standard)


def _classification(rows: EvaluatedRows, standard: Standard) -> Classification:
    names, labels, own, scored = rows.class_names, rows.labels, rows.model, rows.scored
    shares = rows.rivals.naive["majority"].probabilities
    assert own.probabilities is not None  # a model of classes gives them,
    assert shares is not None  # and so does the majority
    scores = rows.rivals.map(
        lambda guess: metrics.class_scores(labels, guess.predicted, guess.probabilities, len(names))
    )
    own_scores = metrics.class_scores(labels, own.predicted, own.probabilities, len(names))
    confusion = metrics.count_confusion(labels, own.predicted, len(names))
    wording = Wording(
        model=percentage(own_scores.accuracy),
        rivals=scores.map(lambda one: percentage(one.accuracy)),
        constant=names[own.predicted[0]] if own.is_constant else None,
        lead=signed_points,
        unit="points",
    )
    log_likelihoods = metrics.log_likelihoods(labels, own.probabilities)
    log_loss_lead = lead_over(log_likelihoods, metrics.log_likelihoods(labels, shares), scored.sampling)
    return Classification(
        **dict(_evaluation(rows, scored, wording, standard, log_loss_lead)),
        balanced_accuracy=own_scores.balanced_accuracy,
        mcc=own_scores.mcc,
        log_loss=float(-log_likelihoods.mean()),
        log_loss_lead=log_loss_lead,
        f1=dict(zip(names, metrics.f1_scores(confusion), strict=True)),
        confusion=confusion.tolist(),
        calibration=metrics.measure_calibration(labels, own.predicted, own.probabilities, scored.sampling),
        baselines=scores.by_name,
    )


def _regression(rows: EvaluatedRows, standard: Standard) -> Regression:
    targets, predicted, scored = rows.labels, rows.model.predicted, rows.scored
    mean = rows.rivals.naive["mean"].predicted
    scores = rows.rivals.map(lambda guess: metrics.number_scores(targets, guess.predicted, mean))
    own = metrics.number_scores(targets, predicted, mean)
    wording = Wording(
        model=f"a squared error of {score(own.mse)} training variances",
        rivals=scores.map(lambda one: score(one.mse)),
        constant="the same number" if rows.model.is_constant else None,
        lead=signed_score,
        unit="training variances",
    )
    return Regression(
        **dict(_evaluation(rows, scored, wording, standard)),
        mse=own.mse,
        r2=own.r2,
        ic=own.ic,
        ic_t=metrics.correlation_t(targets, predicted, scored.sampling),
        rank_ic=own.rank_ic,
        rank_ic_t=metrics.correlation_t(ranks(targets), ranks(predicted), scored.sampling),
        baselines=scores.by_name,
    )


def _evaluation(
    rows: EvaluatedRows,
    scored: ScoredRows,
    wording: Wording,
    standard: Standard,
    log_loss_lead: Lead | None = None,
) -> PartEvaluation:
    """The figures that classification and regression share."""
    significance = measure_significance(scored, standard.level)
    case = VerdictInput(
        part=rows.part,
        samples=len(rows),
        wording=wording,
        control_beats=_control_beats(rows, scored, standard.level),
        breakdown=breakdown(scored, significance, rows.symbol_names),
        log_loss_lead=log_loss_lead,
        resolution=standard.shown,
        selection=standard.selection,
        is_trial=standard.is_trial,
    )
    return PartEvaluation(
        part=rows.part,
        samples=len(rows),
        first=rows.timestamps.min().astype("datetime64[s]").item(),
        last=rows.timestamps.max().astype("datetime64[s]").item(),
        accuracy=float(scored.hits.mean()),
        accuracy_interval=accuracy_interval(scored),
        class_names=rows.class_names,
        significance=significance,
        breakdown=case.breakdown,
        selection=standard.selection,
        verdict=verdict(case, significance),
    )


def _control_beats(rows: EvaluatedRows, scored: ScoredRows, level: float) -> bool:
    """Whether the control beats the naive baselines too; False without a control."""
    guess = rows.rivals.control
    if guess is None:
        return False
    control = replace(
        scored,
        quality=rows.quality(guess),
        agreement=rows.agreement(guess),
        rivals=Rivals(scored.rivals.naive),
    )
    return measure_significance(control, level).beats_baselines
