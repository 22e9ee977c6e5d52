"""Operations made of operations: a plan decides which parts must exist, and when the whole can finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ktrdr.operations.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has ended.

    index: its place in the plan, counted from 0
    operation_id: the operation of this part
    status: COMPLETED, FAILED or CANCELLED
    results: the results of that operation
    reason: why it failed, for people; empty unless it failed
    """

    index: int
    operation_id: str
    status: OperationStatus
    results: Mapping[str, Any]
    reason: str = ""

    @property
    def is_completed(self) -> bool:
        return self.status is OperationStatus.COMPLETED


@dataclass(frozen=True, slots=True)
class PartRequest:
    """A part that must exist.

    index: its place in the plan, counted from 0
    operation_type: the type of its operation
    payload: the job of its operation
    metadata: the metadata of its operation
    """

    index: int
    operation_type: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """These parts must exist now; existing ones stay as they are.

    parts: the parts
    """

    parts: Sequence[PartRequest]


@dataclass(frozen=True, slots=True)
class Finish:
    """The whole runs its final job in a worker, or fails.

    error: code, detail and hint with which it fails; None to run the final job
    """

    error: Mapping[str, Any] | None = None


class Plan(Protocol):
    """Decides what a whole does next, as a pure function of its request and of the parts that have ended.

    A decision must not depend on the order in which parts ended, so that any number of workers, restarts and kills
    leads to the same parts and the same result. The plan is asked whenever a part ends, and once after a restart of
    the server; the same parts must lead to the same decision.
    """

    @property
    def taken_over(self) -> Mapping[int, str]:
        """Operations of an earlier attempt that count as parts, by index."""

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        """The next decision; `ended` holds the parts that have ended, in order of index."""

    def record(self, part: Part) -> Sequence[float]:
        """The metrics record of a completed part: one number for each column of the whole's bridge."""

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        """The results of a whole that fails or is cancelled."""
