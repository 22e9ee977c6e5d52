"""The jobs of predictions, exports, preflights and audits, run in a worker process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from ktrdr.errors import InputError
from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.prediction_look import record_prediction
from ktrdr.experiments.preflight import preflight_folds
from ktrdr.features.dataset import Dataset
from ktrdr.features.inputs import with_other_series
from ktrdr.features.leaks.gate import audit
from ktrdr.jobs.analysis_bridge import AnalysisProgressBridge
from ktrdr.jobs.entry import JobContext, JobStopped
from ktrdr.jobs.strategies import strategy_of
from ktrdr.ledger.store import Ledger
from ktrdr.market.series_file import StoredBars
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import AnyJob, AuditJob, ExportJob, ModelJob, PredictionJob, PreflightJob, StrategyOnBars
from ktrdr.payloads.leaks import AuditResults
from ktrdr.payloads.predictions import ExportResults, PredictedBar, PredictedLabel, PredictionResults
from ktrdr.payloads.preflight import PreflightResults
from ktrdr.payloads.results import Results
from ktrdr.saved_models.export_onnx import export_onnx
from ktrdr.saved_models.predict import closed_bars, last_windows, predict_last
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.saved_models.unsealed import read_unsealing
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.throughput import Throughput, measure

logger = logging.getLogger(__name__)

ONNX = "model.onnx"
_WINDOWS_COMPARED = 256

Work = Callable[[Any, JobContext, AnalysisProgressBridge], Results]


def run(job: AnyJob, context: JobContext) -> Outcome:
    work: Work = _WORK[job.kind]
    with AnalysisProgressBridge(context.folder / "bridge", writable=True) as bridge:
        results = work(job, context, bridge)
    logger.info("Completed the %s of operation %s", job.kind, context.operation_id)
    return Outcome("completed", results.model_dump(mode="json"))


def _predict(job: PredictionJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    model = _load(job, context)
    symbol, base = job.symbol, model.strategy.timeframes[0]
    bars = _bars_for(model, symbol, context)
    _check(context.stop)
    bridge.on_step(2, items=job.last)
    table = predict_last(model, symbol, bars, job.last)
    bridge.on_step(3, items=len(table))
    folder = context.home.models / job.folder
    is_sealed = _sealed_at(model, folder)
    shown = [row for row in table.to_dicts() if not is_sealed(row["timestamp"])]
    results = PredictionResults(
        model=job.model,
        symbol=symbol,
        timeframe=base,
        class_names=model.class_names,
        label=PredictedLabel.model_validate(model.strategy.labels.model_dump(mode="json")),
        trained_on_symbol=symbol in model.symbols,
        class_weights=model.class_weights.values or (),
        has_weighted_probabilities=not model.class_weights.are_known,
        bars_changed=model.trained_on.is_changed(symbol, bars),
        sealed_bars=len(table) - len(shown),
        predictions=tuple(
            PredictedBar.model_validate({**row, "part": model.trained_on.part_of(symbol, row["timestamp"])})
            for row in shown
        ),
    )
    with closing(Ledger(context.home.ledger)) as ledger:
        record_prediction(ledger, context.operation_id, model, folder, bars, results)
    return results


def _sealed_at(model: TrainedModel, folder: Path) -> Callable[[datetime], bool]:
    """Whether a bar that opens at an instant lies in the sealed test part, of whatever symbol it is.

    Another symbol may hold the same bars.
    """
    sealed = model.trained_on.sealed
    if sealed is None or read_unsealing(folder):
        return lambda opening: False
    return sealed.holds


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
    return ExportResults(
        model=job.model,
        format=job.format,
        compared_on=symbol,
        artifacts={"onnx": str(context.folder.relative_to(context.home.root) / ONNX)},
        size_bytes=exported.size_bytes,
        windows_compared=exported.windows_compared,
        largest_difference=exported.largest_difference,
        inputs=exported.inputs,
        outputs=exported.outputs,
    )


def _preflight(job: PreflightJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    strategy = strategy_of(job)
    make_repeatable(strategy.training.seed, strategy.training.threads)

    def timed(dataset: Dataset) -> Throughput:
        _check(context.stop)
        bridge.on_step(2)
        return measure(strategy, dataset, context.stop, lambda samples: bridge.on_step(2, items=samples))

    report = preflight_folds(strategy, _all_bars(job, context), timed)
    _check(context.stop)
    bridge.on_step(3)
    return PreflightResults(**dict(report))


def _audit(job: AuditJob, context: JobContext, bridge: AnalysisProgressBridge) -> Results:
    bridge.on_step(1)
    strategy = strategy_of(job)
    bars = _all_bars(job, context)
    report = audit(strategy, bars, lambda done, total: bridge.on_step(2, done, max(total, 1), done), context.stop)
    _check(context.stop)
    bridge.on_step(3)
    return AuditResults(**dict(report))


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
    """Read bars from the first day of the training on, because indicator values depend on their start."""
    store = BarStore(context.home.bars)
    try:
        timeframes = model.strategy.timeframes
        bars = SymbolBars.of({each: store.read_stored(symbol, each, model.start) for each in timeframes})
    except InputError as error:
        since = f" --start-date {model.start}" if model.start else ""
        hint = f"load them with: ktrdr data load {symbol} {model.strategy.timeframes[0]}{since}"
        raise InputError(error.detail, hint=hint) from error
    return with_other_series(
        model.strategy,
        {symbol: bars},
        lambda other, timeframe: store.read_stored(other, timeframe, model.start),
        TableStore(context.home.tables).read,
    )[symbol]


def _all_bars(job: StrategyOnBars, context: JobContext) -> dict[str, SymbolBars]:
    store = BarStore(context.home.bars)

    def read(symbol: str, timeframe: str) -> StoredBars:
        return store.read_stored(symbol, timeframe, job.start, job.end)

    bars = {symbol: SymbolBars.of({each: read(symbol, each) for each in job.timeframes}) for symbol in job.symbols}
    return with_other_series(strategy_of(job), bars, read, TableStore(context.home.tables).read)
