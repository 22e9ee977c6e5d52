"""AnalysisService: what is done with models and strategies beside training, each an operation of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from ktrdr.api.schemas.models import BacktestStart, Explanation, Export, Model, Prediction, Unsealing
from ktrdr.api.schemas.training import Audit, TrainingStart
from ktrdr.api.services.model_service import ModelService
from ktrdr.api.services.training_service import TrainingService
from ktrdr.errors import ConflictError, InputError, SeriesNotFound
from ktrdr.jobs.service import JobService
from ktrdr.market.bars import check_symbol
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import Operation
from ktrdr.payloads.jobs import (
    AnyJob,
    AuditJob,
    BacktestJob,
    ExplanationJob,
    ExportJob,
    PredictionJob,
    PreflightJob,
    UnsealingJob,
)
from ktrdr.payloads.training import EvaluatedResults, FoldsResults
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.unsealed import without_sealed_part
from ktrdr.strategy.spec import Strategy
from ktrdr.strategy.trading_settings import with_trading_settings
from ktrdr.timeframe import Timeframe

EXPORT_PACKAGES = ("onnx", "onnxruntime")


class AnalysisService:
    """Checks what can be checked at once; the work itself is done in a worker (`ktrdr.jobs.analysis`)."""

    def __init__(
        self,
        jobs: JobService,
        training: TrainingService,
        models: ModelService,
        store: BarStore,
    ) -> None:
        self._jobs = jobs
        self._training = training
        self._models = models
        self._store = store
        for kind in ("backtest", "explanation"):
            jobs.resume_with(kind, _from_the_beginning)

    async def predict(self, model_id: str, request: Prediction, idempotency_key: str | None = None) -> Operation:
        """What a model says at the newest closed bars of a symbol, which need not be one that it was trained on.

        Raises NotFoundError without such a model, InputError for another timeframe, ConflictError without bars.
        """
        model = await self._models.get(model_id)
        symbol, timeframe = check_symbol(request.symbol), Timeframe.parse(request.timeframe)
        if timeframe != model.timeframes[0]:
            raise InputError(
                f"model {model_id} was trained on bars of {model.timeframes[0]}; it says nothing about those of "
                f"{timeframe}",
                hint=f"ask for {symbol} {model.timeframes[0]}",
            )
        await asyncio.to_thread(self._check_stored, symbol, model.timeframes)
        job = PredictionJob(
            model=model_id,
            folder=self._models.folder(model).name,
            symbols=(symbol,),
            timeframes=tuple(model.timeframes),
            strategy=model.strategy,
            symbol=symbol,
            last=request.last,
        )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

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
        job = ExportJob(
            model=model_id,
            folder=self._models.folder(model).name,
            symbols=tuple(model.symbols),
            timeframes=tuple(model.timeframes),
            strategy=model.strategy,
            format=request.format,
        )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def backtest(self, model_id: str, request: BacktestStart, idempotency_key: str | None = None) -> Operation:
        """The model on stored bars of any symbol.

        Raises NotFoundError without such a model, InputError for days in the wrong order, StrategyError for settings
        that are wrong, ConflictError without bars.
        """
        model = await self._models.get(model_id)
        if request.start_date and request.end_date and request.start_date > request.end_date:
            raise InputError(
                f"the first day, {request.start_date}, is after the last, {request.end_date}",
                hint="both days are included; exchange the two",
            )
        symbols = tuple(dict.fromkeys(check_symbol(each) for each in request.symbols)) or tuple(model.symbols)
        for symbol in symbols:
            await asyncio.to_thread(self._check_stored, symbol, model.timeframes)
        self._check_settings(model, request.set or {})
        folds = model.results.folds if isinstance(model.results, FoldsResults) else ()
        job = BacktestJob(
            model=model_id,
            folder=self._models.folder(model).name,
            folders=tuple(fold.operation_id for fold in folds),
            symbols=symbols,
            timeframes=tuple(model.timeframes),
            strategy=model.strategy,
            start=request.start_date,
            end=request.end_date,
            allows_overlap=request.allow_overlap,
            settings=request.set or {},
        )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def explain(self, model_id: str, request: Explanation, idempotency_key: str | None = None) -> Operation:
        """Which indicators a model depends on. Raises NotFoundError without such a model."""
        model = await self._models.get(model_id)
        job = ExplanationJob(
            model=model_id,
            folder=self._models.folder(model).name,
            symbols=tuple(model.symbols),
            timeframes=tuple(model.timeframes),
            strategy=model.strategy,
            repeats=request.repeats,
        )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def unseal(
        self, model_id: str, request: Unsealing, client: str, idempotency_key: str | None = None
    ) -> Operation:
        """The model on its sealed test part, which is recorded and counted as opened. `client` is who sends it.

        Raises NotFoundError without such a model, ConflictError where it has no sealed test part.
        """
        model = await self._models.get(model_id)
        if not isinstance(model.results, EvaluatedResults) or model.results.sealed is None:
            raise without_sealed_part(model_id)
        job = UnsealingJob(
            model=model_id,
            folder=self._models.folder(model).name,
            symbols=tuple(model.symbols),
            timeframes=tuple(model.timeframes),
            strategy=model.strategy,
            by=request.by.strip() or f"client {client}",
        )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def preflight(self, request: TrainingStart, idempotency_key: str | None = None) -> Operation:
        """What a training would meet: samples, balance, memory and time. Raises as a training's start does."""
        on_bars = await self._training.prepare(request, request.strategy_name)
        return await self._jobs.start(PreflightJob(**on_bars.model_dump()), idempotency_key=idempotency_key)

    async def audit(self, request: Audit, idempotency_key: str | None = None) -> Operation:
        """Look for leaks in a strategy's features, at every bar. Raises as a training's start does."""
        on_bars = await self._training.prepare(request, "")
        return await self._jobs.start(AuditJob(**on_bars.model_dump()), idempotency_key=idempotency_key)

    def _check_settings(self, model: Model, settings: Mapping[str, Any]) -> None:
        """Raises StrategyError for values that do not go with the model's strategy."""
        if settings:
            strategy = Strategy.model_validate_json(json.dumps(read_card(self._models.folder(model))["strategy"]))
            with_trading_settings(strategy, settings)

    def _check_stored(self, symbol: str, timeframes: Sequence[str]) -> None:
        try:
            for timeframe in timeframes:
                self._store.info(symbol, timeframe)
        except SeriesNotFound as missing:
            raise ConflictError(missing.detail, hint=missing.hint, **missing.context) from missing


async def _from_the_beginning(parent: Operation, job: AnyJob) -> AnyJob:
    """Nothing of the first attempt is left to go on from."""
    return job
