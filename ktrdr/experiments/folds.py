"""Summarises the folds of one training: one evaluation and one backtest of all, and each fold by itself. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ktrdr.experiments.joined_folds import JoinedFolds, ReadBars, join
from ktrdr.ledger.recorder import LookRecorder
from ktrdr.payloads.evaluation import Evaluation, Regression
from ktrdr.payloads.training import (
    FinalMetrics,
    FoldScores,
    FoldsLead,
    FoldsResults,
    Reproduction,
    Spread,
    TrainingResults,
)
from ktrdr.reports.folds_plot import plot_folds, plot_joined_equity
from ktrdr.reports.folds_summary import MEASURES, summarise_in_words
from ktrdr.saved_models.checksums import write_checksums
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import CARD, EQUITY, STRATEGY, SUMMARY, write_file

PLOT = "folds.png"
# From the card of a fold to that of the whole: what went into every fold.
_SHARED_FACTS = ("code", "libraries", "device", "data_sha256", "data_ranges", "data_providers")

_ARTIFACTS = {"metrics_plot": PLOT, "model_summary": SUMMARY, "model_card": CARD, "strategy": STRATEGY}


@dataclass(frozen=True, slots=True)
class TrainingInFolds:
    """The training that the folds belong to.

    strategy: parsed, with its timeframes
    strategy_name: its slug
    strategy_text: its YAML, as it was sent
    start, end: first and last day, both inclusive; None for all stored bars
    is_trial: whether it is a trial of a search, which gives one verdict over all its trials
    """

    strategy: Strategy
    strategy_name: str
    strategy_text: str
    symbols: tuple[str, ...]
    start: date | None
    end: date | None
    is_trial: bool = False

    @property
    def title(self) -> str:
        timeframes: Sequence[str] = self.strategy.timeframes
        return f"{self.strategy_name} on {', '.join(self.symbols)}, {', '.join(timeframes)}, in folds"


@dataclass(frozen=True, slots=True)
class TrainedFold:
    """One fold that was trained.

    results: they name files where the whole's results are to name them
    folder: holds its model
    """

    operation_id: str
    results: TrainingResults
    folder: Path


def summarise(
    training: TrainingInFolds,
    folds: Sequence[TrainedFold],
    read_bars: ReadBars,
    output: Path,
    place: PurePath,
    *,
    looks: LookRecorder,
) -> FoldsResults:
    """Evaluate the folds together, in their order, and describe each of them.

    `looks` records the look at the rows of all of them, whose verdict counts all tries there. Raises StorageError.

    Writes files to the folder `output`; the results name them under `place`. The model is the last fold's, which has
    seen the newest bars in a walk forward, and whose test part can be opened.
    """
    scores = [_scores(number, fold) for number, fold in enumerate(folds, start=1)]
    joined = join(
        [fold.folder for fold in folds], training.strategy, read_bars, output.name, looks, is_trial=training.is_trial
    )
    last, spread = folds[-1].results, _spreads(scores)
    results = FoldsResults(
        final_metrics=_final_metrics([fold.results.final_metrics for fold in folds], spread),
        evaluation=joined.evaluation,
        backtest=joined.backtest,
        sealed=last.sealed,
        folds=tuple(scores),
        spread=spread,
        lead=measure_lead(joined.evaluation, scores) if joined.evaluation else None,
        reproduction=_reproduction(folds),
        verdict=verdict(joined, scores),
        warnings=tuple(_warnings(folds)),
        model_path=last.model_path,
        note=joined.gap,
        restored_epochs=sum(fold.results.restored_epochs for fold in folds),
    )
    files = _write(training, folds, results, output)
    write_checksums(output, files.values())
    return results.model_copy(update={"artifacts": {name: str(place / file) for name, file in files.items()}})


def _reproduction(folds: Sequence[TrainedFold]) -> Reproduction | None:
    """How all folds together compare with those that they reproduce; None where none does."""
    own = [(number, each.results.reproduction) for number, each in enumerate(folds, start=1)]
    compared = [(number, each) for number, each in own if each]
    if not compared:
        return None
    return Reproduction(
        of=", ".join(each.of for _, each in compared),
        identical=all(each.identical for _, each in compared),
        differences=tuple(f"fold {number}: {line}" for number, each in compared for line in each.differences),
        inputs=tuple(f"fold {number}: {line}" for number, each in compared for line in each.inputs),
    )


def _warnings(folds: Sequence[TrainedFold]) -> Iterator[str]:
    """What every fold's preflight warned of once, and what that of some did with their numbers."""
    by_fold = [fold.results.preflight.warnings if fold.results.preflight else () for fold in folds]
    shared = {text for text in by_fold[0] if all(text in warnings for warnings in by_fold)}
    yield from (text for text in by_fold[0] if text in shared)
    for number, warnings in enumerate(by_fold, start=1):
        yield from (f"fold {number}: {text}" for text in warnings if text not in shared)


