"""The states of an operation, and which may follow which. The one list: records, API and command line read it here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class OperationStatus(StrEnum):
    """Where an operation stands; a terminal state is never left."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[OperationStatus, frozenset[OperationStatus]] = {
    OperationStatus.PENDING: frozenset(
        {OperationStatus.RUNNING, OperationStatus.FAILED, OperationStatus.CANCELLED},
    ),
    # Back to PENDING: a server ended between recording the start and giving the worker its job.
    OperationStatus.RUNNING: frozenset(
        {OperationStatus.PENDING, OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED},
    ),
    OperationStatus.COMPLETED: frozenset(),
    OperationStatus.FAILED: frozenset(),
    OperationStatus.CANCELLED: frozenset(),
}
