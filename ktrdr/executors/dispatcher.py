"""Takes an operation from its creation to its end: queue, worker, outcome, and recovery after a restart."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ktrdr.errors import BridgeError, KtrdrError, OperationTerminal, StorageError
from ktrdr.executors.evidence import BRIDGE, has_job, has_run
from ktrdr.executors.executor import Executor, Job, WorkerExit
from ktrdr.executors.failures import Failures
from ktrdr.executors.identity import works_in
from ktrdr.executors.outcome import Outcome, outcome_of, reserve_disk_space, write_job
from ktrdr.executors.plans import PlanRunner
from ktrdr.executors.settlement import Settlement
from ktrdr.executors.work import WorkTable
from ktrdr.home import Home
from ktrdr.operations.lazy_bridge import LazyProgressBridge
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus

logger = logging.getLogger(__name__)


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
        self._settlement = Settlement(operations, home, self)
        self._postponed: dict[str, Operation] = {}
        self._held: list[Operation] | None = None
        self._failures = Failures(operations)
        operations.place_by(executor.place)

    async def start(self) -> None:
        """Start the executor, then recover the operations that an earlier server left unfinished."""
        await self._executor.start(self._on_started, self._on_exited)
        unfinished = await self._operations.unfinished()
        async with self._submitting_later():
            for operation in unfinished:
                await self._take_up_or_postpone(operation)
        for operation in unfinished:
            if operation.operation_id in self.plans:
                await self._continue_plan(operation)

    async def look_again(self) -> None:
        """Look once more at what could not be read or written before, in this server's time or at its start."""
        await self._settlement.settle_again()
        async with self._submitting_later():
            for operation_id in list(self._postponed):
                await self._take_up_again(await self._operations.get_operation(operation_id))
        await self._operations.withdraw_unconfirmed()

    async def _take_up_again(self, operation: Operation) -> None:
        operation_id = operation.operation_id
        if self._postponed.pop(operation_id, None) is None:  # it was cancelled meanwhile
            return
        if operation.status.is_terminal:
            self._executor.release(operation_id)
            return
        await self._take_up_or_postpone(operation)
        if operation_id in self.plans:
            await self._continue_plan(operation)

    @asynccontextmanager
    async def _submitting_later(self) -> AsyncIterator[None]:
        """Submit no job before the end of the block: until then it is not known how much room running ones leave."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for operation in held:
                try:
                    await self._submit(operation)
                except StorageError as problem:
                    self._postpone(operation, problem)

    async def _continue_plan(self, whole: Operation) -> None:
        """Continue a whole that an earlier server left unfinished or was cancelling."""
        try:
            if self.plans.is_cancelled(whole.operation_id):
                with suppress(OperationTerminal):
                    await self.cancel(whole.operation_id)
        except StorageError as problem:
            self._postpone(whole, problem)
        self.plans.advance_soon(whole.operation_id)

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
                self._register_bridge(operation_id)
                await self._submit(operation)
        except StorageError as problem:
            self._executor.withdraw(operation_id)
            self._discard(self.folder(operation_id))
            await self._failures.record(operation_id, problem)
            raise
        return await self._operations.get_operation(operation_id)

    def _discard(self, folder: Path) -> None:
        """Remove the folder of an operation that cannot start, unless that was cancelled meanwhile."""
        with suppress(OSError):  # what cannot be examined stays
            if not outcome_of(folder).exists():
                shutil.rmtree(folder, ignore_errors=True)

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
                hint=f"see how it ended with: ktrdr operations show {operation_id}",
                operation_id=operation_id,
                operation_status=str(operation.status),
            )
        if self._table.plan(operation) and operation.worker is None:
            return await self._cancel_plan(operation_id)
        if self._executor.withdraw(operation_id) or self._drop_held(operation) or self._drop_postponed(operation):
            self._settlement.remove_leftovers(operation_id)
            await self._settlement.record(operation_id, Outcome("cancelled"))
        elif operation_id in self._settlement:
            await self._settlement.insist(operation_id)
        else:
            self.stop(operation_id)
        return await self._operations.get_operation(operation_id)

    def _drop_held(self, operation: Operation) -> bool:
        """Forget an operation that is about to be submitted; False when it is none."""
        held = [each for each in self._held or () if each.operation_id != operation.operation_id]
        if self._held is None or len(held) == len(self._held):
            return False
        self._held = held
        return True

    def _drop_postponed(self, operation: Operation) -> bool:
        """Forget a waiting operation that was not taken up yet; False when it is none.

        Raises StorageError where its folder shows that it has run: its end must be recorded first.
        """
        operation_id = operation.operation_id
        if operation.status is not OperationStatus.PENDING or operation_id not in self._postponed:
            return False
        with suppress(OSError, BridgeError):
            if has_run(self.folder(operation_id), is_plan=self.is_plan(operation_id)):
                what = f"operation {operation_id} has run, and the registry cannot record that just now"
                raise StorageError(what, hint="try again in a few seconds")
        del self._postponed[operation_id]
        self._executor.release(operation_id)
        return True

    async def _cancel_plan(self, operation_id: str) -> Operation:
        self._executor.withdraw(operation_id)  # where its final job was waiting for a worker
        for part_id in await self.plans.cancel(operation_id):
            with suppress(OperationTerminal):
                await self.cancel(part_id)
        self.plans.advance_soon(operation_id)
        return await self._operations.get_operation(operation_id)

    def _kill_unresponsive(self, operation_id: str) -> None:
        reason = f"the worker did not stop within {self._cancel_grace_s:g} s and was terminated"
        outcome = Outcome.failed("cancel_ignored", f"{reason}; its final files are missing")
        self._settlement.note_failure(operation_id, outcome)
        self._executor.terminate(operation_id)

    async def settle_lost(self, operation: Operation) -> None:
        """End an operation whose worker is gone and whose exit was not observed."""
        # Else `look_again` does it; one that is not taken up yet has no bridge, and its metrics would be lost.
        if operation.operation_id not in self._settlement and operation.operation_id not in self._postponed:
            await self._settle(WorkerExit(operation.operation_id, None, watched=False))

    def fail_stalled(self, operation: Operation) -> None:
        """Kill the worker of an operation whose progress shows that it is stalled."""
        progress = operation.progress
        outcome = Outcome.failed(
            "stalled",
            f'the worker reported nothing for {progress["silent_s"]:g} s, last "{progress["message"]}"',
            "resume it, or allow longer silence with KTRDR_STALL_TIMEOUT",
        )
        self._settlement.note_failure(operation.operation_id, outcome)
        self._executor.terminate(operation.operation_id)

    async def close(self) -> None:
        for timer in self._cancelling.values():
            timer.cancel()
        self._failures.close()
        await self.plans.close()
        await self._executor.close()

    # -- from the executor ---------------------------------------------------------------------------------------

    async def _on_started(self, operation_id: str, worker: WorkerIdentity) -> None:
        self._table.announce(await self._operations.start_operation(operation_id, worker))

    async def _on_exited(self, worker_exit: WorkerExit) -> None:
        operation_id = worker_exit.operation_id
        try:
            await self._settle(worker_exit)
        except OperationTerminal:
            pass  # the health check was first
        except KtrdrError as error:
            logger.warning("Operation %s ended but cannot be recorded yet: %s", operation_id, error)

    async def _settle(self, worker_exit: WorkerExit) -> None:
        if timer := self._cancelling.pop(worker_exit.operation_id, None):
            timer.cancel()
        await self._settlement.settle(worker_exit)

    # -- for the settlement --------------------------------------------------------------------------------------

    async def adopt(self, operation_id: str, worker: WorkerIdentity) -> bool:
        operation = await self._operations.get_operation(operation_id)
        if not await self._adopt(operation, worker):
            return False
        await self._operations.start_operation(operation_id, worker)
        logger.info("Found operation %s running (pid %d)", operation_id, worker.pid)
        return True

    def stop(self, operation_id: str) -> None:
        if operation_id not in self._cancelling:
            self._settlement.note_cancel(operation_id)
            loop = asyncio.get_running_loop()
            self._cancelling[operation_id] = loop.call_later(
                self._cancel_grace_s, self._kill_unresponsive, operation_id
            )
            self._executor.stop(operation_id)

    async def queue_again(self, operation_id: str) -> None:
        if self.is_plan(operation_id):
            await self._submit(await self._operations.start_operation(operation_id, worker=None))
        else:
            await self._submit(await self._operations.queue_again(operation_id))

    def is_plan(self, operation_id: str) -> bool:
        return operation_id in self.plans

    # -- submitting and taking up --------------------------------------------------------------------------------

    def _prepare(self, operation: Operation, prepare: Callable[[Path], None]) -> None:
        folder = self.folder(operation.operation_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reserve_disk_space(folder)
            self._table.create_bridge(operation, folder / BRIDGE)
            prepare(folder)
            # Written last: where this file exists, the folder is complete.
            write_job(folder, operation.payload)
        except OSError as error:
            raise StorageError(
                f"the operation's folder {folder} cannot be written: {error.strerror}",
                hint="make room or fix the permissions of KTRDR_HOME (see: ktrdr config show)",
            ) from error

    def _register_bridge(self, operation_id: str, level: int = logging.INFO) -> None:
        bridge = LazyProgressBridge(self.folder(operation_id) / BRIDGE)
        self._operations.register_local_bridge(operation_id, bridge, level)

    async def _submit(self, operation: Operation) -> None:
        if self._held is not None:
            self._held.append(operation)
            return
        await self._executor.submit(self._job(operation))

    def _job(self, operation: Operation) -> Job:
        folder = self.folder(operation.operation_id)
        lane, shares_worker = self._table.lane(operation), self._table.shares_worker(operation)
        return Job(operation.operation_id, lane, folder, operation.created_at, shares_worker)

    async def _take_up_or_postpone(self, operation: Operation) -> None:
        operation_id = operation.operation_id
        try:
            is_plan = self._table.plan(operation) is not None
        except StorageError as problem:  # its job is damaged, or of a newer version
            logger.error("Operation %s cannot be taken up: %s", operation_id, problem.detail)
            if operation.status is OperationStatus.PENDING:
                self._failures.record_soon(operation_id, problem)
            return
        try:
            with suppress(OperationTerminal):  # its end was recorded, and only the registry's answer was lost
                await self._take_up(operation, is_plan)
        except (StorageError, OSError) as problem:
            self._postpone(operation, problem)
        else:
            self._executor.release(operation_id)

    def _postpone(self, operation: Operation, problem: Exception) -> None:
        self._postponed[operation.operation_id] = operation
        with suppress(StorageError):  # its job is damaged
            has_worker = operation.worker is not None or self._table.plan(operation) is None
            if operation.status is OperationStatus.RUNNING and has_worker:
                self._executor.reserve(self._job(operation))  # no waiting one may start in its place
        logger.warning("Operation %s cannot be taken up yet: %s", operation.operation_id, problem)

    async def _take_up(self, operation: Operation, is_plan: bool) -> None:
        operation_id = operation.operation_id
        has_begun = has_run(self.folder(operation_id), is_plan=is_plan)
        if not is_plan:
            is_waiting = operation.status is OperationStatus.PENDING
            self._register_bridge(operation_id, logging.DEBUG if is_waiting else logging.INFO)  # many may wait
        elif operation_id not in self.plans:
            await self.plans.take_up(operation)
        if operation.status is OperationStatus.PENDING and not has_begun:
            await self._take_up_waiting(operation, is_plan)
            return
        if operation.status is OperationStatus.PENDING:
            logger.warning(
                "Operation %s has begun, and the registry has it as waiting; its folder decides", operation_id
            )
            self._executor.reserve(self._job(operation))  # where its start cannot be recorded now, its worker goes on
            operation = await self._operations.start_operation(operation_id, worker=None)
        if operation.worker and await self._adopt_recorded(operation, operation.worker):
            logger.info("Found operation %s running (pid %d)", operation_id, operation.worker.pid)
        elif operation.worker or has_begun or not is_plan:
            await self._settle_or_wait(WorkerExit(operation_id, None, watched=False))

    async def _adopt_recorded(self, operation: Operation, worker: WorkerIdentity) -> bool:
        """Adopt the worker that the record names, unless it works for the home that this one was copied from."""
        is_ours = works_in(worker, self.folder(operation.operation_id))
        return is_ours and await self._adopt(operation, worker)

    async def _adopt(self, operation: Operation, worker: WorkerIdentity) -> bool:
        is_adopted = await self._executor.adopt(self._job(operation), worker)
        if is_adopted and operation.operation_id in self._cancelling:  # while it was not taken up yet
            self._executor.stop(operation.operation_id)
        return is_adopted

    async def _settle_or_wait(self, worker_exit: WorkerExit) -> None:
        try:
            await self._settlement.settle(worker_exit)
        except StorageError as problem:  # `look_again` settles it
            logger.warning("Operation %s cannot be settled yet: %s", worker_exit.operation_id, problem.detail)

    async def _take_up_waiting(self, operation: Operation, is_plan: bool) -> None:
        operation_id = operation.operation_id
        if has_job(self.folder(operation_id)):
            if is_plan:
                await self._operations.start_operation(operation_id, worker=None)
            else:
                await self._submit(operation)
        elif self._table.part_index(operation) is not None:
            await self.launch(operation)  # a part needs nothing but its payload
        else:
            outcome = Outcome.failed(
                "worker_died", "the server stopped while this operation was being created", "start it again"
            )
            await self._settlement.record(operation_id, outcome)
