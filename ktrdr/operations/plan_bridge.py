"""The bridge of a whole: one record per completed part, and a progress computed from its parts when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ktrdr.instants import format_instant
from ktrdr.operations.bridge import ProgressBridge
from ktrdr.operations.operation import Operation
from ktrdr.operations.status import OperationStatus


class PlanBridge(ProgressBridge):
    """The server writes it when parts end. Its layout has one phase, whose {items} counts the parts that are done."""

    def __init__(
        self, path: Path, parts: Callable[[], Mapping[int, Operation]], *, counts_failed: bool = False
    ) -> None:
        """`parts` gives the parts that exist, by index; with `counts_failed` one that failed is done, too."""
        super().__init__(path, writable=True)
        self._parts = parts
        self._counts_failed = counts_failed

    def record(self, values: Sequence[float]) -> None:
        """Append the record of a completed part."""
        self._append_metric(*values)

    def get_status(self) -> dict[str, Any]:
        """The progress of the whole: a running part counts with its percentage, a completed one with 100."""
        by_index, total = self._parts(), self.layout.total_steps
        parts = list(by_index.values())
        done = sum(self._is_done(part) for part in parts)
        percentage = sum(self._percentage(part) for part in parts) / total
        return {
            "percentage": round(min(percentage, 99.9), 2),
            "message": self.layout.phases[0].format(items=done, total=total),
            "current_step": done,
            "items_processed": done,
            "updated_at": format_instant(_last_report_at(parts)),
            "running_parts": [_running(index, part) for index, part in by_index.items() if _is_running(part)],
        }

    def _is_done(self, part: Operation) -> bool:
        return part.status is OperationStatus.COMPLETED or (self._counts_failed and part.status.is_terminal)

    def _percentage(self, part: Operation) -> float:
        """The percentage of a part; zero for one that ended and is not done."""
        if part.status.is_terminal:
            return 100.0 if self._is_done(part) else 0.0
        percentage: float = part.progress["percentage"]
        return percentage


def _is_running(part: Operation) -> bool:
    return part.status is OperationStatus.RUNNING


def _running(index: int, part: Operation) -> dict[str, Any]:
    return {
        "number": index + 1,
        "operation_id": part.operation_id,
        "percentage": part.progress["percentage"],
        "message": part.progress["message"],
    }


def _last_report_at(parts: Sequence[Operation]) -> datetime:
    """When a part last reported something; now while parts wait for a worker, so that the whole is not stalled."""
    if not parts or any(part.status is OperationStatus.PENDING for part in parts):
        return datetime.now(UTC)
    return max(part.updated_at for part in parts)
