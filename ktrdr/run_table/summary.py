"""Summarises operations that train: their settings by path, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue, ValidationError

from ktrdr.errors import StorageError, StrategyError
from ktrdr.jobs.kinds import job_of
from ktrdr.jobs.parts import TRAINING_TYPE, TRIAL_TYPE
from ktrdr.jobs.strategies import strategy_of
from ktrdr.operations.operation import Operation
from ktrdr.payloads.evaluation import NAIVE
from ktrdr.payloads.jobs import FoldsJob, TrainingJob
from ktrdr.payloads.reading import AnyResults, parse_results
from ktrdr.payloads.runs import VERSION, Measures, RunKind, RunSummary, Value
from ktrdr.payloads.training import FoldsResults, TrainingResults
from ktrdr.strategy.settings import settings_by_path
from ktrdr.strategy.spec import Strategy

_ABOUT = ("name", "description", "timeframes", "indicators")
RUN_TYPES = frozenset({TRAINING_TYPE, TRIAL_TYPE})
"""The types of operations that are runs."""

# TA-Lib's name of the parameter that strategies call `period`.
_PERIOD = "timeperiod"


def summarise(operation: Operation, results: Mapping[str, Any] | None) -> RunSummary | None:
    """The run that an operation is; None for one that trains nothing.

    Settings or measures are left out where strategy or results cannot be read. Raises StorageError for an unreadable
    job.
    """
    job = job_of(operation)
    if not isinstance(job, TrainingJob | FoldsJob):
        return None
    strategy = _read_strategy(job)
    is_fold = isinstance(job, TrainingJob) and job.folds > 1
    names = _indicator_names(strategy) if strategy else ()
    return RunSummary(
        operation_id=operation.operation_id,
        name=job.strategy_name,
        strategy=strategy.name if strategy else "",
        kind=_kind(job, is_fold=is_fold),
        status=operation.status.value,
        created_at=operation.created_at,
        symbols=job.symbols,
        timeframes=job.timeframes,
        start_date=job.start,
        end_date=job.end,
        whole=operation.parent_id if job.part is not None else None,
        fold=job.fold + 1 if isinstance(job, TrainingJob) and is_fold else None,
        trial=job.trial,
        parameters=dict(_parameters(strategy, names)) if strategy else {},
        indicators=names,
        measures=_measures(_read_results(results)),
    )


def parse_summary(stored: str | None) -> RunSummary | None:
    """A summary from JSON; None where there is none, or it is of another version."""
    try:
        summary = RunSummary.model_validate_json(stored or "")
    except ValidationError:
        return None
    return summary if summary.version == VERSION else None


def _kind(job: TrainingJob | FoldsJob, *, is_fold: bool) -> RunKind:
    if is_fold:
        return RunKind.FOLD
    if job.trial is not None:
        return RunKind.TRIAL
    return RunKind.FOLDS if isinstance(job, FoldsJob) else RunKind.TRAINING


def _read_strategy(job: TrainingJob | FoldsJob) -> Strategy | None:
    try:
        return strategy_of(job, job.parsed)
    except StrategyError:
        return None


def _read_results(document: Mapping[str, Any] | None) -> AnyResults | None:
    try:
        return parse_results(document) if document else None
    except (ValidationError, StorageError):
        return None


# Settings.


def _indicator_names(strategy: Strategy) -> tuple[str, ...]:
    """The declared names, except those that several indicators share on different timeframes."""
    names = [each.as_ for each in strategy.indicators]
    return tuple(
        name if name and names.count(name) == 1 else f"indicators[{index}]" for index, name in enumerate(names)
    )


def _parameters(strategy: Strategy, names: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
    settings = strategy.model_dump(mode="json")
    for path, value in settings_by_path({key: each for key, each in settings.items() if key not in _ABOUT}):
        yield path, _value(value)
    for name, indicator in zip(names, settings["indicators"], strict=True):
        for key, value in indicator.items():
            if key != "as" and value is not None:
                yield f"{name}.{'period' if key == _PERIOD else key}", _value(value)


def _value(value: JsonValue) -> Value:
    """A setting as a cell; lists of numbers as texts."""
    return tuple(map(str, value)) if isinstance(value, list) else value if not isinstance(value, dict) else str(value)


# Measures.


def _measures(results: AnyResults | None) -> Measures:
    if not isinstance(results, TrainingResults | FoldsResults):
        return Measures()
    final, evaluation = results.final_metrics, results.evaluation
    traded = results.backtest.model if results.backtest else None
    selection = evaluation.selection if evaluation else None
    lead, p = _lead(results)
    return Measures(
        val_loss=final.best_val_loss,
        accuracy=evaluation.accuracy if evaluation else None,
        balanced_accuracy=getattr(evaluation, "balanced_accuracy", None),
        mcc=getattr(evaluation, "mcc", None),
        ic=getattr(evaluation, "ic", None),
        rank_ic=getattr(evaluation, "rank_ic", None),
        lead=lead,
        p=p,
        adjusted_p=selection.p_value if selection else None,
        tries=selection.tries if selection else None,
        sharpe=traded.sharpe if traded else None,
        total_return=traded.total_return if traded else None,
        drawdown=traded.max_drawdown if traded else None,
        best_epoch=final.best_epoch,
        epochs=final.total_epochs,
        duration=final.training_duration_seconds,
    )


def _lead(results: TrainingResults | FoldsResults) -> tuple[float | None, float | None]:
    """The lead over the hardest naive baseline, and the largest p-value; of folds those of all together."""
    if isinstance(results, FoldsResults) and results.lead:
        return results.lead.mean, results.lead.p_value
    significance = results.evaluation.significance if results.evaluation else None
    if significance is None or not any(name in NAIVE for name in significance.against):
        return None, None
    _, hardest = significance.hardest_baseline
    return hardest.lead, max(hardest.p_value, significance.timing.p_value if significance.timing else 0.0)
