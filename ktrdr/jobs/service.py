"""JobService: starts and resumes operations from jobs."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ktrdr.errors import FINAL_ERRORS, ConflictError, StorageError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.executors.executor import Executor
from ktrdr.executors.outcome import read_outcome, write_job
from ktrdr.jobs.kinds import DATA_LANE, KINDS, job_of, kind_of
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import AnyJob, StrategyOnBars
from ktrdr.payloads.plots import PLOT_FILE, PlotJob

_ATTEMPTS = 2
_RESUMABLE = (OperationStatus.FAILED, OperationStatus.CANCELLED)

Resume = Callable[[Operation, Any], Awaitable[AnyJob]]
"""(the operation to resume, its job) -> the job that continues it."""


class JobService:
    def __init__(
        self, operations: OperationsService, dispatcher: Dispatcher, executor: Executor, scratch: Path
    ) -> None:
        self._operations = operations
        self._dispatcher = dispatcher
        self._executor = executor
        self._scratch = scratch
        self._resume: dict[str, Resume] = {}
        self._resuming = asyncio.Lock()

    async def start(
        self,
        job: AnyJob,
        *,
        parent_id: str | None = None,
        idempotency_key: str | None = None,
        prepare: Callable[[Path], None] = lambda folder: None,
    ) -> Operation:
        """Start an operation for `job`, or return the one that was started earlier with the same key.

        It runs as soon as its lane has room. `prepare` writes the job's input files to the operation's folder.
        Raises ConflictError when the key was used for another request, StorageError with the operation FAILED.
        """
        operation, is_new = await self._operations.create_operation(
            kind_of(job).operation_type,
            metadata=job.describe(),
            payload=job.model_dump(mode="json"),
            parent_id=parent_id,
            idempotency_key=idempotency_key,
        )
        return await self._dispatcher.launch(operation, prepare) if is_new else operation

    async def find_repeated(self, job: AnyJob, idempotency_key: str | None) -> Operation | None:
        """The operation started earlier with this key, if any. Raises ConflictError when its request was different."""
        return await self._operations.find_repeated(
            kind_of(job).operation_type, job.model_dump(mode="json"), idempotency_key
        )

    async def check_start(self, on_bars: StrategyOnBars) -> None:
        """Check in a worker whether a training on these bars can start.

        Raises TrainingDataError and other errors of the check; StorageError when no worker comes to an end with it.
        """
        await self._run_aside("ktrdr.jobs.start_check:run", on_bars, "the training cannot be checked")

    async def draw(self, job: PlotJob) -> bytes:
        """The PNG of a plot, which a worker draws; it is stored nowhere.

        Raises the errors of drawing, ConflictError where the bars have changed; StorageError when no worker comes to
        an end with it.
        """
        return await self._run_aside("ktrdr.jobs.plot:run", job, "the plot cannot be drawn", PLOT_FILE)

    async def _run_aside(self, function: str, payload: BaseModel, failure: str, file: str = "") -> bytes:
        """Run a short job that is no operation, and return what it wrote to `file`."""
        # A worker that was killed says nothing about the job, so a second one gets it.
        for _ in range(_ATTEMPTS):
            folder = self._scratch / uuid.uuid4().hex
            try:
                await asyncio.to_thread(write_job, folder, payload.model_dump(mode="json"))
                await self._executor.run_aside(DATA_LANE, function, folder)
                if outcome := read_outcome(folder):
                    outcome.check()
                    return (folder / file).read_bytes() if file else b""
            except (OSError, ValueError) as error:
                raise StorageError(f"{failure}: {error}", hint="make room in KTRDR_HOME") from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        raise StorageError(f"{failure}: two workers ended before they had done it", hint="see ktrdr.log; try again")

    def resume_with(self, kind: str, resume: Resume) -> None:
        """Register the function that makes the job which resumes an operation of this kind."""
        self._resume[kind] = resume

    async def check_unused(self, symbol: str, timeframe: str) -> None:
        """Raises ConflictError when an operation that has not ended reads or writes this series of bars."""
        unfinished = await self._operations.unfinished()
        if ids := [each.operation_id for each in unfinished if job_of(each).uses(symbol, timeframe)]:
            raise ConflictError(
                f"{symbol} {timeframe} is in use by {', '.join(ids[:5])}",
                hint=f"wait until it has ended, or end it with: ktrdr operations cancel {ids[0]}",
                operations=ids,
            )

    async def resume(self, operation_id: str, idempotency_key: str | None = None) -> Operation:
        """Start an operation that continues a failed or cancelled one, its parent.

        Raises OperationNotFound, ConflictError when the parent cannot be resumed, would fail again, or has been
        resumed, and CheckpointMismatch when bars or strategy have changed.
        """
        parent = await self._operations.get_operation(operation_id)
        job = job_of(parent)
        if not kind_of(job).is_resumable or parent.status not in _RESUMABLE:
            what = ", ".join(sorted({kind.title.lower() + "s" for kind in KINDS.values() if kind.is_resumable}))
            raise ConflictError(
                f"operation {operation_id} is {parent.status} ({parent.operation_type}); "
                f"only these can be resumed, once they have failed or were cancelled: {what}",
                hint="list those with: ktrdr operations list --status failed",
                operation_status=str(parent.status),
            )
        if parent.error and parent.error["code"] in FINAL_ERRORS:
            raise ConflictError(
                f"operation {operation_id} would fail again: {parent.error['detail']}",
                hint=parent.error["hint"],
                operation_status=str(parent.status),
            )
        async with self._resuming:
            resumed = await self._resume[job.kind](parent, job)
            if earlier := await self.find_repeated(resumed, idempotency_key):
                return earlier
            await self._check_not_resumed(operation_id)
            return await self.start(resumed, parent_id=operation_id, idempotency_key=idempotency_key)

    async def _check_not_resumed(self, operation_id: str) -> None:
        """Raises ConflictError when another operation goes on from this one already, or has done so to its end."""
        for child in await self._operations.children(operation_id):
            if job_of(child).part is None and child.status not in _RESUMABLE:
                raise ConflictError(
                    f"operation {operation_id} has been resumed by {child.operation_id}, which is {child.status}",
                    hint=f"look at it with: ktrdr operations show {child.operation_id}",
                    operation_id=child.operation_id,
                )
