"""The port that describes an operation's work to the dispatcher, which knows no kind of work."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ktrdr.operations.operation import Operation
from ktrdr.operations.plan import Plan


class WorkTable(Protocol):
    """Answers from an operation's payload. Each method raises StorageError when the payload cannot be read."""

    def lane(self, operation: Operation) -> str:
        """The lane that its job runs in."""

    def shares_worker(self, operation: Operation) -> bool:
        """Whether a worker may run its job after another one, as many short jobs do."""

    def create_bridge(self, operation: Operation, path: Path) -> None:
        """Write a new bridge file with the layout of its job."""

    def announce(self, operation: Operation) -> None:
        """Log that its worker starts."""

    def plan(self, operation: Operation) -> Plan | None:
        """The plan of an operation that is made of operations, else None."""

    def part_index(self, operation: Operation) -> int | None:
        """Its place in its parent's plan, or None when it is not a part."""
