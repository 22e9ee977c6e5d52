"""The jobs of what is done with a model or a strategy beside training it, run in a worker process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.preflight import preflight_folds
from ktrdr.features.columns import SymbolBars
from ktrdr.features.dataset import Dataset
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.leaks.gate import audit
from ktrdr.jobs.analysis_bridge import AnalysisProgressBridge
from ktrdr.jobs.entry import JobContext, JobStopped
from ktrdr.market.store import BarStore
from ktrdr.payloads.jobs import AnyJob, AuditJob, ExportJob, ModelJob, PredictionJob, PreflightJob, StrategyOnBars
from ktrdr.saved_models.export_onnx import export_onnx
from ktrdr.saved_models.predict import closed_bars, last_windows, predict_last
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.throughput import Throughput, measure

logger = logging.getLogger(__name__)

ONNX = "model.onnx"
_WINDOWS_COMPARED = 256

Results = dict[str, Any]
Work = Callable[[Any, JobContext, AnalysisProgressBridge], Results]


def run(job: AnyJob, context: JobContext) -> Outcome:
    work: Work = _WORK[job.kind]
    with AnalysisProgressBridge(context.folder / "bridge", writable=True) as bridge:
        results = work(job, context, bridge)
    logger.info("Completed the %s of operation %s", job.kind, context.operation_id)
    return Outcome("completed", results)


def _predict(job: PredictionJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    model = _load(job, context)
    symbol, base = job.symbol, model.strategy.timeframes[0]
    bars = _bars_for(model, symbol, context)
    _check(context.stop)
    bridge.on_step(2, items=job.last)
    table = predict_last(model, symbol, bars, job.last)
    bridge.on_step(3, items=len(table))
    return {
        "model": job.model,
        "symbol": symbol,
        "timeframe": base,
        "class_names": list(model.class_names),
        "label": model.strategy.labels.model_dump(mode="json"),
        "trained_on_symbol": symbol in model.symbols,
        "predictions": [
            {**row, "timestamp": row["timestamp"].isoformat().replace("+00:00", "Z")} for row in table.to_dicts()
        ],
    }


def _export(job: ExportJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    model = _load(job, context)
    symbol = next(iter(model.symbols))
    bars = closed_bars(model.strategy, _bars_for(model, symbol, context))
    windows = last_windows(model.strategy, symbol, bars, _WINDOWS_COMPARED)
    _check(context.stop)
    bridge.on_step(2)
    exported = export_onnx(model, windows.stacked(), context.folder / ONNX, {"model": job.model, "symbol": symbol})
    bridge.on_step(4, items=exported.windows_compared)
    told = asdict(exported)
    return {
        "model": job.model,
        "format": job.format,
        "compared_on": symbol,
        "artifacts": {"onnx": told.pop("path")},
        **told,
    }


def _preflight(job: PreflightJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    strategy = _strategy(job)
    make_repeatable(strategy.training.seed, strategy.training.threads)

    def timed(dataset: Dataset) -> Throughput:
        _check(context.stop)
        bridge.on_step(2)
        return measure(strategy, dataset, context.stop, lambda samples: bridge.on_step(2, items=samples))

    found = preflight_folds(strategy, _all_bars(job, context), timed)
    _check(context.stop)
    bridge.on_step(3)
    return found.to_dict()


def _audit(job: AuditJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    strategy = _strategy(job)
    bars = _all_bars(job, context)
    report = audit(strategy, bars, lambda done, total: bridge.on_step(2, done, max(total, 1), done), context.stop)
    _check(context.stop)
    bridge.on_step(3)
    return report.to_dict()


_WORK: Mapping[str, Work] = {"prediction": _predict, "export": _export, "preflight": _preflight, "audit": _audit}


def _check(stop: Callable[[], bool]) -> None:
    if stop():
        raise JobStopped


def _load(job: ModelJob, context: JobContext) -> TrainedModel:
    model = load_model(context.home.models / job.folder)
    training = model.strategy.training
    make_repeatable(training.seed, training.threads)
    return model


def _bars_for(model: TrainedModel, symbol: str, context: JobContext) -> SymbolBars:
    """From the day on from which it was trained, because indicators remember where they began."""
    store = BarStore(context.home.bars)
    return {timeframe: store.read(symbol, timeframe, model.start) for timeframe in model.strategy.timeframes}


def _strategy(job: StrategyOnBars) -> Strategy:
    return load_strategy(job.strategy, IndicatorCatalogue()).on(job.timeframes)


def _all_bars(job: StrategyOnBars, context: JobContext) -> dict[str, SymbolBars]:
    store = BarStore(context.home.bars)
    return {
        symbol: {timeframe: store.read(symbol, timeframe, job.start, job.end) for timeframe in job.timeframes}
        for symbol in job.symbols
    }
