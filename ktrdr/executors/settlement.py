"""Turns the end of a worker into the end of its operation."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ktrdr.errors import OperationTerminal, StorageError
from ktrdr.executors.evidence import has_job, has_run
from ktrdr.executors.executor import WorkerExit
from ktrdr.executors.identity import find_worker
from ktrdr.executors.outcome import (
    INPUT,
    Outcome,
    free_reserved_space,
    read_crash_reason,
    read_end,
    read_outcome,
    write_outcome,
)
from ktrdr.executors.worker import ALREADY_BEGUN, JOB_UNREADABLE, OUTCOME_UNWRITABLE
from ktrdr.home import Home
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.operations.service import OperationsService

logger = logging.getLogger(__name__)

_AGAIN = "it is looked at again every few seconds; a cancel ends it with what can be read"
_NO_JOB = "the server stopped while this operation was being created, or its folder was removed: there is no job in it"


class Queue(Protocol):
    """What a settlement needs of the dispatcher."""

    async def adopt(self, operation_id: str, worker: WorkerIdentity) -> bool:
        """Record that this process works on the operation, and watch it; False when it is gone."""

    def stop(self, operation_id: str) -> None:
        """Ask the operation's worker to end, and kill it after the grace time."""

    async def queue_again(self, operation_id: str) -> None:
        """Queue an operation whose worker never received its job."""

    def is_plan(self, operation_id: str) -> bool:
        """Whether the operation is made of operations."""


