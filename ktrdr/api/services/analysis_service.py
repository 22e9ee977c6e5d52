"""AnalysisService: predictions, exports, preflights and audits, each an operation of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ktrdr.api.schemas import Audit, Export, OnBars, Prediction, TrainingStart
from ktrdr.api.services.model_service import ModelService
from ktrdr.api.services.training_service import TrainingService
from ktrdr.errors import ConflictError, InputError, SeriesNotFound
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.jobs.analysis_bridge import AUDIT, EXPORT, PREDICTION, PREFLIGHT, AnalysisProgressBridge
from ktrdr.market.bars import check_symbol, check_timeframe
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService

LANE = "analysis"
EXPORT_PACKAGES = ("onnx", "onnxruntime")


class AnalysisService:
    """Checks what can be checked at once; the work itself is done by `analysis_job` in a worker."""

    def __init__(
        self,
        operations: OperationsService,
        dispatcher: Dispatcher,
        training: TrainingService,
        models: ModelService,
        store: BarStore,
    ) -> None:
        self._operations = operations
        self._dispatcher = dispatcher
        self._training = training
        self._models = models
        self._store = store

    async def predict(self, model_id: str, request: Prediction, idempotency_key: str | None = None) -> Operation:
        """What a model says at the newest closed bars of a symbol, which need not be one that it was trained on.

        Raises NotFoundError without such a model, InputError for another timeframe, ConflictError without bars.
        """
        model = await self._models.get(model_id)
        symbol, timeframe = check_symbol(request.symbol), check_timeframe(request.timeframe)
        if timeframe != model.timeframes[0]:
            raise InputError(
                f"model {model_id} was trained on bars of {model.timeframes[0]}; it says nothing about those of "
                f"{timeframe}",
                hint=f"ask for {symbol} {model.timeframes[0]}",
            )
        await asyncio.to_thread(self._check_stored, symbol, model.timeframes)
        payload = {
            "model": model_id,
            "folder": str(self._models.folder(model)),
            "symbol": symbol,
            "last": request.last,
        }
        metadata = {"symbols": [symbol], "timeframes": model.timeframes, "strategy": model.strategy, "model": model_id}
        what = f"a prediction of {symbol} {timeframe}"
        return await self._launch(PREDICTION, what, payload, metadata, idempotency_key)

    async def export(self, model_id: str, request: Export, idempotency_key: str | None = None) -> Operation:
        """A model as a file that other programs run.

        Raises NotFoundError without such a model, ConflictError where it has no such form or packages are missing.
        """
        model = await self._models.get(model_id)
        if model.model_type == "gradient_boosting":
            raise ConflictError(
                f"model {model_id} is gradient boosting, which has no export to {request.format}: only networks have",
                hint="predict with it here: ktrdr models predict …",
            )
        if missing := [name for name in EXPORT_PACKAGES if find_spec(name) is None]:
            raise ConflictError(
                f"an export to {request.format} needs {', '.join(missing)} where the server runs",
                hint="install it there with: pip install 'ktrdr[onnx]'",
            )
        payload = {"model": model_id, "folder": str(self._models.folder(model)), "format": request.format}
        metadata = {
            "symbols": model.symbols,
            "timeframes": model.timeframes,
            "strategy": model.strategy,
            "model": model_id,
        }
        return await self._launch(EXPORT, f"an export of {model_id}", payload, metadata, idempotency_key)

    async def preflight(self, request: TrainingStart, idempotency_key: str | None = None) -> Operation:
        """What a training would meet: samples, balance, memory and time. Raises as a training's start does."""
        return await self._on_bars(PREFLIGHT, request, request.strategy_name, idempotency_key)

    async def audit(self, request: Audit, idempotency_key: str | None = None) -> Operation:
        """Look for leaks in a strategy's features, at every bar. Raises as a training's start does."""
        return await self._on_bars(AUDIT, request, "", idempotency_key)

    async def _on_bars(self, kind: str, request: OnBars, name: str, idempotency_key: str | None) -> Operation:
        start = TrainingStart(**{**request.model_dump(), "strategy_name": name})
        strategy, prepared = await asyncio.to_thread(self._training.prepare, start)
        metadata = {
            "symbols": prepared["symbols"],
            "timeframes": prepared["timeframes"],
            "strategy": prepared["strategy_name"],
            "model_type": strategy.model.type,
            "start_date": prepared["start"],
            "end_date": prepared["end"],
        }
        what = f"the {kind.lower()} of {prepared['strategy_name']}"
        return await self._launch(kind, what, prepared, metadata, idempotency_key)

    async def _launch(
        self, kind: str, what: str, payload: dict[str, Any], metadata: dict[str, Any], idempotency_key: str | None
    ) -> Operation:
        operation, is_new = await self._operations.create_operation(
            kind,
            metadata=metadata,
            payload={**payload, "lane": LANE, "kind": kind, "bars": str(self._store.root)},
            idempotency_key=idempotency_key,
        )
        if not is_new:
            return operation

        def prepare(folder: Path) -> None:
            AnalysisProgressBridge.create_for(folder / "bridge", kind, what)

        return await self._dispatcher.launch(operation, prepare, announce=lambda: None)

    def _check_stored(self, symbol: str, timeframes: Sequence[str]) -> None:
        try:
            for timeframe in timeframes:
                self._store.info(symbol, timeframe)
        except SeriesNotFound as missing:
            raise ConflictError(missing.detail, hint=missing.hint, **missing.context) from missing
