"""Runs plans: whenever a part of a whole ends, the plan decides which parts must exist next.

No process waits and nothing polls. All state of a whole is in its record, its parts' records and its folder, so a
restarted server makes the same decisions.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path

from ktrdr.errors import BridgeError, KtrdrError, OperationNotFound, StorageError
from ktrdr.executors.evidence import has_job
from ktrdr.executors.outcome import PARTS, write_job
from ktrdr.executors.work import WorkTable
from ktrdr.files import write_atomically
from ktrdr.operations.bridge import BridgeFileError, BridgeReadError
from ktrdr.operations.operation import Operation
from ktrdr.operations.plan import Part, PartRequest, Plan, Start
from ktrdr.operations.plan_bridge import PlanBridge
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus

logger = logging.getLogger(__name__)

_RETRY_S = 5.0
_CANCELLED = "cancelled"


@dataclass(slots=True, eq=False)
class _Whole:
    """The server's state of a whole that has not ended.

    plan: its plan
    parts: the operations that are its parts, as last seen, by index
    attempts: the number of operations that were each part, by index
    bridge: its own bridge; None where the file is damaged
    ended: the parts that have ended, with their results, by index
    lock: held while the plan is asked and its decision carried out
    is_finishing: whether its final job has been submitted; it may wait for a worker
    """

    plan: Plan
    parts: dict[int, Operation]
    attempts: Counter[int]
    bridge: PlanBridge | None = None
    ended: dict[int, Part] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_finishing: bool = False


class PlanRunner:
    """Starts parts, serves the progress of wholes, and submits the final job of a whole.

    `launch` creates a part's folder and starts its worker; `submit` queues the final job of a whole.
    """

    def __init__(
        self,
        operations: OperationsService,
        table: WorkTable,
        root: Path,
        *,
        launch: Callable[[Operation], Awaitable[Operation]],
        submit: Callable[[Operation], Awaitable[None]],
    ) -> None:
        self._operations = operations
        self._table = table
        self._root = root
        self._launch = launch
        self._submit = submit
        self._wholes: dict[str, _Whole] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        operations.on_end(self._on_end)

    async def take_up(self, operation: Operation) -> None:
        """Track a whole, a new one or one from before a restart; `advance_soon` continues it.

        Raises BridgeError when its bridge cannot be read just now.
        """
        if (plan := self._table.plan(operation)) is None:
            return
        whole_id = operation.operation_id
        members = await self._members(operation, plan)
        whole = _Whole(plan, _newest(members), Counter(index for index, _ in members))
        path = self._root / whole_id / "bridge"
        try:
            whole.bridge = PlanBridge(path, lambda: self._part_views(whole), counts_failed=plan.goes_on_without)
        except BridgeReadError as error:
            raise BridgeError(str(error), hint="it is read again in a few seconds") from error
        except BridgeFileError as damage:
            logger.warning("Operation %s has no readable progress: %s", whole_id, damage)
        else:
            self._operations.register_local_bridge(whole_id, whole.bridge)
        self._wholes[whole_id] = whole

    async def parts_of(self, operation: Operation) -> dict[int, Operation]:
        """The operations that are its parts, by index, including those taken over from an earlier attempt."""
        plan = self._table.plan(operation)
        return _newest(await self._members(operation, plan)) if plan else {}

    async def _members(self, operation: Operation, plan: Plan) -> list[tuple[int, Operation]]:
        """All operations that are or were its parts, with their indices; of the same index the newest is the last."""
        members: list[tuple[int, Operation]] = []
        for index, part_id in plan.taken_over.items():
            with suppress(OperationNotFound):
                members.append((index, await self._operations.get_operation(part_id)))
        children = await self._operations.children(operation.operation_id)
        places = [(self._table.part_index(child), child) for child in children]
        return members + [(place, child) for place, child in places if place is not None]

    async def cancel(self, whole_id: str) -> list[str]:
        """Start no more parts of a whole, and return the ids of its parts that have not ended. Raises StorageError."""
        whole = self._wholes.get(whole_id)
        if whole is None:  # it is being launched, and sees the mark when it begins
            self._mark_cancelled(whole_id)
            return []
        async with whole.lock:
            self._mark_cancelled(whole_id)
        return [part.operation_id for part in whole.parts.values() if not part.status.is_terminal]

    def _mark_cancelled(self, whole_id: str) -> None:
        mark = self._root / whole_id / _CANCELLED
        with _disk_errors():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()

    def __contains__(self, operation_id: str) -> bool:
        """Whether the operation is a whole that has not ended."""
        return operation_id in self._wholes

    def is_cancelled(self, whole_id: str) -> bool:
        """Whether a cancel of the whole was requested. Raises StorageError."""
        with _disk_errors():
            return (self._root / whole_id / _CANCELLED).exists()

    def advance_soon(self, whole_id: str) -> None:
        if self._is_closed:
            return
        # The task outlives the request that caused it, and must not log under its id.
        task = asyncio.get_running_loop().create_task(self._advance_or_retry(whole_id), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def advance(self, whole_id: str) -> None:
        """Carry out the plan's next decision. Raises KtrdrError when the registry or the disk cannot be written."""
        if (whole := self._wholes.get(whole_id)) is None:
            return
        async with whole.lock:
            operation, plan = await self._operations.get_operation(whole_id), whole.plan
            # One that waits has a start, or its failure, that cannot be recorded yet: parts would outlive it.
            if operation.status is not OperationStatus.RUNNING or operation.worker:
                return
            # The record of a part whose creation failed may be there until then, and would outlive the whole.
            await self._operations.withdraw_unconfirmed()
            ended = await self._load_ended_parts(whole)
            _record(whole, ended)
            if self.is_cancelled(whole_id):
                if len(ended) == len(whole.parts):
                    await self._operations.cancel_operation(whole_id, plan.partial_results(ended))
                return
            if whole.is_finishing:
                return
            decision = await asyncio.to_thread(plan.next, ended)
            if isinstance(decision, Start):
                await self._start(whole_id, whole, decision.parts)
            elif len(ended) < len(whole.parts):
                return  # the others' ends bring it here again
            elif decision.error is None:
                await self._finish(operation, whole, ended)
            else:
                await self._operations.fail_operation(whole_id, decision.error, plan.partial_results(ended))

    async def close(self) -> None:
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- events --------------------------------------------------------------------------------------------------

    def _on_end(self, operation: Operation) -> None:
        self._wholes.pop(operation.operation_id, None)
        whole = self._wholes.get(operation.parent_id or "")
        if whole and operation.parent_id and (index := self._table.part_index(operation)) is not None:
            whole.parts[index] = operation
            self.advance_soon(operation.parent_id)

    async def _advance_or_retry(self, whole_id: str) -> None:
        while True:
            try:
                await self.advance(whole_id)
                return
            except KtrdrError as error:
                logger.warning("Operation %s cannot continue yet: %s", whole_id, error.detail)
            await asyncio.sleep(_RETRY_S)

    # -- carrying out a plan -------------------------------------------------------------------------------------

    async def _start(self, whole_id: str, whole: _Whole, requests: Sequence[PartRequest]) -> None:
        for request in requests:
            existing = whole.parts.get(request.index)
            if existing and existing.operation_id != request.replaces:
                continue
            part, _ = await self._operations.create_operation(
                request.operation_type, metadata=request.metadata, payload=request.payload, parent_id=whole_id
            )
            whole.parts[request.index] = part
            whole.attempts[request.index] += 1
            whole.ended.pop(request.index, None)
            await self._launch(part)

    async def _finish(self, operation: Operation, whole: _Whole, ended: Sequence[Part]) -> None:
        with _disk_errors():
            await asyncio.to_thread(self._prepare_final_job, operation, [part.operation_id for part in ended])
        await self._submit(operation)
        whole.is_finishing = True

    def _prepare_final_job(self, operation: Operation, members: Sequence[str]) -> None:
        folder = self._root / operation.operation_id
        if not has_job(folder):  # somebody has removed the folder
            write_job(folder, operation.payload)
        write_atomically(folder / PARTS, json.dumps(members).encode())

    # -- the state of parts --------------------------------------------------------------------------------------

    async def _load_ended_parts(self, whole: _Whole) -> list[Part]:
        for index, operation in whole.parts.items():
            if operation.status.is_terminal and index not in whole.ended:
                whole.ended[index] = await self._ended_part(index, operation, whole.attempts[index])
        return [whole.ended[index] for index in sorted(whole.ended)]

    async def _ended_part(self, index: int, operation: Operation, attempts: int) -> Part:
        own_parts = await self.parts_of(operation)
        return Part(
            index,
            operation.operation_id,
            operation.status,
            await self._operations.get_results(operation.operation_id),
            operation.payload,
            operation.error or {},
            attempts,
            {place: own.operation_id for place, own in own_parts.items() if own.status is OperationStatus.COMPLETED},
        )

    def _part_views(self, whole: _Whole) -> dict[int, Operation]:
        """The parts as clients see them now, by index."""
        return {index: self._operations.peek(part.operation_id) or part for index, part in whole.parts.items()}


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"the whole's folder cannot be used: {error}", hint="make room, and try again") from error


def _newest(members: Sequence[tuple[int, Operation]]) -> dict[int, Operation]:
    """By index, in its order; of several operations at one index the last one."""
    return dict(sorted(dict(members).items()))


def _record(whole: _Whole, ended: Sequence[Part]) -> None:
    """Append the records that the whole's bridge does not have yet; the first column tells them apart."""
    if whole.bridge is None:
        return
    name = whole.bridge.layout.columns[0]
    with suppress(BridgeFileError):  # a damaged bridge loses the metrics of the whole but does not fail it
        recorded = {record[name] for record in whole.bridge.get_metrics()[0]}
        for values in whole.plan.records(ended):
            if values[0] not in recorded:
                whole.bridge.record(values)
