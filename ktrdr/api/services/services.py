"""Everything that a route may call, as one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ktrdr.api.schemas.system import Readiness
from ktrdr.api.services.ablation_service import AblationService
from ktrdr.api.services.analysis_service import AnalysisService
from ktrdr.api.services.bundle_service import BundleService
from ktrdr.api.services.chart_service import ChartService
from ktrdr.api.services.comparison_service import ComparisonService
from ktrdr.api.services.data_service import DataService
from ktrdr.api.services.ledger_service import LedgerService
from ktrdr.api.services.log_service import LogService
from ktrdr.api.services.model_service import ModelService
from ktrdr.api.services.reference_service import ReferenceService
from ktrdr.api.services.result_service import ResultService
from ktrdr.api.services.retention_service import RetentionService
from ktrdr.api.services.run_service import RunService
from ktrdr.api.services.search_service import SearchService
from ktrdr.api.services.series_service import SeriesService
from ktrdr.api.services.strategy_service import StrategyService
from ktrdr.api.services.system_service import SystemService
from ktrdr.api.services.table_service import TableService
from ktrdr.api.services.training_service import TrainingService
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.jobs.service import JobService
from ktrdr.operations.service import OperationsService


@dataclass(frozen=True, slots=True)
class Services:
    operations: OperationsService
    dispatcher: Dispatcher
    training: TrainingService
    searches: SearchService
    data: DataService
    jobs: JobService
    series: SeriesService
    tables: TableService
    strategies: StrategyService
    models: ModelService
    bundles: BundleService
    comparisons: ComparisonService
    analysis: AnalysisService
    ablations: AblationService
    references: ReferenceService
    results: ResultService
    retention: RetentionService
    runs: RunService
    charts: ChartService
    ledger: LedgerService
    logs: LogService
    system: SystemService
    readiness: Callable[[], Awaitable[Readiness]]
    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
