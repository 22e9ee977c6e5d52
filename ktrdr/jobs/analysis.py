"""The jobs of what is done with a model or a strategy beside training it, run in a worker process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from ktrdr.experiments.preflight import preflight
from ktrdr.features.columns import SymbolBars
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.leaks.gate import audit
from ktrdr.features.matrix import build_dataset
from ktrdr.features.splits import fold_count
from ktrdr.jobs.analysis_bridge import AUDIT, EXPORT, PREDICTION, PREFLIGHT, AnalysisProgressBridge
from ktrdr.market.store import BarStore
from ktrdr.saved_models.export_onnx import export_onnx
from ktrdr.saved_models.predict import closed_bars, last_windows, predict_last
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.throughput import measure

logger = logging.getLogger(__name__)

ONNX = "model.onnx"
_WINDOWS_COMPARED = 256

Results = dict[str, Any]
Stop = Callable[[], bool]


def warm_up() -> None:
    """Importing this module has done it: torch is in memory."""


class _Stopped(Exception):
    """The operation was cancelled."""


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: Stop) -> Results:
    job = _JOBS[payload["kind"]]
    with AnalysisProgressBridge(folder / "bridge", writable=True) as bridge:
        try:
            results = job(payload, folder, bridge, stop)
        except _Stopped:
            return {"status": "cancelled"}
    logger.info("Completed %s of %s", payload["kind"], payload.get("model") or payload.get("strategy_name"))
    return {"status": "completed", "results": results}


def _predict(payload: Mapping[str, Any], folder: Path, bridge: AnalysisProgressBridge, stop: Stop) -> Results:
    bridge.on_step(1)
    model = _load(payload)
    symbol, base = payload["symbol"], model.strategy.timeframes[0]
    bars = _bars_for(model, symbol, payload)
    _check(stop)
    bridge.on_step(2, items=payload["last"])
    table = predict_last(model, symbol, bars, payload["last"])
    bridge.on_step(3, items=len(table))
    return {
        "model": payload["model"],
        "symbol": symbol,
        "timeframe": base,
        "class_names": list(model.class_names),
        "label": model.strategy.labels.model_dump(mode="json"),
        "trained_on_symbol": symbol in model.symbols,
        "predictions": [
            {**row, "timestamp": row["timestamp"].isoformat().replace("+00:00", "Z")} for row in table.to_dicts()
        ],
    }


def _export(payload: Mapping[str, Any], folder: Path, bridge: AnalysisProgressBridge, stop: Stop) -> Results:
    bridge.on_step(1)
    model = _load(payload)
    symbol = next(iter(model.symbols))
    bars = closed_bars(model.strategy, _bars_for(model, symbol, payload))
    windows = last_windows(model.strategy, symbol, bars, _WINDOWS_COMPARED)
    _check(stop)
    bridge.on_step(2)
    exported = export_onnx(model, windows.stacked(), folder / ONNX, {"model": payload["model"], "symbol": symbol})
    bridge.on_step(4, items=exported.windows_compared)
    told = asdict(exported)
    return {
        "model": payload["model"],
        "format": payload["format"],
        "compared_on": symbol,
        "artifacts": {"onnx": told.pop("path")},
        **told,
    }


def _preflight(payload: Mapping[str, Any], folder: Path, bridge: AnalysisProgressBridge, stop: Stop) -> Results:
    bridge.on_step(1)
    strategy = _strategy(payload)
    dataset = build_dataset(strategy, _all_bars(strategy, payload), payload["fold"])
    _check(stop)
    bridge.on_step(2)
    make_repeatable(strategy.training.seed, strategy.training.threads)
    throughput = measure(strategy, dataset, stop, lambda samples: bridge.on_step(2, items=samples))
    _check(stop)
    found = preflight(strategy, dataset, model_parameters=throughput.parameters, throughput=throughput)
    bridge.on_step(3)
    return {**found.to_dict(), "folds": fold_count(strategy)}


def _audit(payload: Mapping[str, Any], folder: Path, bridge: AnalysisProgressBridge, stop: Stop) -> Results:
    bridge.on_step(1)
    strategy = _strategy(payload)
    bars = _all_bars(strategy, payload)
    report = audit(strategy, bars, lambda done, total: bridge.on_step(2, done, max(total, 1), done), stop)
    _check(stop)
    bridge.on_step(3)
    return report.to_dict()


_JOBS: Mapping[str, Callable[[Mapping[str, Any], Path, AnalysisProgressBridge, Stop], Results]] = {
    PREDICTION: _predict,
    EXPORT: _export,
    PREFLIGHT: _preflight,
    AUDIT: _audit,
}


def _check(stop: Stop) -> None:
    if stop():
        raise _Stopped


def _load(payload: Mapping[str, Any]) -> TrainedModel:
    model = load_model(Path(payload["folder"]))
    training = model.strategy.training
    make_repeatable(training.seed, training.threads)
    return model


def _bars_for(model: TrainedModel, symbol: str, payload: Mapping[str, Any]) -> SymbolBars:
    """From the day on from which it was trained, because indicators remember where they began."""
    store = BarStore(Path(payload["bars"]))
    return {timeframe: store.read(symbol, timeframe, model.start) for timeframe in model.strategy.timeframes}


def _strategy(payload: Mapping[str, Any]) -> Strategy:
    return load_strategy(payload["strategy"], IndicatorCatalogue()).on(payload["timeframes"])


def _all_bars(strategy: Strategy, payload: Mapping[str, Any]) -> dict[str, SymbolBars]:
    store, start, end = BarStore(Path(payload["bars"])), _day(payload["start"]), _day(payload["end"])
    return {
        symbol: {timeframe: store.read(symbol, timeframe, start, end) for timeframe in strategy.timeframes}
        for symbol in payload["symbols"]
    }


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
