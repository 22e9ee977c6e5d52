"""TrainingService: start, cancel and resume trainings."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr.api.schemas import TrainingStart
from ktrdr.api.services.training.progress_bridge import TrainingProgressBridge
from ktrdr.errors import ConflictError, InputError, SeriesNotFound
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.matrix import build_dataset
from ktrdr.market.bars import TIMEFRAMES, check_range, check_symbol, check_timeframe
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import Operation, OperationStatus
from ktrdr.operations.service import OperationsService
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.fingerprint import CHECKPOINTS, Fingerprint, check_latest

if TYPE_CHECKING:
    import polars as pl

logger = logging.getLogger(__name__)

LANE = "training"
OPERATION_TYPE = "TRAINING"
CHECKPOINT_FILES = f"{CHECKPOINTS}/*.safetensors"
_ROWS_CHECKED_AT_ONCE = 50_000
_RESUMABLE = (OperationStatus.FAILED, OperationStatus.CANCELLED)


class TrainingService:
    def __init__(
        self,
        operations: OperationsService,
        dispatcher: Dispatcher,
        store: BarStore,
        catalogue: IndicatorCatalogue,
        *,
        bars: Path,
        models: Path,
    ) -> None:
        self._operations = operations
        self._dispatcher = dispatcher
        self._store = store
        self._catalogue = catalogue
        self._bars = bars
        self._models = models

    async def start(self, request: TrainingStart, idempotency_key: str | None = None) -> Operation:
        """Start a training, or queue it when all workers are busy.

        Raises InputError for what can't be right, ConflictError when bars are missing in the store.
        """
        strategy = await asyncio.to_thread(load_strategy, request.strategy, self._catalogue)
        symbols = list(dict.fromkeys(check_symbol(symbol) for symbol in request.symbols))
        timeframe = _one_timeframe(request.timeframes)
        check_range(request.start_date, request.end_date)
        await asyncio.to_thread(self._check_bars, strategy, symbols, timeframe, request)
        payload = {
            "lane": LANE,
            "strategy": request.strategy,
            "strategy_name": request.strategy_name or _slug(strategy.name),
            "symbols": symbols,
            "timeframe": timeframe,
            "start": request.start_date.isoformat() if request.start_date else None,
            "end": request.end_date.isoformat() if request.end_date else None,
        }
        return await self._launch(strategy, payload, idempotency_key=idempotency_key)

    async def resume(self, operation_id: str, idempotency_key: str | None = None) -> Operation:
        """A new operation that goes on from the last checkpoint of a failed or cancelled training.

        Raises OperationNotFound, ConflictError, CheckpointMismatch when bars or strategy are not what they were.
        """
        parent = await self._operations.get_operation(operation_id)
        if parent.operation_type != OPERATION_TYPE or parent.status not in _RESUMABLE:
            raise ConflictError(
                f"operation {operation_id} is {parent.status} ({parent.operation_type}); "
                "only failed and cancelled trainings can be resumed",
                operation_status=str(parent.status),
            )
        folder = self._folder_with_checkpoints(parent)
        strategy = await asyncio.to_thread(load_strategy, parent.payload["strategy"], self._catalogue)
        await asyncio.to_thread(self._check_checkpoint, folder, strategy, parent.payload)
        payload = {**parent.payload, "resume_from": str(folder)}
        return await self._launch(strategy, payload, parent_id=operation_id, idempotency_key=idempotency_key)

    def _folder_with_checkpoints(self, parent: Operation) -> Path:
        """The parent's own, or the one that it was to go on from when it ended before its first."""
        own, inherited = self._models / parent.operation_id, parent.payload.get("resume_from")
        for folder in (own, Path(inherited)) if inherited else (own,):
            if any(folder.glob(CHECKPOINT_FILES)):
                return folder
        raise ConflictError(
            f"operation {parent.operation_id} ended before its first checkpoint; there is nothing to resume",
            hint="start it again with: ktrdr models train …",
        )

    def _check_checkpoint(self, folder: Path, strategy: Strategy, payload: Mapping[str, Any]) -> None:
        timeframe, start, end = payload["timeframe"], _day(payload["start"]), _day(payload["end"])
        bars = {symbol: self._read(symbol, timeframe, start, end) for symbol in payload["symbols"]}
        check_latest(folder / CHECKPOINTS, Fingerprint.of(strategy, timeframe, bars))

    async def _launch(
        self,
        strategy: Strategy,
        payload: dict[str, Any],
        *,
        parent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Operation:
        symbols, epochs = payload["symbols"], strategy.training.epochs
        payload = {**payload, "bars": str(self._bars), "models": str(self._models)}
        operation, is_new = await self._operations.create_operation(
            OPERATION_TYPE,
            metadata={
                "symbols": symbols,
                "timeframes": [payload["timeframe"]],
                "strategy": payload["strategy_name"],
                "model_type": strategy.model.type,
                "start_date": payload["start"],
                "end_date": payload["end"],
            },
            payload=payload,
            parent_id=parent_id,
            idempotency_key=idempotency_key,
        )
        if not is_new:
            return operation

        def announce() -> None:
            logger.debug("Bridge registered, starting training worker")
            logger.info("Starting training: symbols=%s, epochs=%d", symbols, epochs)

        return await self._dispatcher.launch(
            operation, lambda folder: TrainingProgressBridge.create_for(folder / "bridge", epochs), announce
        )

    def _check_bars(self, strategy: Strategy, symbols: list[str], timeframe: str, request: TrainingStart) -> None:
        """Refuse now what the worker would have to refuse later; on long histories that is left to the worker."""
        bars = {s: self._read(s, timeframe, request.start_date, request.end_date) for s in symbols}
        if sum(frame.height for frame in bars.values()) <= _ROWS_CHECKED_AT_ONCE:
            build_dataset(strategy, bars, TIMEFRAMES[timeframe])

    def _read(self, symbol: str, timeframe: str, start: date | None, end: date | None) -> pl.DataFrame:
        try:
            return self._store.read(symbol, timeframe, start, end)
        except SeriesNotFound as missing:
            raise ConflictError(missing.detail, hint=missing.hint, **missing.context) from missing


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _one_timeframe(timeframes: list[str]) -> str:
    checked = list(dict.fromkeys(check_timeframe(timeframe) for timeframe in timeframes))
    if len(checked) != 1:
        raise InputError(
            f"a training reads one timeframe; these are {len(checked)}: {', '.join(checked)}",
            hint="start one training for each",
        )
    return checked[0]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "strategy"
