"""Operations made of operations: a plan says which parts there must be, and when the whole is ready for its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ktrdr.operations.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has ended.

    index: its place in the plan, counted from 0
    operation_id: the operation that did it
    status: COMPLETED, FAILED or CANCELLED
    results: as the operation's own
    reason: why it failed, for people; empty where it did not
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
    """A part that must exist: its place in the plan, and the operation that does it."""

    index: int
    operation_type: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """These parts must exist by now; those that do are left as they are."""

    parts: Sequence[PartRequest]


@dataclass(frozen=True, slots=True)
class Finish:
    """The whole runs its own job now, in a worker, over the parts that have ended; or, with an `error`, it fails."""

    error: Mapping[str, Any] | None = None


class Plan(Protocol):
    """How a whole goes on, as a pure function of its request and of what has ended.

    What comes next must not depend on the order in which parts have ended: so any number of workers, restarts and
    kills gives the same parts and the same result. A decision is made again whenever a part has ended, and once
    after a restart of the server; the same parts must lead to the same decision.
    """

    @property
    def total(self) -> int:
        """How many parts there will be."""

    @property
    def taken_over(self) -> Mapping[int, str]:
        """Operations of an earlier attempt that count as parts, by index."""

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        """`ended` holds the parts that have ended, by index."""

    def record(self, part: Part) -> Sequence[float]:
        """The whole's metrics record of a completed part: a number for each column of its bridge."""

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        """What is there of a whole that fails or is cancelled."""
