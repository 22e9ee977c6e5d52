"""The record of one operation."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ktrdr.errors import ConflictError, OperationTerminal
from ktrdr.operations.status import TRANSITIONS, OperationStatus


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """A process; its start distinguishes it from a later one with the same pid.

    pid: the process id
    started_at: when it started, in seconds since boot on Linux; elsewhere, and in records of version 0.1.0, in
        seconds since 1970
    boot_id: the run of the operating system that it belongs to; empty where unknown
    """

    pid: int
    started_at: float
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as it was at `updated_at`; a later state is a new object.

    operation_id: for example `op_training_20250123_abc123`
    operation_type: for example `TRAINING`
    status: its state
    created_at, updated_at, started_at, completed_at: aware UTC instants
    metadata: what clients see of its request and its outcome
    progress: percentage, message and the counters of its bridge
    error: code, detail and hint of a failed operation, else None
    parent_id: the operation that it continues or is part of
    worker: the process that runs or ran it
    payload: its job, as JSON
    idempotency_key: the key of the request that created it
    """

    operation_id: str
    operation_type: str
    status: OperationStatus
    created_at: datetime
    updated_at: datetime
    metadata: Mapping[str, Any]
    progress: Mapping[str, Any]
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: Mapping[str, Any] | None = None
    parent_id: str | None = None
    worker: WorkerIdentity | None = None
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    idempotency_key: str | None = None

    def moved_to(self, status: OperationStatus, **changes: Any) -> Operation:
        """The operation in its next state.

        Raises OperationTerminal when it has ended, ConflictError when the table has no such transition.
        """
        if status not in TRANSITIONS[self.status]:
            ended = self.status.is_terminal
            raise (OperationTerminal if ended else ConflictError)(
                f"operation {self.operation_id} is {self.status}; it cannot become {status}",
                hint="an operation that has ended never changes" if ended else "",
                operation_id=self.operation_id,
                operation_status=str(self.status),
            )
        instant = datetime.now(UTC)
        stamps: dict[str, Any] = {"updated_at": instant}
        if status is OperationStatus.RUNNING:
            stamps["started_at"] = instant
        if status.is_terminal:
            stamps["completed_at"] = instant
        return replace(self, status=status, **(stamps | changes))


INITIAL_PROGRESS: Mapping[str, Any] = {
    "percentage": 0.0,
    "message": "Waiting for a worker",
    "current_step": 0,
    "items_processed": 0,
}

_ID_ALPHABET = string.digits + string.ascii_lowercase


def new_operation_id(operation_type: str) -> str:
    """A random id, for example op_training_20250123_abc123; the store refuses one that is taken."""
    suffix = "".join(secrets.choice(_ID_ALPHABET) for _ in range(6))
    return f"op_{operation_type.lower()}_{datetime.now(UTC):%Y%m%d}_{suffix}"
