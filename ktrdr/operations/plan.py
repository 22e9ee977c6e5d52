"""Operations made of operations: a plan decides which parts must exist, and when the whole can finish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ktrdr.operations.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has ended.

    index: its place in the plan, counted from 0
    operation_id: the operation of this part
    status: COMPLETED, FAILED or CANCELLED
    results: the results of that operation
    payload: the job of that operation
    error: code, detail and hint of a failed one; empty otherwise
    attempts: operations that were this part, one after the other, this one included
    completed_parts: of a part that is itself made of operations, those that completed, by their index in it
    """

    index: int
    operation_id: str
    status: OperationStatus
    results: Mapping[str, Any]
    payload: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 1
    completed_parts: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_completed(self) -> bool:
        return self.status is OperationStatus.COMPLETED

    @property
    def error_code(self) -> str:
        """The stable name of why it failed; empty unless it failed."""
        return str(self.error.get("code", ""))

    @property
    def reason(self) -> str:
        """Why it has no results, for people; empty where it completed."""
        return "" if self.is_completed else str(self.error.get("detail") or "was cancelled")


@dataclass(frozen=True, slots=True)
class PartRequest:
    """A part that must exist.

    index: its place in the plan, counted from 0
    operation_type: the type of its operation
    payload: the job of its operation
    metadata: the metadata of its operation
    replaces: an operation that was this part and has ended, in whose place a new one is started; None where a part
        that exists stays as it is
    """

    index: int
    operation_type: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any]
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """These parts must exist now.

    parts: the parts
    """

    parts: Sequence[PartRequest]


@dataclass(frozen=True, slots=True)
class Finish:
    """The whole runs its final job in a worker, or fails, as soon as all parts that exist have ended.

    error: code, detail and hint with which it fails; None to run the final job
    """

    error: Mapping[str, Any] | None = None


class Plan(Protocol):
    """Decides what a whole does next, as a pure function of its request and of the parts that have ended.

    A decision must not depend on the order in which parts ended, so that any number of workers, restarts and kills
    leads to the same parts and the same result. The plan is asked whenever a part ends, and once after a restart of
    the server; the same parts must lead to the same decision. A decision may take long: it is made in a thread.
    """

    @property
    def goes_on_without(self) -> bool:
        """Whether the whole can complete although parts of it failed, so that these count as done."""

    @property
    def taken_over(self) -> Mapping[int, str]:
        """Operations of an earlier attempt that count as parts, by index."""

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        """The next decision; `ended` holds the parts that have ended, in order of index."""

    def records(self, ended: Sequence[Part]) -> Iterable[Sequence[float]]:
        """The whole's metrics records by now, a number for each column of its bridge; the first tells them apart."""

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        """The results of a whole that fails or is cancelled."""
