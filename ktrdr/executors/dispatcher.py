"""From a created operation to its end: the queue, the worker, the outcome, and what a restart finds."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ktrdr.errors import BridgeError, KtrdrError, OperationTerminal, StorageError
from ktrdr.executors.executor import Executor, Job, WorkerExit
from ktrdr.executors.outcome import crash_of, has_begun, read_outcome, release_room, reserve_room, write_outcome
from ktrdr.files import write_atomically
from ktrdr.operations.bridge import BridgeFileError, ProgressBridge
from ktrdr.operations.operation import Operation, OperationStatus, WorkerIdentity
from ktrdr.operations.service import OperationsService

logger = logging.getLogger(__name__)

INPUT = "input"
_RECORD_AGAIN_S = 5.0


class Dispatcher:
    """Binds OperationsService and Executor: neither knows the other.

    Each operation has a folder, `<root>/<operation_id>`, with `job.json`, `bridge` and, at the end, `outcome.json`.
    """

    def __init__(
        self, operations: OperationsService, executor: Executor, root: Path, *, cancel_grace_s: float = 30.0
    ) -> None:
        self._operations = operations
        self._executor = executor
        self._root = root
        self._cancel_grace_s = cancel_grace_s
        self._cancelling: dict[str, asyncio.TimerHandle] = {}
        self._announcements: dict[str, Callable[[], None]] = {}
        self._records: set[asyncio.Task[None]] = set()
        self._condemned: dict[str, dict[str, Any]] = {}

    async def start(self) -> None:
        """Start the executor, then take up what an earlier server left unfinished."""
        await self._executor.start(self._on_started, self._on_exited)
        unfinished = await self._operations.unfinished()
        # Those that run come first: what waits may only start where they leave room.
        for operation in sorted(unfinished, key=lambda operation: operation.status is OperationStatus.PENDING):
            try:
                await self._take_up(operation)
            except StorageError as problem:
                logger.error("Operation %s cannot be taken up yet: %s", operation.operation_id, problem.detail)
                # One that was running may have a result: the health check settles it when the registry allows.
                if operation.status is OperationStatus.PENDING:
                    self._fail_soon(operation.operation_id, problem)

    def folder(self, operation_id: str) -> Path:
        return self._root / operation_id

    async def launch(
        self,
        operation: Operation,
        prepare: Callable[[Path], None],
        announce: Callable[[], None],
    ) -> Operation:
        """Give the operation a folder, and a worker as soon as its lane has room.

        `prepare` puts into the folder what the job needs: the file `bridge`, and under `input` whatever is of no use
        once the operation has ended. `announce` is called when its worker starts, now or later.
        Raises StorageError, with the operation FAILED.
        """
        operation_id = operation.operation_id
        try:
            await asyncio.to_thread(self._prepare, operation, prepare)
            self._operations.register_local_bridge(operation_id, self._open_bridge(operation_id))
            self._announcements[operation_id] = announce
            await self._submit(operation)
        except StorageError as problem:
            self._announcements.pop(operation_id, None)
            self._executor.withdraw(operation_id)
            shutil.rmtree(self.folder(operation_id), ignore_errors=True)
            await self._fail(operation_id, problem)
            raise
        return await self._operations.get_operation(operation_id)

    async def cancel(self, operation_id: str) -> Operation:
        """Ask for the end of an operation, and of those that are part of it.

        A worker that does not end within the grace time is terminated.
        Raises OperationNotFound, and OperationTerminal when it has ended already.
        """
        operation = await self._operations.get_operation(operation_id)
        if operation.status.is_terminal:
            raise OperationTerminal(
                f"operation {operation_id} is {operation.status} already; there is nothing to cancel",
                operation_id=operation_id,
                operation_status=str(operation.status),
            )
        await self._cancel_parts(operation_id)
        if self._executor.withdraw(operation_id):
            self._announcements.pop(operation_id, None)
            self._remove_leftovers(operation_id)
            self._leave(operation_id, {"status": "cancelled"})
            cancelled = await self._operations.cancel_operation(operation_id)
            await self._number_queue(operation.payload["lane"])
            return cancelled
        if operation_id not in self._cancelling:
            loop = asyncio.get_running_loop()
            self._cancelling[operation_id] = loop.call_later(self._cancel_grace_s, self._end_deaf, operation_id)
            self._executor.stop(operation_id)
        return operation

    async def _cancel_parts(self, operation_id: str) -> None:
        for part in await self._operations.unfinished():
            if part.parent_id == operation_id:
                with suppress(OperationTerminal):
                    await self.cancel(part.operation_id)

    def _leave(self, operation_id: str, outcome: dict[str, Any]) -> None:
        """Write down what became of an operation whose worker did not, for whoever waits for it by its folder."""
        with suppress(OSError):
            write_outcome(self.folder(operation_id), outcome)

    def _end_deaf(self, operation_id: str) -> None:
        self._condemned[operation_id] = {
            "code": "cancel_ignored",
            "detail": f"the worker did not stop within {self._cancel_grace_s:g} s and was terminated; "
            "what it would have written at its end is missing",
            "hint": "",
        }
        self._executor.terminate(operation_id)

    async def settle_lost(self, operation: Operation) -> None:
        """End an operation whose worker is gone and whose exit nobody saw."""
        await self._settle(WorkerExit(operation.operation_id, None, watched=False))

    def fail_stalled(self, operation: Operation) -> None:
        """End the worker of an operation that reports nothing any more, as its progress says."""
        progress = operation.progress
        self._condemned[operation.operation_id] = {
            "code": "stalled",
            "detail": f'the worker reported nothing for {progress["silent_s"]:g} s, last "{progress["message"]}"',
            "hint": "resume it, or allow longer silence with KTRDR_STALL_TIMEOUT",
        }
        self._executor.terminate(operation.operation_id)

    async def close(self) -> None:
        for timer in self._cancelling.values():
            timer.cancel()
        for record in self._records:
            record.cancel()
        await self._executor.close()

    # -- from the executor ---------------------------------------------------------------------------------------

    async def _on_started(self, operation_id: str, worker: WorkerIdentity) -> None:
        started = await self._operations.start_operation(operation_id, worker)
        if announce := self._announcements.pop(operation_id, None):
            announce()
        await self._number_queue(started.payload["lane"])

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
        try:
            outcome = read_outcome(self.folder(operation_id))
        except (OSError, ValueError) as error:
            outcome = {"status": "failed", "error": _damaged(self.folder(operation_id), error)}
        if outcome is None and timer is None and self._never_began(worker_exit):
            await self._submit(await self._operations.queue_again(operation_id))
            return
        if outcome is None:
            reached = await self._operations.get_operation(operation_id, force_refresh=True)
            reason = self._condemned.get(operation_id) or _lost(
                worker_exit, crash_of(self.folder(operation_id)), reached.progress["message"]
            )
            outcome = {"status": "failed", "error": reason}
            if timer:
                outcome = {"status": "cancelled", "results": {"note": reason["detail"]}}
            self._leave(operation_id, outcome)
        self._condemned.pop(operation_id, None)
        self._remove_leftovers(operation_id)
        results, metadata = outcome.get("results", {}), outcome.get("metadata", {})
        if outcome["status"] == "completed":
            await self._operations.complete_operation(operation_id, results, metadata)
            for path in outcome.get("leftovers", ()):
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        elif outcome["status"] == "cancelled":
            await self._operations.cancel_operation(operation_id, results, metadata)
        else:
            await self._operations.fail_operation(operation_id, outcome["error"], results)

    def _never_began(self, worker_exit: WorkerExit) -> bool:
        """Whether a server ended between recording a start and giving the worker its job."""
        folder = self.folder(worker_exit.operation_id)
        return worker_exit.code is None and (folder / "job.json").exists() and not has_begun(folder)

    def _remove_leftovers(self, operation_id: str) -> None:
        """What is of no use once an operation has ended."""
        folder = self.folder(operation_id)
        shutil.rmtree(folder / INPUT, ignore_errors=True)
        release_room(folder)

    # -- submitting and taking up --------------------------------------------------------------------------------

    def _prepare(self, operation: Operation, prepare: Callable[[Path], None]) -> None:
        folder = self.folder(operation.operation_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reserve_room(folder)
            prepare(folder)
            # The last file: where it is, all that the job needs is there.
            write_atomically(folder / "job.json", json.dumps(dict(operation.payload)).encode())
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
            await self._operations.fail_operation(operation_id, _error(problem))
        except StorageError:
            self._fail_soon(operation_id, problem)

    def _fail_soon(self, operation_id: str, problem: StorageError) -> None:
        self._records.add(task := asyncio.get_running_loop().create_task(self._fail_later(operation_id, problem)))
        task.add_done_callback(self._records.discard)

    async def _fail_later(self, operation_id: str, problem: StorageError) -> None:
        while True:
            await asyncio.sleep(_RECORD_AGAIN_S)
            with suppress(StorageError):
                with suppress(OperationTerminal):
                    await self._operations.fail_operation(operation_id, _error(problem))
                return

    async def _submit(self, operation: Operation) -> None:
        if not await self._executor.submit(self._job(operation)):
            await self._number_queue(operation.payload["lane"])

    async def _number_queue(self, lane: str) -> None:
        for position, operation_id in enumerate(self._executor.queue(lane), start=1):
            await self._operations.show_waiting(operation_id, position)

    def _job(self, operation: Operation) -> Job:
        return Job(operation.operation_id, operation.payload["lane"], self.folder(operation.operation_id))

    async def _take_up(self, operation: Operation) -> None:
        operation_id = operation.operation_id
        folder = self.folder(operation_id)
        try:
            self._operations.register_local_bridge(operation_id, self._open_bridge(operation_id))
        except BridgeError as error:
            logger.warning("Operation %s has no readable progress: %s", operation_id, error.detail)
        if operation.status is OperationStatus.RUNNING:
            if operation.worker and await self._executor.adopt(self._job(operation), operation.worker):
                logger.info("Found operation %s running (pid %d)", operation_id, operation.worker.pid)
                return
            await self._settle(WorkerExit(operation_id, None, watched=False))
        elif (folder / "job.json").exists():
            await self._submit(operation)
        else:
            detail = "the server stopped while this operation was being created"
            reason = {"code": "worker_died", "detail": detail, "hint": "start it again"}
            self._leave(operation_id, {"status": "failed", "error": reason})
            await self._operations.fail_operation(operation_id, reason)


def _lost(worker_exit: WorkerExit, crash: str, reached: str) -> dict[str, Any]:
    code, hint = (
        worker_exit.code,
        "what it had reported is kept; see ktrdr.log, and crash.log in the operation's folder",
    )
    if code is None and crash:
        how = f"crashed ({crash})"
    elif code is None and not worker_exit.watched:
        how = "ended while no server was watching"
    elif code is None:
        how = "ended (how, only the server that started it could have seen)"
    elif code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        hint = "when nobody killed it, the kernel did for want of memory (see dmesg); what it had reported is kept"
    detail = f'the worker process {how} without leaving a result; it had reached "{reached}"'
    return {"code": "worker_died", "detail": detail, "hint": hint}


def _damaged(folder: Path, error: OSError | ValueError) -> dict[str, Any]:
    return {
        "code": StorageError.code,
        "detail": f"the worker ended, but the outcome that it left in {folder} cannot be read: {error}",
        "hint": "see what else is damaged with: ktrdr doctor; a training can be resumed",
    }


def _error(problem: StorageError) -> dict[str, Any]:
    return {"code": problem.code, "detail": problem.detail, "hint": problem.hint}
