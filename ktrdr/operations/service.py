"""OperationsService: the records of all operations, and the views that clients read."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ktrdr.errors import BridgeError, ConflictError, CursorError, OperationNotFound, OperationNotTerminal, StorageError
from ktrdr.operations.bridge import BridgeFileError, BridgeReadError, ProgressBridge
from ktrdr.operations.creation import Creation
from ktrdr.operations.lazy_bridge import LazyProgressBridge
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation, WorkerIdentity
from ktrdr.operations.silence import SilenceWatch
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import EndedOperation, OperationPage, OperationStore
from ktrdr.operations.views import Views

logger = logging.getLogger(__name__)

_METRICS_PER_READ = 1000
_WORKER_GOES_ON = "the worker continues; its results follow at its end"
LocalBridge = ProgressBridge | LazyProgressBridge

_RESULT_STATUS = {
    OperationStatus.COMPLETED: "success",
    OperationStatus.FAILED: "failed",
    OperationStatus.CANCELLED: "cancelled",
}


class OperationsService:
    """Owns records and transitions; reads progress from bridges when a client asks, at most once per TTL.

    It knows bridges and records, but no kind of work. All methods are called from one event loop. While an operation
    runs, its bridge is the truth; at its end, everything moves to the store in one transaction. Until then view and
    metrics come from the same refresh: `_metrics_cursors` holds the number of metrics that the refresh saw, and
    clients get no more before the next one.
    """

    def __init__(self, store: OperationStore, *, cache_ttl: float = 1.0, stall_timeout_s: float = 300.0) -> None:
        self._store = store
        self._cache_ttl = cache_ttl
        self._stall_timeout_s = stall_timeout_s
        self._local_bridges: dict[str, LocalBridge] = {}
        self._metrics_cursors: dict[str, int] = {}
        self._last_refresh: dict[str, float] = {}
        self._views = Views()
        self._creation = Creation(store, self._views, self.get_operation)
        self._silence = SilenceWatch()
        self._unreadable: dict[str, str] = {}
        self._losses_accepted: set[str] = set()
        self._queue_place: Callable[[str], int | None] = lambda operation_id: None
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._removed: set[str] = set()
        self._unsure: set[str] = set()
        self._ending = asyncio.Lock()
        self._relating = asyncio.Lock()
        """Held while an operation becomes the parent of another, or is removed."""
        self._listeners: list[Callable[[Operation], None]] = []
        self._removal_listeners: list[Callable[[str], None]] = []

    def place_by(self, queue_place: Callable[[str], int | None]) -> None:
        """Show pending operations with the place in the queue that `queue_place` gives for an operation's id."""
        self._queue_place = queue_place

    def on_end(self, listener: Callable[[Operation], None]) -> None:
        """Call `listener` with every operation that ends from now on or comes in ended, once the store has it."""
        self._listeners.append(listener)

    def on_removal(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the id of every operation that is removed from now on."""
        self._removal_listeners.append(listener)

    # -- the life of an operation --------------------------------------------------------------------------------

    async def create_operation(
        self,
        operation_type: str,
        *,
        metadata: Mapping[str, Any],
        payload: Mapping[str, Any],
        parent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Operation, bool]:
        """A new operation and True, or the one created earlier with the same key and False.

        Raises ConflictError when the key was used for another request, OperationNotFound when its parent was removed.
        """
        async with self._relating if parent_id else nullcontext():
            if parent_id:
                await self._load(parent_id)
            return await self._creation.create(operation_type, metadata, payload, parent_id, idempotency_key)

    async def withdraw_unconfirmed(self) -> None:
        """Remove records of operations whose creation failed, so that none waits for ever. Raises StorageError."""
        await self._creation.withdraw_unconfirmed()

    async def find_repeated(
        self, operation_type: str, payload: Mapping[str, Any], idempotency_key: str | None
    ) -> Operation | None:
        """The operation created earlier with this key, if any. Raises ConflictError when its request was different."""
        return await self._creation.find_repeated(operation_type, payload, idempotency_key)

    def register_local_bridge(self, operation_id: str, bridge: LocalBridge, level: int = logging.INFO) -> None:
        """Read the operation's progress from `bridge` from now on; logged at `level`."""
        if earlier := self._local_bridges.get(operation_id):
            earlier.close()
        self._local_bridges[operation_id] = bridge
        self._metrics_cursors[operation_id] = 0
        logger.log(level, "Registered local bridge for operation %s", operation_id)
        logger.debug("_local_bridges[%s] = <%s>", operation_id, ProgressBridge.__name__)
        logger.debug("_local_bridges contains %s", operation_id)
        logger.debug("_metrics_cursors[%s] = 0", operation_id)

    async def start_operation(self, operation_id: str, worker: WorkerIdentity | None) -> Operation:
        """Record the start, or the worker of an operation that already runs; a whole starts without a worker."""
        bridge = self._local_bridges.get(operation_id)
        operation = await self._load(operation_id)
        if operation.status is OperationStatus.RUNNING:
            started = replace(operation, worker=worker)
        else:
            started = operation.moved_to(OperationStatus.RUNNING, worker=worker)
            started = replace(started, progress={**INITIAL_PROGRESS, "message": "Starting"})
        if bridge and (status := _read_status(bridge)):
            started = self._with_progress(started, status)
        await self._store.update(started)
        self._views.put(started)
        return started

    async def queue_again(self, operation_id: str) -> Operation:
        """Return an operation to the queue because its worker never received its job; one that waits stays as it is."""
        running = await self._load(operation_id)
        if running.status is OperationStatus.PENDING:
            return running
        queued = running.moved_to(OperationStatus.PENDING, progress=INITIAL_PROGRESS, started_at=None, worker=None)
        await self._store.update(queued)
        self._views.put(queued)
        logger.info("Operation %s waits again: the server ended before its worker had begun", operation_id)
        return queued

    async def complete_operation(
        self,
        operation_id: str,
        results: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        ended_at: datetime | None = None,
    ) -> Operation:
        """Record the end of a job that ended at `ended_at`, by default now."""
        completed = await self._end(operation_id, OperationStatus.COMPLETED, results, metadata, ended_at=ended_at)
        logger.info("Completed operation %s with results", operation_id)
        return completed

    def show_unreadable(self, operation_id: str, reason: str) -> None:
        """Show in the view of a running operation that something of it cannot be read just now."""
        self._unreadable[operation_id] = reason
        self._last_refresh.pop(operation_id, None)

    def accept_losses(self, operation_id: str) -> None:
        """Record the end of an operation even when some of its metrics cannot be read just now."""
        self._losses_accepted.add(operation_id)

    async def fail_operation(
        self,
        operation_id: str,
        error: Mapping[str, Any],
        results: Mapping[str, Any] | None = None,
        ended_at: datetime | None = None,
    ) -> Operation:
        failed = await self._end(operation_id, OperationStatus.FAILED, results or {}, None, error, ended_at)
        logger.error("Operation %s ended FAILED: %s", operation_id, error.get("detail"))
        return failed

    async def cancel_operation(
        self,
        operation_id: str,
        results: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        ended_at: datetime | None = None,
    ) -> Operation:
        cancelled = await self._end(operation_id, OperationStatus.CANCELLED, results or {}, metadata, ended_at=ended_at)
        logger.info("Cancelled operation %s", operation_id)
        return cancelled

    async def _end(
        self,
        operation_id: str,
        status: OperationStatus,
        results: Mapping[str, Any],
        metadata: Mapping[str, Any] | None,
        error: Mapping[str, Any] | None = None,
        ended_at: datetime | None = None,
    ) -> Operation:
        """Refresh once more, store record, results and metrics in one transaction, then close the bridge."""
        async with self._ending:
            return await self._end_alone(operation_id, status, results, metadata, error, ended_at)

    async def _end_alone(
        self,
        operation_id: str,
        status: OperationStatus,
        results: Mapping[str, Any],
        metadata: Mapping[str, Any] | None,
        error: Mapping[str, Any] | None,
        ended_at: datetime | None,
    ) -> Operation:
        operation = await self._load(operation_id)
        bridge = self._local_bridges.get(operation_id)
        self._unreadable.pop(operation_id, None)
        if bridge:
            operation = self._read_last_view(operation, bridge)
        progress = dict(operation.progress)
        if status is OperationStatus.COMPLETED:
            progress["percentage"] = 100.0
        if status is OperationStatus.CANCELLED:
            progress["message"] = _describe_cancellation(operation, bridge)
        completed_at = _end_of(operation, ended_at)
        ended = operation.moved_to(
            status,
            progress=progress,
            error=error,
            metadata={**operation.metadata, **(metadata or {})},
            completed_at=completed_at,
            updated_at=completed_at,
        )
        metrics = await self._all_metrics(operation_id)
        ending: dict[str, Any] = {"status": _RESULT_STATUS[status], **results}
        if status is not OperationStatus.COMPLETED:
            ending |= {"progress": progress, "metrics_recorded": len(metrics)}
        if error:
            ending["error"] = error
        try:
            await self._store.finish(ended, ending, metrics)
        except StorageError:  # it may be stored nonetheless, where only the answer was lost
            self._unsure.add(operation_id)
            raise
        self._show_end(ended)
        return ended

    def _show_end(self, ended: Operation) -> None:
        operation_id = ended.operation_id
        self._forget(operation_id)
        self._views.put(ended)
        for waiter in self._waiters.get(operation_id, ()):
            if not waiter.done():
                waiter.set_result(None)
        self._notify(ended)

    def _notify(self, ended: Operation) -> None:
        for listener in self._listeners:
            listener(ended)

    async def remove_operation(self, operation_id: str) -> None:
        """Forget an operation that has ended, with its results and metrics.

        Raises OperationNotFound, OperationNotTerminal while it has not ended, and ConflictError while an operation
        that continues it has not ended.
        """
        async with self._relating:
            await self._remove(operation_id)
        logger.info("Removed operation %s", operation_id)

    async def _remove(self, operation_id: str) -> None:
        operation = await self._load(operation_id)
        if not operation.status.is_terminal:
            raise OperationNotTerminal(
                f"operation {operation_id} is {operation.status}; only one that has ended can be removed",
                hint=f"end it first with: ktrdr operations cancel {operation_id}",
                operation_status=str(operation.status),
            )
        if operation_id in self.in_use():
            raise ConflictError(
                f"operation {operation_id} is continued by another, which has not ended",
                hint="wait until that has ended, or cancel it",
            )
        await self._store.remove(operation_id)
        self._removed.add(operation_id)
        self._views.remove(operation_id)
        for listener in self._removal_listeners:
            listener(operation_id)

    async def add_ended(self, ended: Sequence[EndedOperation]) -> None:
        """Take over operations that ended elsewhere, all or none. Raises ConflictError when an id of them is taken."""
        if not await self._store.add_ended(ended):
            raise ConflictError("an operation of the same id is here already", hint="see it with: ktrdr models list")
        for each in ended:
            self._removed.discard(each.operation.operation_id)
            self._notify(each.operation)
            logger.info("Took over operation %s (%s)", each.operation.operation_id, each.operation.status)

    def _forget(self, operation_id: str) -> None:
        bridge = self._local_bridges.pop(operation_id, None)
        self._metrics_cursors.pop(operation_id, None)
        self._last_refresh.pop(operation_id, None)
        self._silence.forget(operation_id)
        self._losses_accepted.discard(operation_id)
        if bridge:
            bridge.close()

    # -- reading -------------------------------------------------------------------------------------------------

    async def get_operation(self, operation_id: str, force_refresh: bool = False) -> Operation:
        """The operation's view, read from the bridge if the cached one is older than the TTL or a refresh is forced.

        Raises OperationNotFound.
        """
        return self._current_view(self._views.get(operation_id) or await self._load(operation_id), force_refresh)

    def peek(self, operation_id: str) -> Operation | None:
        """As `get_operation`, but None for an operation whose view is not in memory."""
        operation = self._views.get(operation_id)
        return self._current_view(operation) if operation else None

    def _current_view(self, operation: Operation, force_refresh: bool = False) -> Operation:
        operation_id = operation.operation_id
        bridge = self._local_bridges.get(operation_id)
        if operation.status is OperationStatus.PENDING:
            return self._with_place(operation)
        if operation.status is not OperationStatus.RUNNING or bridge is None:
            return operation
        age = time.monotonic() - self._last_refresh.get(operation_id, -math.inf)
        if age < self._cache_ttl and not force_refresh:
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("Cache hit for operation %s (age=%.1fs)", operation_id, _tenths(age))
            return operation
        if operation_id in self._last_refresh:
            logger.debug("Cache miss for operation %s (age=%.1fs) - refreshing", operation_id, _tenths(age))
        else:
            logger.debug("Cache miss for operation %s (first read) - refreshing", operation_id)
        return self._refresh_from_bridge(operation, bridge)

    def _with_place(self, operation: Operation) -> Operation:
        """A pending operation with its place in the queue as it is now."""
        place = self._queue_place(operation.operation_id)
        if place == operation.progress.get("queue_position"):
            return operation
        waiting: dict[str, Any] = {}
        if place:
            waiting = {"message": f"Waiting, place {place} in the queue", "queue_position": place}
        placed = replace(operation, progress={**INITIAL_PROGRESS, **waiting})
        self._views.put(placed)
        return placed

    def _refresh_from_bridge(self, operation: Operation, bridge: LocalBridge) -> Operation:
        """The operation as its bridge shows it; for an unreadable bridge, the last view with the reason."""
        try:
            return self._read_bridge(operation, bridge)
        except BridgeFileError as damage:
            return self._with_damage(operation, damage)

    def _read_bridge(self, operation: Operation, bridge: LocalBridge) -> Operation:
        """The operation as its bridge shows it. Raises BridgeFileError."""
        operation_id = operation.operation_id
        before = self._metrics_cursors.get(operation_id, 0)
        self._last_refresh[operation_id] = time.monotonic()
        # Count metrics first: a worker writes an epoch's record before its state, so none is ahead of the view.
        after = self._metrics_cursors[operation_id] = len(bridge._metrics_history)
        refreshed = self._with_progress(operation, bridge.get_status())
        self._views.put(refreshed)
        logger.debug("Refreshed operation %s from bridge (cursor %d → %d)", operation_id, before, after)
        logger.debug("_last_refresh[%s] = %.3f", operation_id, self._last_refresh[operation_id])
        return refreshed

    def _read_last_view(self, operation: Operation, bridge: LocalBridge) -> Operation:
        """The last view of an operation that ends. Raises BridgeError when the bridge cannot be read just now."""
        try:
            return self._read_bridge(operation, bridge)
        except BridgeFileError as damage:
            shown = self._with_damage(operation, damage)
            self._raise_if_temporary(operation.operation_id, damage)
            return shown

    def _raise_if_temporary(self, operation_id: str, damage: BridgeFileError) -> None:
        """Raise BridgeError for an error of the system, so that no end is recorded without what may be readable."""
        if isinstance(damage, BridgeReadError) and operation_id not in self._losses_accepted:
            raise BridgeError(
                str(damage), hint="it is read again every few seconds; a cancel ends it without"
            ) from damage

    def _with_damage(self, operation: Operation, damage: BridgeFileError) -> Operation:
        if "unreadable" not in operation.progress:
            logger.warning("The progress of operation %s cannot be read: %s", operation.operation_id, damage)
        unreadable = replace(operation, progress={**operation.progress, "unreadable": str(damage)})
        self._views.put(unreadable)
        return unreadable

    def _with_progress(self, operation: Operation, status: dict[str, Any]) -> Operation:
        silent_s = self._silence.observe(operation.operation_id, status)
        reported_at = status.pop("updated_at", None)
        if silent_s > self._stall_timeout_s:
            status |= {"stalled": True, "silent_s": round(silent_s, 1)}
        if reason := self._unreadable.get(operation.operation_id):
            status |= {"unreadable": reason}
        updated_at = datetime.fromisoformat(reported_at) if reported_at else operation.updated_at
        return replace(operation, progress=status, updated_at=max(operation.updated_at, updated_at))

    async def wait_for_end(self, operation_id: str, timeout_s: float) -> Operation:
        """Wait until the operation has ended, at most `timeout_s`, and return it."""
        operation = await self.get_operation(operation_id)
        if operation.status.is_terminal:
            return operation
        waiters = self._waiters.setdefault(operation_id, set())
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.add(ended)
        try:
            await asyncio.wait_for(ended, timeout_s)
        except TimeoutError:
            pass
        finally:
            waiters.discard(ended)
            if not waiters:
                self._waiters.pop(operation_id, None)
        return await self.get_operation(operation_id)

    async def get_metrics(
        self, operation_id: str, cursor: int = 0, limit: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """At most `limit` metrics from `cursor` on, and the cursor for the next call.

        Metrics and view are refreshed together.
        Raises OperationNotFound, CursorError when the cursor is not within 0 and the number of available metrics, and
        BridgeError when these metrics cannot be read.
        """
        operation = await self.get_operation(operation_id)
        available = await self._count_metrics(operation_id)
        if cursor >= available:
            self._check_readable(operation)
        if cursor > available:
            self._check_taken_up(operation)
        if not 0 <= cursor <= available:
            raise CursorError(
                f"cursor must be within 0 and {available}; it is {cursor}",
                hint="ask with cursor=0, or with the new_cursor of the last answer",
                valid_range=[0, available],
            )
        end = available if limit is None else min(available, cursor + limit)
        with _bridge_errors():
            return await self._read_metrics(operation_id, cursor, end), end

    async def _all_metrics(self, operation_id: str) -> list[dict[str, Any]]:
        """All metrics at the end of an operation; of a damaged bridge, those that can be read."""
        bridge = self._local_bridges.get(operation_id)
        if bridge is None:
            return []
        try:
            return await self._read_metrics(operation_id, 0, len(bridge._metrics_history))
        except BridgeFileError as damage:
            self._raise_if_temporary(operation_id, damage)
            left = bridge._salvaged_records()
            logger.error("Operation %s keeps %d metrics: %s", operation_id, len(left), damage)
            return left

    async def _count_metrics(self, operation_id: str) -> int:
        """The number of metrics; while there is a bridge, as of the last refresh."""
        if operation_id in self._local_bridges:
            return self._metrics_cursors[operation_id]
        return await self._store.count_metrics(operation_id)

    def _check_readable(self, operation: Operation) -> None:
        """Raise BridgeError for an unreadable bridge, so that clients do not mistake it for the end of the metrics."""
        operation_id = operation.operation_id
        if operation_id in self._unreadable or operation_id not in self._local_bridges:
            return
        if damage := operation.progress.get("unreadable"):
            raise BridgeError(damage, hint=_WORKER_GOES_ON)

    def _check_taken_up(self, operation: Operation) -> None:
        """Raise BridgeError while a restarted server could not take it up: cursors from before are valid.

        It has no bridge yet, or has begun while an older registry has it as waiting.
        """
        bridge = self._local_bridges.get(operation.operation_id)
        if operation.status.is_terminal or (bridge and operation.status is OperationStatus.RUNNING):
            return
        with _bridge_errors():
            if bridge is None or len(bridge._metrics_history):
                what = f"the progress of operation {operation.operation_id} cannot be read yet"
                raise BridgeError(what, hint=_WORKER_GOES_ON)

    async def _read_metrics(self, operation_id: str, start: int, end: int) -> list[dict[str, Any]]:
        """Read in pieces, so that a long history does not block the loop; use the store once the bridge is closed.

        Raises BridgeFileError.
        """
        metrics: list[dict[str, Any]] = []
        for position in range(start, end, _METRICS_PER_READ):
            upto = min(end, position + _METRICS_PER_READ)
            if bridge := self._local_bridges.get(operation_id):
                metrics += bridge._metrics_history[position:upto]
                await asyncio.sleep(0)
            else:
                metrics += await self._store.metrics(operation_id, position, upto - position)
        return metrics

    async def get_results(self, operation_id: str) -> dict[str, Any]:
        """The results of an operation. Raises OperationNotFound, and OperationNotTerminal until it has ended."""
        operation = await self.get_operation(operation_id)
        if not operation.status.is_terminal:
            raise OperationNotTerminal(
                f"operation {operation_id} is {operation.status}; results exist once it has ended",
                hint=f"wait for it with: ktrdr operations watch {operation_id}",
                operation_status=str(operation.status),
            )
        return await self._store.results(operation_id) or {"status": _RESULT_STATUS[operation.status]}

    async def list_operations(
        self,
        *,
        status: OperationStatus | None = None,
        operation_type: str | None = None,
        parent_id: str | None = None,
        without_types: Collection[str] = (),
        limit: int = 100,
        before: str | None = None,
    ) -> OperationPage:
        """Matching operations, newest first, running ones with current progress."""
        if before is not None:
            with suppress(StorageError):  # its place in the order can be read where its record cannot
                await self._load(before)
        stored = await self._store.list(
            status=status,
            operation_type=operation_type,
            parent_id=parent_id,
            without_types=without_types,
            limit=limit,
            before=before,
        )
        return replace(stored, operations=[await self._latest_view(operation) for operation in stored.operations])

    async def _latest_view(self, stored: Operation) -> Operation:
        is_live = self._views.get(stored.operation_id) is not None and not stored.status.is_terminal
        return await self.get_operation(stored.operation_id) if is_live else stored

    async def ids_ending_with(self, ending: str, limit: int) -> Sequence[str]:
        """At most `limit` ids that end so, newest first."""
        return await self._store.ids_ending_with(ending, limit)

    async def get_results_of(self, operations: Sequence[Operation]) -> dict[str, dict[str, Any]]:
        """The results of terminal operations by operation id."""
        return await self._store.results_by_id([operation.operation_id for operation in operations])

    async def children(self, operation_id: str) -> Sequence[Operation]:
        """The operations that name this one as their parent, oldest first.

        Raises StorageError when one of them cannot be read: left out, it would seem never to have been started.
        """
        children = await self._store.list(parent_id=operation_id, limit=1_000_000)
        for child in children.unreadable:
            raise child.as_error()
        return [await self._latest_view(child) for child in reversed(children.operations)]

    def running(self) -> Sequence[Operation]:
        """The running operations as last seen, without reading their bridges."""
        return [view for view in self._views.unfinished if view.status is OperationStatus.RUNNING]

    def active(self) -> Sequence[Operation]:
        """The operations that have not ended as last seen, without reading their bridges."""
        return list(self._views.unfinished)

    def in_use(self) -> set[str]:
        """The ids of unfinished operations, and of those that they continue or are part of."""
        views = self._views.unfinished
        return {view.operation_id for view in views} | {view.parent_id for view in views if view.parent_id}

    def stalled(self) -> Sequence[Operation]:
        """The running operations whose workers have been silent for too long, with their progress."""
        seen = (
            self._with_progress(operation, status)
            for operation in self.running()
            if (bridge := self._local_bridges.get(operation.operation_id)) and (status := _read_status(bridge))
        )
        return [operation for operation in seen if "stalled" in operation.progress]

    async def unfinished(self) -> Sequence[Operation]:
        """Operations that have not ended, oldest first; those that cannot be read are logged and left as they are."""
        unfinished: list[Operation] = []
        for status in (OperationStatus.RUNNING, OperationStatus.PENDING):
            page = await self._store.list(status=status, limit=1_000_000)
            unfinished.extend(page.operations)
            for record in page.unreadable:
                logger.warning("Operation %s is left as it is: %s", record.operation_id, record.as_error().detail)
        for operation in unfinished:
            self._views.put(operation)
        return sorted(unfinished, key=lambda operation: (operation.created_at, operation.operation_id))

    async def count_by_status(self) -> dict[str, int]:
        return await self._store.count_by_status()

    async def ping(self) -> None:
        await self._store.ping()

    async def close(self) -> None:
        for operation_id in list(self._local_bridges):
            self._forget(operation_id)
        await self._store.close()

    # -- views ---------------------------------------------------------------------------------------------------

    async def _load(self, operation_id: str) -> Operation:
        if operation_id in self._unsure:
            await self._look_for_end(operation_id)
        operation = self._views.get(operation_id) or await self._store.get(operation_id)
        # Another task may have made a newer view while the store answered.
        operation = self._views.get(operation_id) or operation
        if operation is None or operation_id in self._removed:
            raise OperationNotFound(
                f"there is no operation {operation_id!r}", hint="list them with: ktrdr operations list"
            )
        self._views.put(operation)
        return operation

    async def _look_for_end(self, operation_id: str) -> None:
        """Show the end of an operation that was stored although the store had answered with an error."""
        stored = await self._store.get(operation_id)
        if operation_id in self._unsure and stored and stored.status.is_terminal:
            self._show_end(stored)
        self._unsure.discard(operation_id)


def _read_status(bridge: LocalBridge) -> dict[str, Any]:
    """The bridge's status; empty for a damaged bridge, which does not mean that its worker is silent."""
    with suppress(BridgeFileError):
        return bridge.get_status()
    return {}


def _end_of(operation: Operation, ended_at: datetime | None) -> datetime:
    """When its job ended, and not when that was recorded; within the operation's time, in case the clock was set."""
    now = datetime.now(UTC)
    return now if ended_at is None else min(max(ended_at, operation.updated_at), now)


def _describe_cancellation(operation: Operation, bridge: LocalBridge | None) -> str:
    if operation.status is OperationStatus.PENDING:
        return "Cancelled while it waited"
    with suppress(BridgeFileError):
        if bridge:
            return bridge.describe_cancellation()
    return "Cancelled"


@contextmanager
def _bridge_errors() -> Iterator[None]:
    try:
        yield
    except BridgeFileError as damage:
        raise BridgeError(str(damage), hint=_WORKER_GOES_ON) from damage


def _tenths(age_s: float) -> float:
    """Round down to tenths, so that an age below the TTL is never shown as the TTL."""
    return math.floor(age_s * 10) / 10