class Settlement:
    """Ends operations by what their workers left.

    An error of the system while reading is no verdict: the operation then stays as it is, its view says so, and
    `settle_again` looks once more. What is known of an end, such as its exit code, is remembered until then.
    """

    def __init__(self, operations: OperationsService, home: Home, queue: Queue) -> None:
        self._operations = operations
        self._home = home
        self._queue = queue
        self._exits: dict[str, WorkerExit] = {}
        self._cancelled: set[str] = set()
        self._forced: dict[str, Outcome] = {}
        self._insisted: set[str] = set()
        self._unrecorded: dict[str, Outcome] = {}
        self._settling: set[str] = set()

    def note_cancel(self, operation_id: str) -> None:
        """An operation that ends without an outcome from now on is CANCELLED."""
        self._cancelled.add(operation_id)

    def note_failure(self, operation_id: str, outcome: Outcome) -> None:
        """Use `outcome` when the operation, whose worker is killed now, ends without one."""
        self._forced[operation_id] = outcome

    def __contains__(self, operation_id: str) -> bool:
        """Whether the operation has ended and its end could not be settled or recorded yet."""
        return operation_id in self._exits or operation_id in self._unrecorded

    async def settle(self, worker_exit: WorkerExit) -> None:
        """End the operation of a worker that has ended.

        Raises StorageError when something cannot be read or written; `settle_again` tries once more.
        """
        operation_id = worker_exit.operation_id
        # The first report knows most: a later one comes from a check that saw no exit code.
        remembered = self._exits.setdefault(operation_id, worker_exit)
        if operation_id in self._settling:
            return
        self._settling.add(operation_id)
        try:
            if await self._is_still_at_work(remembered):
                self._exits.pop(operation_id, None)  # what is known of its cancel stays
                return
            await self._settle(remembered)
        except OSError as error:
            reason = f"what its worker left cannot be read just now: {error}"
            self._operations.show_unreadable(operation_id, reason)
            raise StorageError(reason, hint=_AGAIN) from error
        except OperationTerminal:
            self._forget(operation_id)
            raise
        finally:
            self._settling.discard(operation_id)
        self._forget(operation_id)

    async def settle_again(self) -> None:
        """Look once more at every end that could not be settled or recorded."""
        for operation_id, outcome in list(self._unrecorded.items()):
            with suppress(StorageError):
                await self.record(operation_id, outcome)
        for worker_exit in list(self._exits.values()):
            # An error was logged when it happened first, and the operation may have ended meanwhile.
            with suppress(StorageError, OperationTerminal):
                await self.settle(worker_exit)

    async def insist(self, operation_id: str) -> None:
        """Settle an end with what can be read, because somebody asked for its cancel. Raises StorageError."""
        if operation_id in self._unrecorded:
            await self.record(operation_id, self._unrecorded[operation_id])
            return
        self._insisted.add(operation_id)
        self._cancelled.add(operation_id)
        self._operations.accept_losses(operation_id)
        await self.settle(self._exits[operation_id])

    async def record(self, operation_id: str, outcome: Outcome) -> None:
        """Write an outcome for an operation whose worker wrote none, and end the operation with it.

        Raises StorageError when that cannot be recorded; `settle_again` tries once more.
        """
        self._write_outcome(operation_id, outcome)
        self._unrecorded[operation_id] = outcome
        with suppress(OperationTerminal):
            await self._record(operation_id, outcome)
        self._unrecorded.pop(operation_id, None)

    def remove_leftovers(self, operation_id: str) -> None:
        """Delete the files that an ended operation no longer needs, as far as the disk lets them go."""
        folder = self._folder(operation_id)
        shutil.rmtree(folder / INPUT, ignore_errors=True)
        with suppress(OSError):
            free_reserved_space(folder)

    async def _settle(self, worker_exit: WorkerExit) -> None:
        operation_id = worker_exit.operation_id
        outcome = self._read_outcome(operation_id)
        if outcome is None and operation_id not in self._cancelled and self._never_began(worker_exit):
            await self._queue.queue_again(operation_id)
            return
        if outcome is None:
            outcome = await self._explain_loss(worker_exit)
            self._write_outcome(operation_id, outcome)
        self.remove_leftovers(operation_id)
        await self._record(operation_id, outcome)

    def _read_outcome(self, operation_id: str) -> Outcome | None:
        folder = self._folder(operation_id)
        try:
            return read_outcome(folder)
        except ValueError as error:
            return _damaged(folder, error)
        except OSError as error:
            if operation_id not in self._insisted:
                raise
            return Outcome("cancelled", {"note": f"what its worker left could not be read: {error}"})

    async def _is_still_at_work(self, worker_exit: WorkerExit) -> bool:
        """Whether another process than the recorded one works on it, as with a record of an earlier version.

        It is asked before the outcome is read: where that fails, a cancel must not end one whose worker goes on.
        """
        if worker_exit.watched and worker_exit.code != ALREADY_BEGUN:
            return False
        operation_id = worker_exit.operation_id
        worker = await asyncio.to_thread(find_worker, self._folder(operation_id))
        if worker is None or not await self._queue.adopt(operation_id, worker):
            return False
        if operation_id in self._insisted:
            self._queue.stop(operation_id)
        return True

    def _never_began(self, worker_exit: WorkerExit) -> bool:
        """Whether a server ended before it sent the worker its job, or the worker could not read the job."""
        folder = self._folder(worker_exit.operation_id)
        is_plan = self._queue.is_plan(worker_exit.operation_id)
        if worker_exit.code == JOB_UNREADABLE and has_job(folder):
            # By the next look, seconds later, the job may be readable.
            self._exits[worker_exit.operation_id] = replace(worker_exit, code=None)
            raise StorageError("its job cannot be read just now", hint=_AGAIN)
        return worker_exit.code is None and has_job(folder) and not has_run(folder, is_plan=is_plan)

    async def _explain_loss(self, worker_exit: WorkerExit) -> Outcome:
        """The outcome of an operation whose worker wrote none."""
        operation_id = worker_exit.operation_id
        outcome = self._forced.get(operation_id)
        if outcome is None and worker_exit.code is None and not has_job(self._folder(operation_id)):
            outcome = Outcome.failed("worker_died", _NO_JOB, "start it again")
        if outcome is None:
            crash = read_crash_reason(self._folder(operation_id))
            reached = await self._operations.get_operation(operation_id, force_refresh=True)
            outcome = _lost(worker_exit, crash, reached.progress["message"])
        if operation_id in self._cancelled:
            return Outcome("cancelled", {"note": outcome.error["detail"]})
        return outcome

    def _write_outcome(self, operation_id: str, outcome: Outcome) -> None:
        """For readers of the folder, and for a server that must record the end once more."""
        with suppress(OSError):
            write_outcome(self._folder(operation_id), outcome)

    async def _record(self, operation_id: str, outcome: Outcome) -> None:
        ended_at = read_end(self._folder(operation_id))
        if outcome.status == "completed":
            await self._operations.complete_operation(operation_id, outcome.results, outcome.metadata, ended_at)
            for name in outcome.leftovers:
                await self._remove_below_home(self._home.root / name)
        elif outcome.status == "cancelled":
            await self._operations.cancel_operation(operation_id, outcome.results, outcome.metadata, ended_at)
        else:
            await self._operations.fail_operation(operation_id, outcome.error, outcome.results, ended_at)

    async def _remove_below_home(self, folder: Path) -> None:
        """Delete a folder of this home only: outcomes of 0.1.0 hold absolute paths, and a copied home keeps them."""
        if folder.is_relative_to(self._home.root):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _folder(self, operation_id: str) -> Path:
        return self._home.operations / operation_id

    def _forget(self, operation_id: str) -> None:
        self._exits.pop(operation_id, None)
        self._forced.pop(operation_id, None)
        self._cancelled.discard(operation_id)
        self._insisted.discard(operation_id)


def _lost(worker_exit: WorkerExit, crash: str, reached: str) -> Outcome:
    code = worker_exit.code
    hint = "its reported progress is kept; see ktrdr.log, and crash.log in the operation's folder"
    if code == OUTCOME_UNWRITABLE:
        reason = crash or "the disk took neither the results nor the reason"
        return Outcome.failed(
            StorageError.code, f'{reason}; it had reached "{reached}"', "make room; it can be resumed"
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


def _damaged(folder: Path, error: ValueError) -> Outcome:
    return Outcome.failed(
        StorageError.code,
        f"the worker ended, but its outcome in {folder} cannot be read: {error}",
        "see what else is damaged with: ktrdr doctor; a training can be resumed",
    )
