"""The table of job kinds; a new kind is a job in `ktrdr.payloads.jobs`, a module in this package and an entry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ktrdr.jobs.ablation_plan import AblationPlan, create_ablation_bridge
from ktrdr.jobs.analysis_bridge import AnalysisProgressBridge
from ktrdr.jobs.data_load_bridge import DataProgressBridge
from ktrdr.jobs.folds_plan import FoldsPlan, create_folds_bridge
from ktrdr.jobs.parts import TRAINING_TYPE, TRIAL_TYPE
from ktrdr.jobs.search_plan import SearchPlan, create_search_bridge
from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.operations.operation import Operation
from ktrdr.operations.plan import Plan
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.ablations import AblationResults
from ktrdr.payloads.backtests import BacktestResults
from ktrdr.payloads.data import DataLoadResults
from ktrdr.payloads.explanations import ExplanationResults
from ktrdr.payloads.jobs import (
    AnyJob,
    AuditJob,
    BacktestJob,
    DataLoadJob,
    ExplanationJob,
    ExportJob,
    PredictionJob,
    PreflightJob,
    StrategyOnBars,
    TrainingJob,
    UnsealingJob,
    parse_job,
)
from ktrdr.payloads.leaks import AuditResults
from ktrdr.payloads.predictions import ExportResults, PredictionResults
from ktrdr.payloads.preflight import PreflightResults
from ktrdr.payloads.results import Results
from ktrdr.payloads.search import SearchResults
from ktrdr.payloads.training import FoldsResults, TrainingResults
from ktrdr.payloads.unsealing import UnsealingResults

logger = logging.getLogger(__name__)

TRAINING_LANE = "training"
DATA_LANE = "data"
ANALYSIS_LANE = "analysis"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job.

    name: the value of the job's `kind`
    operation_type: the type of its operations, which is part of their ids
    title: its name for people
    lane: the lane whose limit and warm processes it shares
    run: the function that runs it, as `package.module:function`; only workers import it
    results: the model of its results
    create_bridge: writes the job's bridge file, from the job and the file's path
    is_resumable: whether a failed or cancelled operation can be resumed
    makes_model: whether a completed operation has a model
    announce: logs that the worker starts
    plan: makes the plan of a whole from the operation's id and the job; None for a kind without parts
    """

    name: str
    operation_type: str
    title: str
    lane: str
    run: str
    results: type[Results]
    create_bridge: Callable[[Any, Path], None]
    is_resumable: bool = False
    makes_model: bool = False
    announce: Callable[[Any], None] = lambda job: None
    plan: Callable[[str, Any], Plan] | None = None


def _announce_training(job: TrainingJob) -> None:
    logger.debug("Bridge registered, starting training worker")
    logger.info("Starting training: symbols=%s, epochs=%s", list(job.symbols), job.until or job.epochs)


def _create_training_bridge(job: TrainingJob, path: Path) -> None:
    TrainingProgressBridge.create_for(path, job.last_epoch)


def _create_data_load_bridge(job: DataLoadJob, path: Path) -> None:
    DataProgressBridge.create_for(path, f"{job.symbol} {job.timeframe}", job.filename or job.provider)


def _create_prediction_bridge(job: PredictionJob, path: Path) -> None:
    what = f"a prediction of {job.symbol} {job.timeframes[0]}"
    AnalysisProgressBridge.create_for(path, "PREDICTION", what)


def _create_export_bridge(job: ExportJob, path: Path) -> None:
    AnalysisProgressBridge.create_for(path, "EXPORT", f"an export of {job.model}")


def _create_backtest_bridge(job: BacktestJob, path: Path) -> None:
    AnalysisProgressBridge.create_for(path, "BACKTEST", f"a backtest of {job.model}")


def _create_explanation_bridge(job: ExplanationJob, path: Path) -> None:
    AnalysisProgressBridge.create_for(path, "EXPLANATION", f"an explanation of {job.model}")


def _create_unsealing_bridge(job: UnsealingJob, path: Path) -> None:
    AnalysisProgressBridge.create_for(path, "UNSEALING", f"the opening of the test part of {job.model}")