def _write(
    training: TrainingInFolds, folds: Sequence[TrainedFold], results: FoldsResults, output: Path
) -> Mapping[str, str]:
    """Write the files of the whole, and return their names."""
    write_file(output / PLOT, plot_folds(results))
    write_file(output / SUMMARY, summarise_in_words(results, training.title).encode())
    write_file(output / STRATEGY, training.strategy_text.encode())
    write_file(output / CARD, json.dumps(_card(training, folds, results), indent=2).encode())
    if results.backtest is None:
        return _ARTIFACTS
    write_file(output / EQUITY, plot_joined_equity(results, training.strategy.name, training.symbols))
    return {**_ARTIFACTS, "equity_plot": EQUITY}


def _card(training: TrainingInFolds, folds: Sequence[TrainedFold], results: FoldsResults) -> dict[str, Any]:
    """model.json of the whole: what went into its folds, their operations, and the results."""
    shared = json.loads((folds[-1].folder / CARD).read_bytes())
    return {
        "operation_ids": [fold.operation_id for fold in folds],
        "strategy_name": training.strategy_name,
        "strategy": training.strategy.model_dump(mode="json"),
        "strategy_text": training.strategy_text,
        "symbols": list(training.symbols),
        "timeframes": list(training.strategy.timeframes),
        "start": training.start.isoformat() if training.start else None,
        "end": training.end.isoformat() if training.end else None,
        **{name: shared[name] for name in _SHARED_FACTS if name in shared},
        **results.model_dump(mode="json", exclude={"status", "artifacts"}),
    }


def _scores(number: int, fold: TrainedFold) -> FoldScores:
    evaluation, backtest, final = fold.results.evaluation, fold.results.backtest, fold.results.final_metrics
    assert evaluation is not None  # a completed training has a model
    assert final.best_epoch is not None
    assert final.best_val_loss is not None
    hardest, lead = evaluation.significance.hardest_baseline
    baseline = evaluation.baselines[hardest]
    return FoldScores(
        fold=number,
        operation_id=fold.operation_id,
        first=evaluation.first,
        last=evaluation.last,
        samples=evaluation.samples,
        best_epoch=final.best_epoch,
        best_val_loss=final.best_val_loss,
        total_epochs=final.total_epochs,
        **{name: getattr(evaluation, name) for name in MEASURES if name in type(evaluation).model_fields},
        strongest_baseline=hardest,
        baseline_accuracy=baseline.accuracy,
        baseline_mse=evaluation.baselines[hardest].mse if isinstance(evaluation, Regression) else None,
        lead=lead.lead,
        total_return=backtest.model.total_return if backtest else None,
        held_return=backtest.buy_and_hold.total_return if backtest else None,
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


def measure_lead(evaluation: Evaluation, folds: Sequence[FoldScores]) -> FoldsLead:
    """The lead over the rows of all folds; the folds themselves are only counted.

    The p-value is the largest of all tests that must be passed: of each naive baseline, and of the timing.
    """
    hardest, lead = evaluation.significance.hardest_baseline
    timing = evaluation.significance.timing
    return FoldsLead(
        over=hardest,
        mean=lead.lead,
        standard_error=lead.standard_error,
        p_value=max(lead.p_value, timing.p_value) if timing else lead.p_value,
        folds_ahead=_count_ahead(folds),
        beats_baselines=evaluation.significance.beats_baselines,
    )


def verdict(joined: JoinedFolds, folds: Sequence[FoldScores]) -> str:
    by_fold = f"The model is ahead of every naive baseline in {_count_ahead(folds)} of {len(folds)} folds"
    if joined.evaluation is None:
        return f"{by_fold}. Whether they are ahead together beyond chance cannot be tested."
    return f"{joined.evaluation.verdict} {by_fold} taken one by one."


def _count_ahead(folds: Sequence[FoldScores]) -> int:
    return sum(fold.lead > 0 for fold in folds)
