"""Takes an operation from its creation to its end: queue, worker, outcome, and recovery after a restart."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ktrdr.errors import BridgeError, KtrdrError, OperationTerminal, StorageError
from ktrdr.executors.executor import Executor, Job, WorkerExit
from ktrdr.executors.outcome import (
    Outcome,
    free_reserved_space,
    job_started,
    read_crash_reason,
    read_outcome,
    reserve_disk_space,
    write_job,
    write_outcome,
)
from ktrdr.executors.plans import PlanRunner
from ktrdr.executors.work import WorkTable
from ktrdr.home import Home
from ktrdr.operations.bridge import BridgeFileError, ProgressBridge
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus

logger = logging.getLogger(__name__)

INPUT = "input"
_RECORD_RETRY_S = 5.0


class Dispatcher:
    """Connects OperationsService and Executor, which do not know each other; `table` describes each kind of work.

    Each operation has a folder, `<home>/operations/<operation_id>`, with `job.json`, `bridge` and, at the end,
    `outcome.json`. A plan runs an operation that is made of operations until its parts have ended.
    """

    def __init__(
        self,
        operations: OperationsService,
        executor: Executor,
        table: WorkTable,
        home: Home,
        *,
        cancel_grace_s: float = 30.0,
    ) -> None:
        self._operations = operations
        self._executor = executor
        self._table = table
        self._home = home
        self._cancel_grace_s = cancel_grace_s
        self._cancelling: dict[str, asyncio.TimerHandle] = {}
        self.plans = PlanRunner(operations, table, home.operations, launch=self.launch, submit=self._submit)
        self._records: set[asyncio.Task[None]] = set()
        self._forced_failures: dict[str, Outcome] = {}

    async def start(self) -> None:
        """Start the executor, then recover the operations that an earlier server left unfinished."""
        await self._executor.start(self._on_started, self._on_exited)
        unfinished = await self._operations.unfinished()
        # Running operations come first, because waiting ones may only start in the room that these leave.
        for operation in sorted(unfinished, key=lambda operation: operation.status is OperationStatus.PENDING):
            try:
                await self._take_up(operation)
            except StorageError as problem:
                logger.error("Operation %s cannot be taken up yet: %s", operation.operation_id, problem.detail)
                # A running operation may have a result; the health check settles it once the registry can be written.
                if operation.status is OperationStatus.PENDING:
                    self._fail_soon(operation.operation_id, problem)
        for operation in unfinished:
            if operation.operation_id in self.plans:
                await self._continue_plan(operation.operation_id)

    async def _continue_plan(self, whole_id: str) -> None:
        """Continue a whole that an earlier server left unfinished or was cancelling."""
        if self.plans.is_cancelled(whole_id):
            with suppress(OperationTerminal):
                await self.cancel(whole_id)
        self.plans.advance_soon(whole_id)

    def folder(self, operation_id: str) -> Path:
        return self._home.operations / operation_id

    async def launch(self, operation: Operation, prepare: Callable[[Path], None] = lambda folder: None) -> Operation:
        """Create the operation's folder, then start its plan, or a worker as soon as its lane has room.

        `prepare` writes the job's input files to `input` in the folder; they are deleted when the operation ends.
        Raises StorageError, with the operation FAILED.
        """
        operation_id = operation.operation_id
        try:
            await asyncio.to_thread(self._prepare, operation, prepare)
            if self._table.plan(operation):
                await self._begin_plan(operation)
            else:
                self._operations.register_local_bridge(operation_id, self._open_bridge(operation_id))
                await self._submit(operation)
        except StorageError as problem:
            self._executor.withdraw(operation_id)
            shutil.rmtree(self.folder(operation_id), ignore_errors=True)
            await self._fail(operation_id, problem)
            raise
        return await self._operations.get_operation(operation_id)

    async def _begin_plan(self, operation: Operation) -> None:
        await self.plans.take_up(operation)
        await self._operations.start_operation(operation.operation_id, worker=None)
        try:
            await self.plans.advance(operation.operation_id)
        except StorageError as problem:  # of a part: the whole goes on with the others
            logger.warning("Operation %s cannot continue yet: %s", operation.operation_id, problem.detail)
            self.plans.advance_soon(operation.operation_id)

    async def cancel(self, operation_id: str) -> Operation:
        """Request the end of an operation and of its parts.

        A worker that does not stop within the grace time is killed.
        Raises OperationNotFound, and OperationTerminal when the operation has already ended.
        """
        operation = await self._operations.get_operation(operation_id)
        if operation.status.is_terminal:
            raise OperationTerminal(
                f"operation {operation_id} is {operation.status} already; there is nothing to cancel",
                operation_id=operation_id,
                operation_status=str(operation.status),
            )
        if self._table.plan(operation) and operation.worker is None:
            return await self._cancel_plan(operation_id)
        if self._executor.withdraw(operation_id):
            self._remove_leftovers(operation_id)
            self._write_outcome_for(operation_id, Outcome("cancelled"))
            cancelled = await self._operations.cancel_operation(operation_id)
            await self._number_queue(self._table.lane(operation))
            return cancelled
        if operation_id not in self._cancelling:
            loop = asyncio.get_running_loop()
            self._cancelling[operation_id] = loop.call_later(
                self._cancel_grace_s, self._kill_unresponsive, operation_id
            )
            self._executor.stop(operation_id)
        return operation

    async def _cancel_plan(self, operation_id: str) -> Operation:
        self._executor.withdraw(operation_id)  # where its final job was waiting for a worker
        for part_id in await self.plans.cancel(operation_id):
            with suppress(OperationTerminal):
                await self.cancel(part_id)
        self.plans.advance_soon(operation_id)
        return await self._operations.get_operation(operation_id)

    def _write_outcome_for(self, operation_id: str, outcome: Outcome) -> None:
        """Write the outcome of an operation whose worker wrote none, for readers of its folder."""
        with suppress(OSError):
            write_outcome(self.folder(operation_id), outcome)

    def _kill_unresponsive(self, operation_id: str) -> None:
        self._forced_failures[operation_id] = Outcome.failed(
            "cancel_ignored",
            f"the worker did not stop within {self._cancel_grace_s:g} s and was terminated; "
            "its final files are missing",
        )
        self._executor.terminate(operation_id)

    async def settle_lost(self, operation: Operation) -> None:
        """End an operation whose worker is gone and whose exit was not observed."""
        await self._settle(WorkerExit(operation.operation_id, None, watched=False))

    def fail_stalled(self, operation: Operation) -> None:
        """Kill the worker of an operation whose progress shows that it is stalled."""
        progress = operation.progress
        self._forced_failures[operation.operation_id] = Outcome.failed(
            "stalled",
            f'the worker reported nothing for {progress["silent_s"]:g} s, last "{progress["message"]}"',
            "resume it, or allow longer silence with KTRDR_STALL_TIMEOUT",
        )
        self._executor.terminate(operation.operation_id)

    async def close(self) -> None:
        for timer in self._cancelling.values():
            timer.cancel()
        for record in self._records:
            record.cancel()
        await self.plans.close()
        await self._executor.close()

    # -- from the executor ---------------------------------------------------------------------------------------

    async def _on_started(self, operation_id: str, worker: WorkerIdentity) -> None:
        started = await self._operations.start_operation(operation_id, worker)
        self._table.announce(started)
        await self._number_queue(self._table.lane(started))

    async def _on_exited(self, worker_exit: WorkerExit) -> None:
        try:
            await self._settle(worker_exit)
        except KtrdrError as error:
            logger.error("Operation %s ended but cannot be recorded: %s", worker_exit.operation_id, error)

    async def _settle(self, worker_exit: WorkerExit) -> None:
        operation_id = worker_exit.operation_id
        timer = self._cancelling.pop(operation_id, None)
        if timer:
            timer.cancel()
        outcome = self._read_outcome(operation_id)
        if outcome is None and timer is None and self._job_never_started(worker_exit):
            await self._queue_again(operation_id)
            return
        if outcome is None:
            outcome = await self._explain_loss(worker_exit)
            if timer:
                outcome = Outcome("cancelled", {"note": outcome.error["detail"]})
            self._write_outcome_for(operation_id, outcome)
        self._forced_failures.pop(operation_id, None)
        self._remove_leftovers(operation_id)
        await self._record(operation_id, outcome)

    def _read_outcome(self, operation_id: str) -> Outcome | None:
        folder = self.folder(operation_id)
        try:
            return read_outcome(folder)
        except (OSError, ValueError) as error:
            return _damaged(folder, error)

    async def _explain_loss(self, worker_exit: WorkerExit) -> Outcome:
        """The outcome of an operation whose worker wrote none."""
        operation_id = worker_exit.operation_id
        if forced := self._forced_failures.get(operation_id):
            return forced
        reached = await self._operations.get_operation(operation_id, force_refresh=True)
        return _lost(worker_exit, read_crash_reason(self.folder(operation_id)), reached.progress["message"])

    async def _queue_again(self, operation_id: str) -> None:
        """Queue an operation whose worker never received its job."""
        if operation_id in self.plans:
            await self._submit(await self._operations.start_operation(operation_id, worker=None))
        else:
            await self._submit(await self._operations.queue_again(operation_id))

    async def _record(self, operation_id: str, outcome: Outcome) -> None:
        if outcome.status == "completed":
            await self._operations.complete_operation(operation_id, outcome.results, outcome.metadata)
            for name in outcome.leftovers:
                await self._remove_below_home(self._home.root / name)
        elif outcome.status == "cancelled":
            await self._operations.cancel_operation(operation_id, outcome.results, outcome.metadata)
        else:
            await self._operations.fail_operation(operation_id, outcome.error, outcome.results)

    async def _remove_below_home(self, folder: Path) -> None:
        """Delete a folder of this home only: outcomes of 0.1.0 hold absolute paths, and a copied home keeps them."""
        if folder.is_relative_to(self._home.root):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _job_never_started(self, worker_exit: WorkerExit) -> bool:
        """Whether a server ended after it recorded the start and before it sent the worker its job."""
        folder = self.folder(worker_exit.operation_id)
        return worker_exit.code is None and (folder / "job.json").exists() and not job_started(folder)

    def _remove_leftovers(self, operation_id: str) -> None:
        """Delete the files that an ended operation no longer needs."""
        folder = self.folder(operation_id)
        shutil.rmtree(folder / INPUT, ignore_errors=True)
        free_reserved_space(folder)

    # -- submitting and taking up --------------------------------------------------------------------------------

    def _prepare(self, operation: Operation, prepare: Callable[[Path], None]) -> None:
        folder = self.folder(operation.operation_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reserve_disk_space(folder)
            self._table.create_bridge(operation, folder / "bridge")
            prepare(folder)
            # Written last: where this file exists, the folder is complete.
            write_job(folder, operation.payload)
        except OSError as error:
            raise StorageError(
                f"the operation's folder {folder} cannot be written: {error.strerror}",
                hint="make room or fix the permissions of KTRDR_HOME (see: ktrdr config show)",
            ) from error

    def _open_bridge(self, operation_id: str) -> ProgressBridge:
        try:
            return ProgressBridge(self.folder(operation_id) / "bridge")
        except BridgeFileError as damage:
            raise BridgeError(str(damage), hint="see what is wrong with: ktrdr doctor") from damage

    async def _fail(self, operation_id: str, problem: StorageError) -> None:
        """Record the failure now or, while the registry cannot be written, as soon as it can."""
        try:
            await self._operations.fail_operation(operation_id, Outcome.from_error(problem).error)
        except StorageError:
            self._fail_soon(operation_id, problem)

    def _fail_soon(self, operation_id: str, problem: StorageError) -> None:
        self._records.add(task := asyncio.get_running_loop().create_task(self._fail_later(operation_id, problem)))
        task.add_done_callback(self._records.discard)

    async def _fail_later(self, operation_id: str, problem: StorageError) -> None:
        while True:
            await asyncio.sleep(_RECORD_RETRY_S)
            with suppress(StorageError):
                with suppress(OperationTerminal):
                    await self._operations.fail_operation(operation_id, Outcome.from_error(problem).error)
                return

    async def _submit(self, operation: Operation) -> None:
        if not await self._executor.submit(self._job(operation)):
            await self._number_queue(self._table.lane(operation))

    async def _number_queue(self, lane: str) -> None:
        for position, operation_id in enumerate(self._executor.queue(lane), start=1):
            await self._operations.show_waiting(operation_id, position)

    def _job(self, operation: Operation) -> Job:
        return Job(operation.operation_id, self._table.lane(operation), self.folder(operation.operation_id))

    async def _take_up(self, operation: Operation) -> None:
        operation_id = operation.operation_id
        is_plan = self._table.plan(operation) is not None
        await self._open_progress(operation)
        if operation.status is OperationStatus.RUNNING and operation.worker:
            if await self._executor.adopt(self._job(operation), operation.worker):
                logger.info("Found operation %s running (pid %d)", operation_id, operation.worker.pid)
                return
            await self._settle(WorkerExit(operation_id, None, watched=False))
        elif operation.status is OperationStatus.RUNNING and not is_plan:
            await self._settle(WorkerExit(operation_id, None, watched=False))
        elif operation.status is OperationStatus.PENDING:
            await self._take_up_waiting(operation, is_plan)

    async def _take_up_waiting(self, operation: Operation, is_plan: bool) -> None:
        operation_id = operation.operation_id
        if not (self.folder(operation_id) / "job.json").exists():
            if self._table.part_index(operation) is not None:
                await self.launch(operation)  # a part needs nothing but its payload
                return
            outcome = Outcome.failed(
                "worker_died", "the server stopped while this operation was being created", "start it again"
            )
            self._write_outcome_for(operation_id, outcome)
            await self._record(operation_id, outcome)
        elif is_plan:
            await self._operations.start_operation(operation_id, worker=None)
        else:
            await self._submit(operation)

    async def _open_progress(self, operation: Operation) -> None:
        operation_id = operation.operation_id
        if self._table.plan(operation):
            await self.plans.take_up(operation)
            return
        try:
            self._operations.register_local_bridge(operation_id, self._open_bridge(operation_id))
        except BridgeError as error:
            logger.warning("Operation %s has no readable progress: %s", operation_id, error.detail)


def _lost(worker_exit: WorkerExit, crash: str, reached: str) -> Outcome:
    code, hint = (
        worker_exit.code,
        "its reported progress is kept; see ktrdr.log, and crash.log in the operation's folder",
    )
    if code is None and crash:
        how = f"crashed ({crash})"
    elif code is None and not worker_exit.watched:
        how = "ended while no server was watching"
    elif code is None:
        how = "ended (its exit code is known only to the server that started it)"
    elif code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        hint = "unless somebody killed it, the kernel did for lack of memory (see dmesg); its reported progress is kept"
    detail = f'the worker process {how} without leaving a result; it had reached "{reached}"'
    return Outcome.failed("worker_died", detail, hint)


def _damaged(folder: Path, error: OSError | ValueError) -> Outcome:
    return Outcome.failed(
        StorageError.code,
        f"the worker ended, but its outcome in {folder} cannot be read: {error}",
        "see what else is damaged with: ktrdr doctor; a training can be resumed",
    )