def _create_strategy_bridge(job: PreflightJob | AuditJob, path: Path) -> None:
    AnalysisProgressBridge.create_for(path, job.kind.upper(), f"the {job.kind} of {job.strategy_name}")


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "training",
            TRAINING_TYPE,
            "Training",
            TRAINING_LANE,
            "ktrdr.jobs.training:run",
            TrainingResults,
            _create_training_bridge,
            is_resumable=True,
            makes_model=True,
            announce=_announce_training,
        ),
        Kind(
            "folds",
            TRAINING_TYPE,
            "Training",
            ANALYSIS_LANE,
            "ktrdr.jobs.folds:run",
            FoldsResults,
            create_folds_bridge,
            is_resumable=True,
            makes_model=True,
            plan=FoldsPlan,
        ),
        Kind(
            "search",
            "SEARCH",
            "Search",
            ANALYSIS_LANE,
            "ktrdr.jobs.search:run",
            SearchResults,
            create_search_bridge,
            is_resumable=True,
            plan=SearchPlan,
        ),
        Kind(
            "ablation",
            "ABLATION",
            "Ablation",
            ANALYSIS_LANE,
            "ktrdr.jobs.ablation:run",
            AblationResults,
            create_ablation_bridge,
            is_resumable=True,
            plan=AblationPlan,
        ),
        Kind(
            "data_load",
            "DATA_LOAD",
            "Data load",
            DATA_LANE,
            "ktrdr.jobs.data_load:run",
            DataLoadResults,
            _create_data_load_bridge,
            is_resumable=True,
        ),
        Kind(
            "prediction",
            "PREDICTION",
            "Prediction",
            ANALYSIS_LANE,
            "ktrdr.jobs.analysis:run",
            PredictionResults,
            _create_prediction_bridge,
        ),
        Kind(
            "export", "EXPORT", "Export", ANALYSIS_LANE, "ktrdr.jobs.analysis:run", ExportResults, _create_export_bridge
        ),
        Kind(
            "backtest",
            "BACKTEST",
            "Backtest",
            ANALYSIS_LANE,
            "ktrdr.jobs.backtest:run",
            BacktestResults,
            _create_backtest_bridge,
            is_resumable=True,
        ),
        Kind(
            "explanation",
            "EXPLANATION",
            "Explanation",
            ANALYSIS_LANE,
            "ktrdr.jobs.explanation:run",
            ExplanationResults,
            _create_explanation_bridge,
            is_resumable=True,
        ),
        Kind(
            "unsealing",
            "UNSEALING",
            "Unsealing",
            ANALYSIS_LANE,
            "ktrdr.jobs.unsealing:run",
            UnsealingResults,
            _create_unsealing_bridge,
        ),
        Kind(
            "preflight",
            "PREFLIGHT",
            "Preflight",
            ANALYSIS_LANE,
            "ktrdr.jobs.analysis:run",
            PreflightResults,
            _create_strategy_bridge,
        ),
        Kind(
            "audit", "AUDIT", "Audit", ANALYSIS_LANE, "ktrdr.jobs.analysis:run", AuditResults, _create_strategy_bridge
        ),
    )
}


OPERATION_TYPES: Mapping[str, Kind] = {
    **{kind.operation_type: kind for kind in KINDS.values()},
    TRIAL_TYPE: replace(KINDS["training"], operation_type=TRIAL_TYPE, title="Trial", is_resumable=False),
}
"""The kinds by the types of their operations; a trial is a training that has a type of its own."""

MODEL_TYPES = frozenset(name for name, kind in OPERATION_TYPES.items() if kind.makes_model)


def kind_of(job: AnyJob) -> Kind:
    return KINDS[job.kind]


def job_of(operation: Operation) -> AnyJob:
    """The job of an operation. Raises StorageError when its payload cannot be read."""
    return parse_job(operation.payload)


def has_model(operation: Operation) -> bool:
    return operation.status is OperationStatus.COMPLETED and operation.operation_type in MODEL_TYPES


def strategy_text(operation: Operation) -> str | None:
    """The YAML of the operation's strategy; None for a job without one."""
    job = job_of(operation)
    return job.strategy if isinstance(job, StrategyOnBars) else None


class KindsTable:
    """The kinds as a `WorkTable` (`ktrdr.executors.work`) for the dispatcher."""

    def lane(self, operation: Operation) -> str:
        return kind_of(job_of(operation)).lane

    def shares_worker(self, operation: Operation) -> bool:
        return job_of(operation).shares_worker

    def create_bridge(self, operation: Operation, path: Path) -> None:
        job = job_of(operation)
        kind_of(job).create_bridge(job, path)

    def announce(self, operation: Operation) -> None:
        job = job_of(operation)
        kind_of(job).announce(job)

    def plan(self, operation: Operation) -> Plan | None:
        job = job_of(operation)
        plan = kind_of(job).plan
        return plan(operation.operation_id, job) if plan else None

    def part_index(self, operation: Operation) -> int | None:
        return job_of(operation).part
