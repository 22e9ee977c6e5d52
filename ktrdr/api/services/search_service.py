"""SearchService: start and resume searches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from ktrdr.api.schemas.training import SearchStart
from ktrdr.api.services.training_service import TrainingService
from ktrdr.errors import CheckpointMismatch, ConflictError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.jobs.kinds import job_of
from ktrdr.jobs.parts import is_settled
from ktrdr.jobs.search_plan import search_job
from ktrdr.jobs.service import JobService
from ktrdr.operations.operation import Operation
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import FoldsJob, SearchJob, StrategyOnBars, TrainingJob
from ktrdr.strategy.editing import with_settings
from ktrdr.strategy.proposals import propose
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_space import Search

logger = logging.getLogger(__name__)


class SearchService:
    def __init__(
        self, jobs: JobService, dispatcher: Dispatcher, training: TrainingService, catalogue: IndicatorCatalogue
    ) -> None:
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._training = training
        self._catalogue = catalogue
        jobs.resume_with("search", self._resume)

    async def start(self, request: SearchStart, idempotency_key: str | None = None) -> Operation:
        """Start a search; its trials wait for workers like other trainings.

        Raises InputError for what can't be right, ConflictError when bars are missing in the store.
        """
        search, on_bars = await asyncio.to_thread(self._describe, request)
        job = search_job(search, on_bars)
        if earlier := await self._jobs.find_repeated(job, idempotency_key):
            return earlier
        first_trial = search.strategy_text(propose(search, 0, ()))
        await self._training.check(on_bars.model_copy(update={"strategy": first_trial}))
        logger.info("Starting search: symbols=%s, trials=%d, sampler=%s", list(job.symbols), job.trials, job.sampler)
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    def _describe(self, request: SearchStart) -> tuple[Search, StrategyOnBars]:
        text = with_settings(request.strategy, request.set or {})
        search = load_search(text, self._catalogue)
        _, on_bars = self._training.on_bars(search.strategy, text, request, request.strategy_name)
        # A search may come to plugins that its first values do not name.
        return search, on_bars.model_copy(update={"plugins": self._catalogue.plugins().recorded()})

    async def _resume(self, parent: Operation, job: SearchJob) -> SearchJob:
        """What is missing of an earlier attempt. Raises CheckpointMismatch when its inputs differ."""
        parts = await self._dispatcher.plans.parts_of(parent)
        await self._check_unchanged(parts.values())
        settled = {index: part.operation_id for index, part in parts.items() if is_settled(part)}
        others = {index: part for index, part in parts.items() if index not in settled}
        return job.model_copy(update={"taken_over": settled, "begun": await self._continuations(others)})

    async def _check_unchanged(self, parts: Iterable[Operation]) -> None:
        """By one trial that has a model; all were trained on the same bars."""
        if trained := next((part for part in parts if part.status is OperationStatus.COMPLETED), None):
            await self._training.check_unchanged(trained, _training_job(trained))

    async def _continuations(self, parts: Mapping[int, Operation]) -> dict[int, TrainingJob | FoldsJob]:
        """The jobs of parts that have checkpoints, so that they go on from there."""
        jobs: dict[int, TrainingJob | FoldsJob] = {}
        for index, part in parts.items():
            try:
                jobs[index] = await self._training.continuation(part, _training_job(part))
            except CheckpointMismatch:
                raise
            except ConflictError:  # it ended before its first checkpoint
                continue
        return jobs


def _training_job(part: Operation) -> TrainingJob | FoldsJob:
    job = job_of(part)
    assert isinstance(job, TrainingJob | FoldsJob)
    return job
