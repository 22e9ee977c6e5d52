"""AblationService: start and resume ablations, which train a model again without each of its indicators."""

from __future__ import annotations

import asyncio

from ktrdr.api.services.model_service import ModelService
from ktrdr.errors import ConflictError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.jobs.ablation_plan import ablation_job
from ktrdr.jobs.parts import is_settled
from ktrdr.jobs.service import JobService
from ktrdr.operations.operation import Operation
from ktrdr.payloads.jobs import AblationJob


class AblationService:
    def __init__(self, jobs: JobService, dispatcher: Dispatcher, models: ModelService) -> None:
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._models = models
        jobs.resume_with("ablation", self._resume)

    async def start(self, model_id: str, idempotency_key: str | None = None) -> Operation:
        """Train without each indicator, and compare.

        Raises NotFoundError without such a model, ConflictError where nothing can be left out or the bars have changed.
        """
        model = await self._models.get_checked(model_id)
        job = await asyncio.to_thread(ablation_job, model_id, self._models.folder(model))
        if model.bars_changed:
            raise ConflictError(
                f"the stored bars are not those that model {model_id} was trained on",
                hint="load them as they were, or train again",
            )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def _resume(self, parent: Operation, job: AblationJob) -> AblationJob:
        """What is missing of an earlier attempt."""
        parts = await self._dispatcher.plans.parts_of(parent)
        settled = {index: part.operation_id for index, part in parts.items() if is_settled(part)}
        begun = {index: part.operation_id for index, part in parts.items() if index not in settled}
        return job.model_copy(update={"taken_over": settled, "checkpoints": begun})
