"""TrainingService: start, resume and reproduce trainings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ktrdr.api.schemas.training import OnBars, TrainingStart
from ktrdr.errors import ConflictError, SeriesNotFound, TableNotFound
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import with_other_series
from ktrdr.features.other_series import other_keys
from ktrdr.features.timeframes import on_timeframes
from ktrdr.home import Home
from ktrdr.jobs.checkpoints import with_checkpoints
from ktrdr.jobs.kinds import job_of
from ktrdr.jobs.parts import job_of_strategy, ordinary
from ktrdr.jobs.service import JobService
from ktrdr.market.bars import check_range, check_symbol
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import FoldsJob, StrategyOnBars, TrainingJob
from ktrdr.payloads.plugins import Plugins
from ktrdr.strategy.editing import with_settings
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import CARD
from ktrdr.training.fingerprint import CHECKPOINTS, Fingerprint, check_latest, check_model

if TYPE_CHECKING:
    from ktrdr.market.series_file import StoredBars


class TrainingService:
    def __init__(
        self,
        operations: OperationsService,
        jobs: JobService,
        dispatcher: Dispatcher,
        store: BarStore,
        catalogue: IndicatorCatalogue,
        home: Home,
    ) -> None:
        self._operations = operations
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._store = store
        self._catalogue = catalogue
        self._home = home
        jobs.resume_with("training", self._resume)
        jobs.resume_with("folds", self._resume)

    async def start(self, request: TrainingStart, idempotency_key: str | None = None) -> Operation:
        """Start a training, or queue it when all workers are busy.

        Raises InputError for what can't be right, ConflictError when bars are missing in the store.
        """
        strategy, on_bars = await asyncio.to_thread(self.describe, request, request.strategy_name)
        job = job_of_strategy(strategy, on_bars)
        if earlier := await self._jobs.find_repeated(job, idempotency_key):
            return earlier
        await self.check(on_bars)
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def reproduce(self, operation_id: str, idempotency_key: str | None = None) -> Operation:
        """A new training of the same inputs, which tells at its end whether it came to the same bits.

        Raises OperationNotFound, and ConflictError when there is no model to compare with.
        """
        original = await self._operations.get_operation(operation_id)
        job = job_of(original)
        if isinstance(job, FoldsJob):
            raise ConflictError(
                f"operation {operation_id} trained {job.folds} folds, each a model of its own",
                hint=f"reproduce them one by one; their ids: ktrdr operations results {operation_id}",
            )
        if not isinstance(job, TrainingJob) or original.status is not OperationStatus.COMPLETED:
            raise ConflictError(
                f"operation {operation_id} is {original.status} ({original.operation_type}); "
                "only completed trainings can be reproduced",
                hint="list models with: ktrdr models list",
                operation_status=str(original.status),
            )
        again = ordinary(job).model_copy(update={"reproduces": operation_id, "resume_from": None, "until": job.until})
        return await self._jobs.start(again, parent_id=operation_id, idempotency_key=idempotency_key)

    async def prepare(self, request: OnBars, strategy_name: str) -> StrategyOnBars:
        """What a worker must know of work on a strategy. Raises as `start` does."""
        _, on_bars = await asyncio.to_thread(self.describe, request, strategy_name)
        await self.check(on_bars)
        return on_bars

    async def check(self, on_bars: StrategyOnBars) -> None:
        """Refuse now what a worker would refuse later. Raises ConflictError without bars, TrainingDataError."""
        try:
            for symbol in on_bars.symbols:
                for timeframe in on_bars.timeframes:
                    await asyncio.to_thread(self._store.info, symbol, timeframe)
            await self._jobs.check_start(on_bars)
        except (SeriesNotFound, TableNotFound) as missing:
            raise ConflictError(missing.detail, hint=missing.hint, **missing.context) from missing

    def describe(self, request: OnBars, strategy_name: str) -> tuple[Strategy, StrategyOnBars]:
        """The strategy on its timeframes, and what a worker must know of it. Raises InputError and StrategyError."""
        text = with_settings(request.strategy, request.set or {})
        return self.on_bars(load_strategy(text, self._catalogue), text, request, strategy_name)

    def on_bars(
        self, strategy: Strategy, text: str, request: OnBars, strategy_name: str
    ) -> tuple[Strategy, StrategyOnBars]:
        """As `describe`, of a strategy that was loaded from `text`. Raises InputError."""
        symbols = tuple(dict.fromkeys(check_symbol(symbol) for symbol in request.symbols))
        strategy = on_timeframes(strategy, request.timeframes)
        check_range(request.start_date, request.end_date)
        return strategy, StrategyOnBars(
            strategy=text,
            strategy_name=strategy_name or strategy.slug,
            model_type=strategy.model.type,
            symbols=symbols,
            timeframes=strategy.timeframes,
            start=request.start_date,
            end=request.end_date,
            plugins=self._plugins_of(strategy),
            other_series=tuple(map(str, other_keys(strategy))),
        )

    def _plugins_of(self, strategy: Strategy) -> Plugins:
        """Those that it uses; their files are not read where there are none."""
        used = [(each.kind, each.name) for each in strategy.plugins]
        return self._catalogue.plugins().only(used).recorded() if used else Plugins()

    async def _resume(self, parent: Operation, job: TrainingJob | FoldsJob) -> TrainingJob | FoldsJob:
        return ordinary(await self.continuation(parent, job))

    async def check_unchanged(self, trained: Operation, job: TrainingJob | FoldsJob) -> None:
        """Raises CheckpointMismatch when strategy or bars are not those that the model was trained with."""
        strategy = await asyncio.to_thread(self._strategy_of, job)
        own = {job.fold: trained} if isinstance(job, TrainingJob) else await self._dispatcher.plans.parts_of(trained)
        await asyncio.to_thread(self._check_folds, own, strategy, job)

    async def continuation(self, parent: Operation, job: TrainingJob | FoldsJob) -> TrainingJob | FoldsJob:
        """The same job from the last checkpoint, or what is missing of its folds.

        Raises ConflictError without a checkpoint, CheckpointMismatch when its inputs differ.
        """
        strategy = await asyncio.to_thread(self._strategy_of, job)
        if isinstance(job, FoldsJob):
            folds = await self._dispatcher.plans.parts_of(parent)
            await asyncio.to_thread(self._check_folds, folds, strategy, job)
            return await asyncio.to_thread(self._without_trained, folds, job)
        source = await asyncio.to_thread(self._with_checkpoints, parent.operation_id)
        await asyncio.to_thread(self._check_checkpoint, source, strategy, job)
        return job.model_copy(update={"resume_from": source})

    def _with_checkpoints(self, operation_id: str) -> str:
        """The operation itself, or the one that it was to go on from when it ended before its first checkpoint.

        Raises ConflictError when there is none.
        """
        if source := with_checkpoints(self._home, operation_id):
            return source
        raise ConflictError(
            f"operation {operation_id} ended before its first checkpoint; there is nothing to resume",
            hint="start it again with: ktrdr models train …",
        )

    def _check_checkpoint(self, name: str, strategy: Strategy, job: TrainingJob) -> None:
        made_from = Fingerprint.of(strategy, self._read_all(strategy, job), job.fold)
        check_latest(self._home.models / name / CHECKPOINTS, made_from)

    def _check_folds(self, folds: Mapping[int, Operation], strategy: Strategy, job: StrategyOnBars) -> None:
        """What is taken over of an earlier attempt must be made of what the rest will be made of."""
        now = Fingerprint.of(strategy, self._read_all(strategy, job))
        for fold, part in folds.items():
            folder = self._home.models / part.operation_id
            with suppress(FileNotFoundError):  # without a card it is not taken over
                check_model(folder, replace(now, fold=fold))
            check_latest(folder / CHECKPOINTS, replace(now, fold=fold))

    def _without_trained(self, folds: Mapping[int, Operation], job: FoldsJob) -> FoldsJob:
        """A fold that an earlier attempt has completed is taken over as it is, one with checkpoints goes on."""
        completed = {fold: part.operation_id for fold, part in folds.items() if self.has_model(part)}
        checkpoints = {}
        for fold, part in folds.items():
            if fold not in completed:
                with suppress(ConflictError):
                    checkpoints[fold] = self._with_checkpoints(part.operation_id)
        return job.model_copy(update={"completed": completed, "checkpoints": checkpoints})

    def has_model(self, operation: Operation) -> bool:
        is_completed = operation.status is OperationStatus.COMPLETED
        return is_completed and (self._home.models / operation.operation_id / CARD).exists()

    def _strategy_of(self, on_bars: StrategyOnBars) -> Strategy:
        return load_strategy(on_bars.strategy, self._catalogue).on(on_bars.timeframes)

    def _read_all(self, strategy: Strategy, on_bars: StrategyOnBars) -> dict[str, SymbolBars]:
        bars = {
            symbol: SymbolBars.of({each: self._read(symbol, each, on_bars) for each in strategy.timeframes})
            for symbol in on_bars.symbols
        }
        return with_other_series(
            strategy,
            bars,
            lambda symbol, timeframe: self._read(symbol, timeframe, on_bars),
            TableStore(self._home.tables).read,
        )

    def _read(self, symbol: str, timeframe: str, on_bars: StrategyOnBars) -> StoredBars:
        try:
            return self._store.read_stored(symbol, timeframe, on_bars.start, on_bars.end)
        except SeriesNotFound as missing:
            raise ConflictError(missing.detail, hint=missing.hint, **missing.context) from missing
