"""What must be true of a simulated machine, as docs/reliability.md promises it; each broken promise is named."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ktrdr.executors.outcome import outcome_of, read_outcome
from ktrdr.executors.worker import OUTCOME_UNWRITABLE
from ktrdr.operations.operation import Operation
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import FoldsJob, SearchJob
from tests.simulation.kernel import Death
from tests.simulation.world import LIMITS, World

CALM_S = 45.0
"""After so long without a disturbance everything must have come to where it belongs."""

_WAITS_AGAIN_S = 15.0
"""For so long after a fault a job that could not start may wait again, and be overtaken by one that is starting."""

COMPLETED, FAILED, CANCELLED = OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED
_AS_LEFT = {"completed": COMPLETED, "failed": FAILED, "cancelled": CANCELLED}
_UNSEEN = ("ended while no server was watching", "its exit code is known only to the server that started it", "crashed")
_UNBORN = "the server stopped while this operation was being created"


@dataclass(slots=True)
class Ledger:
    """What clients have asked for, what they were told, and what may therefore be excused.

    answered: the operation that each idempotency key was answered with
    cancels: operations whose cancel was asked for
    with_losses: those whose cancel was asked for while something could not be read
    forgotten: operations that an older registry does not know, or that were removed
    ends: the terminal status that an operation was recorded with, where its folder holds it too
    metrics: the records that clients were told, by operation
    restored: operations that an older registry had as unfinished: their folders decide, one after the other
    """

    answered: dict[str, str] = field(default_factory=dict)
    cancels: set[str] = field(default_factory=set)
    with_losses: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    ends: dict[str, OperationStatus] = field(default_factory=dict)
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    restored: set[str] = field(default_factory=set)


class Invariants:
    """Observes a world; `disturbed` tells it that something was done to it."""

    def __init__(self) -> None:
        self.world = World(self._observing(self._on_write), self._observing(self._on_remove))
        self.world.kernel.on_begin = self._check_lanes
        self.ledger = Ledger()
        self._disturbed_at = self.world.clock.now
        self._faults_left = 0

    def _observing(self, observe: Callable[..., None]) -> Callable[..., None]:
        """Called in the middle of the server's work, without being a part of it."""

        def observed(*arguments: Any) -> None:
            with self.world.disk.used_by(""):
                observe(*arguments)

        return observed

    def disturbed(self) -> None:
        self._disturbed_at = self.world.clock.now

    @property
    def is_calm(self) -> bool:
        world = self.world
        left = sum(fault.left for fault in world.disk.faults) + sum(fault.left for fault in world.registry.faults)
        left += world.server.processes.refused if world.server else 0
        if left or left != self._faults_left or not world.serving:
            self.disturbed()
        self._faults_left = left
        return world.clock.now - self._disturbed_at >= CALM_S

    def check(self) -> None:
        """Called after every step. Raises AssertionError."""
        if self.is_calm:
            self._check_running()
            self._check_waiting()
            self._check_answered()
        assert not self.world.violations, "; ".join(self.world.violations)

    # -- when a record changes -----------------------------------------------------------------------------------

    def _on_write(self, before: Operation | None, after: Operation) -> None:
        # A commit whose answer was lost is made once more.
        if before and before.status.is_terminal and (before.status, before.error) != (after.status, after.error):
            self._blame(
                after, f"a terminal state changed: {before.status} {before.error}, {after.status} {after.error}"
            )
        if after.status is OperationStatus.RUNNING and before and before.status is OperationStatus.PENDING:
            self._check_order(after)
        if after.status.is_terminal and after.operation_id not in self.ledger.forgotten:
            self._check_end(after)
            if outcome_of(self.world.home.operations / after.operation_id).exists():
                self.ledger.ends[after.operation_id] = after.status

    def _on_remove(self, operation_id: str) -> None:
        """What is unfinished stays, and so does what that continues."""
        # One whose creation failed may go: no client got its id.
        answered = self.ledger.answered.values()
        needed = {
            name for o in self._unfinished() if o.operation_id in answered for name in (o.operation_id, o.parent_id)
        }
        if operation_id in needed:
            self.world.blame(f"{operation_id} is removed while it is needed")
        self.ledger.forgotten.add(operation_id)
        self.world.kernel.begun.pop(operation_id, None)

    def _check_order(self, started: Operation) -> None:
        """In a lane, whoever was created first starts first, except one that waits again since it could not start."""
        world, server = self.world, self.world.server
        is_failing = world.registry.faults or world.disk.faults
        is_put_back = is_failing or world.clock.now - world.kernel.refused_at < _WAITS_AGAIN_S
        if server is None or started.worker is None or is_put_back:
            return
        lane = world.lane(started.operation_id)
        for operation_id in server.executor.queue(lane):
            waiting = world.registry.records.get(operation_id)
            if waiting and waiting.status is OperationStatus.PENDING and waiting.created_at < started.created_at:
                self._blame(started, f"it overtook {operation_id}")

    def _check_end(self, ended: Operation) -> None:
        operation_id, status, ledger = ended.operation_id, ended.status, self.ledger
        if operation_id in self.world.working():
            self._blame(ended, f"{status} while its process works")
        if status is CANCELLED and not set(self._with_wholes(ended)) & ledger.cancels:
            self._blame(ended, "CANCELLED, which nobody asked for")
        if ledger.ends.get(operation_id, status) is not status and not self._may_have_losses(ended):
            self._blame(ended, f"it had ended {ledger.ends[operation_id]}, and is recorded again as {status}")
        deaths = [death for death in self.world.kernel.deaths.get(operation_id, []) if death.has_begun]
        self._check_outcome(ended, deaths[-1].left if deaths else None)
        if self._is_whole(operation_id):
            if operation_id not in ledger.restored:
                self._check_whole(ended)
        else:
            self._check_metrics(ended, deaths[-1].epochs if deaths else 0)
            if status is FAILED:
                self._check_reason(ended)

    def _check_outcome(self, ended: Operation, left: str | None) -> None:
        """What a worker left decides."""
        if left is None and ended.status is COMPLETED:
            self._blame(ended, "COMPLETED without a result")
        if left and ended.status is not _AS_LEFT[left] and not self._may_have_losses(ended):
            self._blame(ended, f"its worker left {left}, and it is recorded as {ended.status}")

    def _may_have_losses(self, operation: Operation) -> bool:
        return bool(set(self._with_wholes(operation)) & self.ledger.with_losses)

    def _with_wholes(self, operation: Operation) -> Iterator[str]:
        """The operation, its parent, and so on."""
        yield operation.operation_id
        if parent_id := operation.parent_id:
            yield parent_id
            if parent := self.world.registry.records.get(parent_id):
                yield from self._with_wholes(parent)

    def _is_whole(self, operation_id: str) -> bool:
        return isinstance(self.world.job(operation_id), FoldsJob | SearchJob)

    def _check_metrics(self, ended: Operation, written: int) -> None:
        """All that was written is there, once and in order, and all that was told."""
        records = self.world.registry._metrics.get(ended.operation_id, [])
        epochs = [record["epoch"] for record in records if "epoch" in record]
        if epochs != list(range(1, len(epochs) + 1)):
            self._blame(ended, f"epochs {epochs}")
        if len(epochs) < written and not self._may_have_losses(ended):
            self._blame(ended, f"{len(epochs)} of {written} epochs are recorded")

    def _check_reason(self, failed: Operation) -> None:
        deaths = self.world.kernel.deaths.get(failed.operation_id, [])
        assert failed.error
        detail, death = failed.error["detail"], deaths[-1] if deaths else None
        if death is None:
            is_true = _UNBORN in detail or failed.error["code"] == "storage_failed"
        elif death.left == "failed":
            is_true = True
        elif death.server is self.world.server:
            is_true = _how(death) in detail
        else:
            is_true = any(how in detail for how in (_how(death), *_UNSEEN))
        if not is_true:
            self._blame(failed, f"it says {detail!r}, and its worker ended as {death}")

    def _check_whole(self, ended: Operation) -> None:
        """It ends after its parts, COMPLETED only with all of them, and with one record for each."""
        records = self.world.registry.records
        parts = [p for p in records.values() if p.parent_id == ended.operation_id and self._index(p) is not None]
        counts = Counter(self._index(part) for part in parts if part.status is not FAILED)
        if any(count > 1 for count in counts.values()):
            self._blame(ended, "two operations are the same part, and none of them has failed")
        if any(not part.status.is_terminal for part in parts):
            self._blame(ended, f"{ended.status} before its parts")
        job, records_of = self.world.job(ended.operation_id), self.world.registry._metrics.get(ended.operation_id, [])
        numbers = [record["fold" if isinstance(job, FoldsJob) else "part"] for record in records_of]
        completed = {self._index(part) for part in parts if part.status is COMPLETED}
        if len(set(numbers)) != len(numbers):
            self._blame(ended, f"its records are of the parts {numbers}")
        if ended.status is COMPLETED and isinstance(job, FoldsJob):
            if completed | job.completed.keys() != set(range(job.folds)) or len(numbers) != job.folds:
                self._blame(ended, f"COMPLETED with the folds {completed}, records {numbers}")
        elif ended.status is COMPLETED:
            assert isinstance(job, SearchJob)
            if job.trial_parts not in completed | job.taken_over.keys() or numbers != sorted(numbers):
                self._blame(ended, f"COMPLETED with the parts {completed}, records {numbers}")

    def _has_forgotten_parts(self, whole: Operation) -> bool:
        job = self.world.job(whole.operation_id)
        if not isinstance(job, FoldsJob) or job.part is not None:  # whose parts may have been tried again
            return bool(self.ledger.forgotten)
        parts = {p.operation_id for p in self.world.registry.records.values() if p.parent_id == whole.operation_id}
        return len(parts | set(job.completed.values())) < job.folds

    def _index(self, part: Operation) -> int | None:
        return self.world.job(part.operation_id).part

    # -- when a job begins ---------------------------------------------------------------------------------------

    def _check_lanes(self, operation_id: str) -> None:
        records = self.world.registry.records
        if operation_id not in records:
            return
        at_work = [p.order.operation_id for p in self.world.kernel.at_work() if p.order and p.crash_log]
        lanes = Counter(self.world.lane(name) for name in at_work if name in records)
        for lane, count in lanes.items():
            if count > LIMITS[lane]:
                self.world.blame(f"{count} jobs at once in the lane {lane}")

    # -- when nothing has happened for a while -------------------------------------------------------------------

    def _unfinished(self) -> list[Operation]:
        """As the server shows them: a start whose record got no answer is recorded, and did not happen."""
        server = self.world.serving
        records = [record for record in self.world.registry.records.values() if not record.status.is_terminal]
        return [(server and server.operations.peek(record.operation_id)) or record for record in records]

    def _check_running(self) -> None:
        """RUNNING means that a process works on it."""
        at_work = {process.order.operation_id for process in self.world.kernel.at_work() if process.order}
        for record in self._unfinished():
            is_whole = self._is_whole(record.operation_id)
            if record.status is OperationStatus.RUNNING and not is_whole and record.operation_id not in at_work:
                self._blame(record, "RUNNING without a process")
            if is_whole and record.worker is None and not self._has_unfinished_parts(record):
                self._blame(record, "a whole waits for nothing")

    def _has_unfinished_parts(self, whole: Operation) -> bool:
        server = self.world.serving
        is_queued = server is not None and server.executor.place(whole.operation_id) is not None
        return is_queued or any(part.parent_id == whole.operation_id for part in self._unfinished())

    def _check_waiting(self) -> None:
        """PENDING means that it waits in a lane that is full."""
        server = self.world.serving
        assert server
        for record in self._unfinished():
            if record.status is OperationStatus.PENDING and server.executor.place(record.operation_id) is None:
                self._blame(record, "PENDING, and it waits nowhere")
        for lane, state in server.executor.state().items():
            if state["waiting"] and state["running"] < state["limit"]:
                self.world.blame(f"{state['waiting']} wait in the lane {lane}, which has room")

    def _check_answered(self) -> None:
        """What a client got an id of is there."""
        for operation_id in self.ledger.answered.values():
            if operation_id not in self.ledger.forgotten and operation_id not in self.world.registry.records:
                self.world.blame(f"{operation_id} is gone")

    # -- what clients are told -----------------------------------------------------------------------------------

    def hear_start(self, key: str, answer: Any) -> None:
        if not isinstance(answer, Operation):
            return
        earlier = self.ledger.answered.get(key, answer.operation_id)
        if earlier != answer.operation_id and earlier not in self.ledger.forgotten:
            self._blame(answer, f"the key {key} had started {earlier}")
        self.ledger.answered[key] = answer.operation_id

    def hear_view(self, answer: Any) -> None:
        if not isinstance(answer, Operation) or answer.operation_id in self.ledger.forgotten:
            return
        recorded = self.world.registry.records.get(answer.operation_id)
        if recorded is None or (recorded.status is not answer.status and answer.status.is_terminal):
            self._blame(answer, f"shown as {answer.status}, recorded as {recorded and recorded.status}")
        if (answer.progress["percentage"] == 100.0) != (answer.status is COMPLETED):
            self._blame(answer, f"{answer.status} at {answer.progress['percentage']} %")

    def hear_metrics(self, operation_id: str, cursor: int, answer: Any) -> None:
        if operation_id in self.ledger.forgotten:
            return
        if isinstance(answer, Exception):
            if getattr(answer, "code", "") == "invalid_cursor":
                self.world.blame(f"{operation_id}: the cursor {cursor} was valid and is refused: {answer}")
            return
        records, following = answer
        told = self.ledger.metrics.setdefault(operation_id, [])
        overlap = told[cursor : cursor + len(records)]
        if overlap != records[: len(overlap)] or following != cursor + len(records):
            self.world.blame(f"{operation_id}: other records from {cursor} than before")
        told.extend(records[len(overlap) :])

    # -- at the end ----------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Every operation has ended, and its folder says the same as its record."""
        for record in self.world.registry.records.values():
            if not record.status.is_terminal:
                self._blame(record, f"it stays {record.status}")
            elif record.operation_id not in self.ledger.forgotten:
                self._check_folder(record)
                if self._is_whole(record.operation_id) and not self._has_forgotten_parts(record):
                    self._check_whole(record)
        assert not self.world.violations, "; ".join(self.world.violations)

    def _check_folder(self, record: Operation) -> None:
        folder = self.world.home.operations / record.operation_id
        outcome = read_outcome(folder) if outcome_of(folder).exists() else None
        if outcome and _AS_LEFT[outcome.status] is not record.status and not self._may_have_losses(record):
            self._blame(record, f"{record.status}, and its folder says {outcome.status}")

    def _blame(self, operation: Operation, what: str) -> None:
        self.world.blame(f"{operation.operation_id}: {what}")


def _how(death: Death) -> str:
    if death.code == OUTCOME_UNWRITABLE:
        return "the results could not be written"
    if death.code < 0:
        return f"was killed by {signal.Signals(-death.code).name}"
    return f"ended with exit code {death.code}"
