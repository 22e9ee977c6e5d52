"""The states of an operation and the transitions between them, for records, API and command line."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class OperationStatus(StrEnum):
    """The state of an operation; a terminal state never changes."""

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
    # Back to PENDING: a server ended after it recorded the start and before it sent the worker its job.
    OperationStatus.RUNNING: frozenset(
        {OperationStatus.PENDING, OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED},
    ),
    OperationStatus.COMPLETED: frozenset(),
    OperationStatus.FAILED: frozenset(),
    OperationStatus.CANCELLED: frozenset(),
}
