"""Summarises the folds of one training: mean and spread of each metric, and a verdict. Needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path, PurePath

import numpy as np

from ktrdr.formatting import p_value, points
from ktrdr.payloads.training import FinalMetrics, FoldScores, FoldsLead, FoldsResults, Spread, TrainingResults
from ktrdr.reports.folds_plot import MEASURES, plot, summary
from ktrdr.training.files import CARD, SUMMARY, write_file

PLOT = "folds.png"
LEVEL = 0.05

_ARTIFACTS = {"metrics_plot": PLOT, "model_summary": SUMMARY, "model_card": CARD}
_NAIVE = ("majority", "mean", "persistence")


@dataclass(frozen=True, slots=True)
class TrainingInFolds:
    """The training that the folds belong to.

    strategy: YAML text
    strategy_name: its slug
    start, end: first and last day, both inclusive; None for all stored bars
    """

    strategy: str
    strategy_name: str
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    start: date | None
    end: date | None

    @property
    def title(self) -> str:
        return f"{self.strategy_name} on {', '.join(self.symbols)}, {', '.join(self.timeframes)}, in folds"


def summarise(
    training: TrainingInFolds, folds: Mapping[str, TrainingResults], output: Path, place: PurePath
) -> FoldsResults:
    """Combine the results of all folds. `folds` maps the operation of each fold to its results, in order.

    Writes files to the folder `output`; the results name them under `place`. The model is the last fold's, which has
    seen the newest bars in a walk forward.
    """
    scores = [_fold(number, *fold) for number, fold in enumerate(folds.items(), start=1)]
    *_, last = folds.values()
    lead = measure_lead([fold.lead for fold in scores])
    spread = _spreads(scores)
    results = FoldsResults(
        final_metrics=_final_metrics([results.final_metrics for results in folds.values()], spread),
        folds=tuple(scores),
        spread=spread,
        lead=lead,
        verdict=verdict(len(scores), lead),
        model_path=last.model_path,
    )
    write_file(output / PLOT, plot(scores, results.verdict))
    write_file(output / SUMMARY, summary(scores, spread, results.verdict, training.title).encode())
    measured = results.model_dump(mode="json", exclude={"status", "artifacts"})
    card = {"operation_ids": list(folds), **asdict(training), **measured}
    write_file(output / CARD, json.dumps(card, indent=2, default=date.isoformat).encode())
    return results.model_copy(update={"artifacts": {name: str(place / file) for name, file in _ARTIFACTS.items()}})


def _fold(number: int, operation_id: str, results: TrainingResults) -> FoldScores:
    evaluation, final = results.evaluation, results.final_metrics
    assert evaluation is not None  # a completed training has a model
    assert final.best_epoch is not None
    assert final.best_val_loss is not None
    naive = {name: scores.accuracy for name, scores in evaluation.baselines.items() if name in _NAIVE}
    strongest = max(naive, key=lambda name: naive[name])
    return FoldScores(
        fold=number,
        operation_id=operation_id,
        first=evaluation.first,
        last=evaluation.last,
        samples=evaluation.samples,
        best_epoch=final.best_epoch,
        best_val_loss=final.best_val_loss,
        total_epochs=final.total_epochs,
        **{name: getattr(evaluation, name) for name in MEASURES if name in type(evaluation).model_fields},
        strongest_baseline=strongest,
        baseline_accuracy=naive[strongest],
        lead=evaluation.accuracy - naive[strongest],
        beats_baselines=evaluation.significance.beats_baselines,
    )


def _final_metrics(folds: Sequence[FinalMetrics], spread: Mapping[str, Spread]) -> FinalMetrics:
    """Means over the folds; epochs and times are sums."""
    return FinalMetrics(
        best_epoch=round(_mean(fold.best_epoch for fold in folds)),
        best_val_loss=spread["best_val_loss"].mean,
        best_val_accuracy=spread["accuracy"].mean,
        final_train_loss=_mean(fold.final_train_loss for fold in folds),
        final_val_loss=_mean(fold.final_val_loss for fold in folds),
        total_epochs=sum(fold.total_epochs for fold in folds),
        training_duration_seconds=sum(fold.training_duration_seconds for fold in folds),
    )


def _mean(values: Iterable[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def _spreads(folds: Sequence[FoldScores]) -> dict[str, Spread]:
    """Mean and spread of each metric that all folds have."""
    columns = {name: [getattr(fold, name) for fold in folds] for name in (*MEASURES, "best_val_loss")}
    return {name: _spread(values) for name, values in columns.items() if None not in values}


def _spread(values: Sequence[float]) -> Spread:
    return Spread(
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)),
        min=float(np.min(values)),
        max=float(np.max(values)),
    )


def measure_lead(leads: Sequence[float]) -> FoldsLead:
    """Mean lead over each fold's strongest naive baseline, and Student's one-sided t-test that it is above zero.

    t = mean / (s / sqrt(n)) with n - 1 degrees of freedom. Folds that share training bars are not independent, so the
    test rejects too often.
    """
    from scipy.stats import t

    error = float(np.std(leads, ddof=1)) / math.sqrt(len(leads))
    mean = float(np.mean(leads))
    probability = float(t.sf(mean / error, len(leads) - 1)) if error > 0 else float(mean <= 0)
    return FoldsLead(
        mean=mean,
        standard_error=error,
        p_value=probability,
        folds_ahead=int(np.sum(np.array(leads) > 0)),
        beats_baselines=mean > 0 and probability < LEVEL,
    )


def verdict(folds: int, lead: FoldsLead) -> str:
    ahead = f"The model is ahead of the strongest naive baseline in {lead.folds_ahead} of {folds} folds"
    side = "behind" if lead.mean < 0 else "ahead"
    by = f"{side} by {points(abs(lead.mean))} ± {points(lead.standard_error)} percentage points on average"
    chance = "more than chance explains" if lead.beats_baselines else "no more than chance explains"
    return f"{ahead}, {by}: {chance} (p = {p_value(lead.p_value)})."
