"""TrainingService: start, cancel and resume trainings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr.api.schemas import TrainingStart
from ktrdr.errors import ConflictError, OperationNotFound, SeriesNotFound
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.experiments.preflight import preflight
from ktrdr.features.columns import SymbolBars
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.matrix import Dataset, build_dataset
from ktrdr.features.splits import fold_count
from ktrdr.features.timeframes import on_timeframes
from ktrdr.jobs.folds import FoldsBridge, read_members, write_members
from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.market.bars import check_range, check_symbol
from ktrdr.market.quality import enforce
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import Operation, OperationStatus
from ktrdr.operations.service import OperationsService
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import CARD
from ktrdr.training.fingerprint import CHECKPOINTS, Fingerprint, check_latest, check_model

if TYPE_CHECKING:
    import polars as pl

logger = logging.getLogger(__name__)

LANE = "training"
FOLDS_LANE = "folds"
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
        strategy, payload = await asyncio.to_thread(self._describe, request)
        if earlier := await self._operations.find_repeated(OPERATION_TYPE, payload, idempotency_key):
            return earlier
        await asyncio.to_thread(self._refuse_hopeless, strategy, payload)
        return await self._launch(strategy, payload, idempotency_key=idempotency_key)

    async def reproduce(self, operation_id: str, idempotency_key: str | None = None) -> Operation:
        """A new training of the same inputs, which tells at its end whether it came to the same bits.

        Raises OperationNotFound, and ConflictError when there is no model to compare with.
        """
        original = await self._operations.get_operation(operation_id)
        if original.operation_type != OPERATION_TYPE or original.status is not OperationStatus.COMPLETED:
            raise ConflictError(
                f"operation {operation_id} is {original.status} ({original.operation_type}); "
                "only completed trainings can be reproduced",
                operation_status=str(original.status),
            )
        if "folds" in original.payload:
            raise ConflictError(
                f"operation {operation_id} trained {original.payload['folds']} folds, each a model of its own",
                hint=f"reproduce them one by one; their ids: ktrdr operations results {operation_id}",
            )
        strategy = await asyncio.to_thread(self._strategy_of, original.payload)
        inherited = {key: value for key, value in original.payload.items() if key != "resume_from"}
        payload = {**inherited, "reproduces": operation_id}
        return await self._launch(strategy, payload, parent_id=operation_id, idempotency_key=idempotency_key)

    def prepare(self, request: TrainingStart) -> tuple[Strategy, dict[str, Any]]:
        """The strategy on its timeframes, and all that a worker must know. Raises as `start` does."""
        strategy, payload = self._describe(request)
        self._datasets(strategy, payload)
        return strategy, payload

    def _describe(self, request: TrainingStart) -> tuple[Strategy, dict[str, Any]]:
        strategy = load_strategy(request.strategy, self._catalogue)
        symbols = list(dict.fromkeys(check_symbol(symbol) for symbol in request.symbols))
        strategy = on_timeframes(strategy, request.timeframes)
        check_range(request.start_date, request.end_date)
        payload = {
            "lane": LANE,
            "strategy": request.strategy,
            "strategy_name": request.strategy_name or strategy.slug,
            "symbols": symbols,
            "timeframes": list(strategy.timeframes),
            "start": request.start_date.isoformat() if request.start_date else None,
            "end": request.end_date.isoformat() if request.end_date else None,
            "fold": 0,
            "bars": str(self._bars),
            "models": str(self._models),
        }
        folds = fold_count(strategy)
        return strategy, payload | ({"lane": FOLDS_LANE, "folds": folds} if folds > 1 else {})

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
        strategy = await asyncio.to_thread(self._strategy_of, parent.payload)
        if "folds" in parent.payload:
            folds = await self._folds_of(operation_id)
            await asyncio.to_thread(self._check_folds, folds, strategy, parent.payload)
            return await self._launch(strategy, parent.payload, parent_id=operation_id, idempotency_key=idempotency_key)
        folder = self._folder_with_checkpoints(parent)
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
        bars = self._read_all(strategy, payload)
        check_latest(folder / CHECKPOINTS, Fingerprint.of(strategy, bars, payload["fold"]))

    def _check_folds(self, folds: Mapping[int, Operation], strategy: Strategy, payload: Mapping[str, Any]) -> None:
        """What is taken over of an earlier attempt must be made of what the rest will be made of."""
        now = Fingerprint.of(strategy, self._read_all(strategy, payload))
        for fold, member in folds.items():
            with suppress(FileNotFoundError):  # without a card it is not taken over
                check_model(self._models / member.operation_id, replace(now, fold=fold))
            check_latest(self._models / member.operation_id / CHECKPOINTS, replace(now, fold=fold))

    def _strategy_of(self, payload: Mapping[str, Any]) -> Strategy:
        return load_strategy(payload["strategy"], self._catalogue).on(payload["timeframes"])

    async def _launch(
        self,
        strategy: Strategy,
        payload: Mapping[str, Any],
        *,
        parent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Operation:
        operation, is_new = await self._create(strategy, payload, parent_id, idempotency_key)
        if not is_new:
            return operation
        if "folds" in payload:
            return await self._launch_folds(operation, strategy, payload, parent_id)
        symbols, epochs = payload["symbols"], strategy.training.epochs

        def announce() -> None:
            logger.debug("Bridge registered, starting training worker")
            logger.info("Starting training: symbols=%s, epochs=%d", symbols, epochs)

        return await self._dispatcher.launch(
            operation, lambda folder: TrainingProgressBridge.create_for(folder / "bridge", epochs), announce
        )

    async def _launch_folds(
        self, whole: Operation, strategy: Strategy, payload: Mapping[str, Any], parent_id: str | None
    ) -> Operation:
        """One operation for each fold, and `whole`, which waits for them and sums them up."""
        folds = payload["folds"]
        earlier = await self._folds_of(parent_id) if parent_id else {}
        members = [
            await self._launch_fold(strategy, payload, fold, whole.operation_id, earlier.get(fold))
            for fold in range(folds)
        ]

        def announce() -> None:
            logger.info("Waiting for %d folds: %s", folds, ", ".join(members))

        def prepare(folder: Path) -> None:
            FoldsBridge.create_for(folder / "bridge", folds)
            write_members(folder, members)

        return await self._dispatcher.launch(whole, prepare, announce)

    async def _launch_fold(
        self, strategy: Strategy, payload: Mapping[str, Any], fold: int, whole_id: str, earlier: Operation | None
    ) -> str:
        """Its id; a fold that an earlier attempt has completed is taken as it is, one with checkpoints goes on."""
        is_done = earlier is not None and earlier.status is OperationStatus.COMPLETED
        if earlier and is_done and (self._models / earlier.operation_id / CARD).exists():
            return earlier.operation_id
        shared = {key: value for key, value in payload.items() if key != "folds"}
        own = {**shared, "lane": LANE, "fold": fold, "part_of": whole_id}
        if earlier:
            with suppress(ConflictError):
                own["resume_from"] = str(self._folder_with_checkpoints(earlier))
        return (await self._launch(strategy, own, parent_id=whole_id)).operation_id

    async def _folds_of(self, operation_id: str) -> dict[int, Operation]:
        try:
            members = read_members(self._dispatcher.folder(operation_id))
        except OSError:
            return {}
        found: dict[int, Operation] = {}
        for fold, member in enumerate(members):
            with suppress(OperationNotFound):
                found[fold] = await self._operations.get_operation(member)
        return found

    async def _create(
        self, strategy: Strategy, payload: Mapping[str, Any], parent_id: str | None, idempotency_key: str | None
    ) -> tuple[Operation, bool]:
        metadata = {
            "symbols": payload["symbols"],
            "timeframes": payload["timeframes"],
            "strategy": payload["strategy_name"],
            "model_type": strategy.model.type,
            "start_date": payload["start"],
            "end_date": payload["end"],
        }
        if "folds" in payload:
            metadata["folds"] = payload["folds"]
        if "part_of" in payload:
            metadata["fold"] = payload["fold"] + 1
        return await self._operations.create_operation(
            OPERATION_TYPE,
            metadata=metadata,
            payload=payload,
            parent_id=parent_id,
            idempotency_key=idempotency_key,
        )

    def _refuse_hopeless(self, strategy: Strategy, payload: Mapping[str, Any]) -> None:
        """Now, what the worker would have to refuse later. Raises TrainingDataError."""
        for dataset in self._datasets(strategy, payload):
            preflight(strategy, dataset, model_parameters=0).check()

    def _datasets(self, strategy: Strategy, payload: Mapping[str, Any]) -> list[Dataset]:
        """Of the first fold and the last; of long histories none, which are left to the worker."""
        bars = self._read_all(strategy, payload)
        for symbol, frames in bars.items():
            for timeframe, frame in frames.items():
                enforce(strategy.data, frame, symbol, timeframe, strategy.calendar)
        if sum(frame.height for frames in bars.values() for frame in frames.values()) > _ROWS_CHECKED_AT_ONCE:
            return []
        return [build_dataset(strategy, bars, fold) for fold in sorted({0, fold_count(strategy) - 1})]

    def _read_all(self, strategy: Strategy, payload: Mapping[str, Any]) -> dict[str, SymbolBars]:
        start, end = _day(payload["start"]), _day(payload["end"])
        return {
            symbol: {timeframe: self._read(symbol, timeframe, start, end) for timeframe in strategy.timeframes}
            for symbol in payload["symbols"]
        }

    def _read(self, symbol: str, timeframe: str, start: date | None, end: date | None) -> pl.DataFrame:
        try:
            return self._store.read(symbol, timeframe, start, end)
        except SeriesNotFound as missing:
            raise ConflictError(missing.detail, hint=missing.hint, **missing.context) from missing


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
