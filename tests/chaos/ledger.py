"""What clients were told: it must be true when it is told, and it must stay true."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.reference import Reference, measured
from tests.e2e.system import TERMINAL

_STAMPS = ("updated_at", "started_at", "completed_at")
UNTRUE, EPOCHS, TORN = "untrue state", "epoch lost or doubled", "torn read"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    operation_id: str
    what: str


@dataclass(slots=True)
class Ledger:
    """Kept by all clients together; each of their reads is compared with the references and with every earlier read."""

    references: Mapping[str, Reference]
    faults: list[Fault] = field(default_factory=list)
    reads: Counter[str] = field(default_factory=Counter)
    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    recorded_again: set[str] = field(default_factory=set)
    """Operations whose records were lost and made again from their folders, so that only their instants differ."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def epochs_told(self) -> int:
        return sum(len(records) for records in self.told.values())

    def unfinished(self) -> list[str]:
        with self._lock:
            return [key for key, view in self.views.items() if view["status"] not in TERMINAL]

    def ended(self, status: str | None = None) -> list[str]:
        with self._lock:
            views = list(self.views.items())
        return [key for key, view in views if view["status"] in ({status} if status else TERMINAL)]

    def blame(self, kind: str, operation_id: str, what: str) -> None:
        with self._lock:
            self.faults.append(Fault(kind, operation_id, what))

    def hear_view(self, view: dict[str, Any], before: dict[str, Any] | None = None) -> None:
        """`before` is what this ledger held when the view was asked for."""
        operation_id = view["operation_id"]
        with self._lock:
            self.reads["views"] += 1
            newest = self.views.get(operation_id)
            if newest is None or newest["status"] not in TERMINAL:
                self.views[operation_id] = view
        if before and before["status"] in TERMINAL and not self._is_unchanged(before, view):
            self.blame(UNTRUE, operation_id, f"it had ended as {before} and is {view}")
        self._check_progress(view)

    def _is_unchanged(self, before: dict[str, Any], view: dict[str, Any]) -> bool:
        ignored = _STAMPS if view["operation_id"] in self.recorded_again else ()
        return all(view[name] == value for name, value in before.items() if name not in ignored)

    def _check_progress(self, view: dict[str, Any]) -> None:
        """Step, items and percentage are one state's only when each follows from the others."""
        progress, reference = view["progress"], self.references[view["metadata"]["strategy"]]
        step, items = progress["current_step"], progress["items_processed"]
        expected = 100.0 if view["status"] == "COMPLETED" else reference.percentage(step, items)
        if progress["percentage"] != expected or step != progress.get("epoch_index", 0):
            self.blame(TORN, view["operation_id"], f"{progress} should be at {expected} %")

    def hear_metrics(self, operation_id: str, cursor: int, page: dict[str, Any]) -> None:
        records = page["metrics"]
        with self._lock:
            self.reads["metrics"] += 1
            told = self.told.setdefault(operation_id, [])
            overlap = told[cursor : cursor + len(records)]
            is_continuous = cursor <= len(told) and page["new_cursor"] == cursor + len(records)
            told.extend(records[len(overlap) :])
        if not is_continuous:
            self.blame(EPOCHS, operation_id, f"{len(records)} records from {cursor} lead to {page['new_cursor']}")
        if overlap != records[: len(overlap)]:
            self.blame(EPOCHS, operation_id, f"other records from {cursor} than before")
        self._check_records(operation_id, cursor, records)

    def _check_records(self, operation_id: str, cursor: int, records: list[dict[str, Any]]) -> None:
        reference = self.references[self.views[operation_id]["metadata"]["strategy"]]
        for index, record in enumerate(records, start=cursor):
            if record["epoch"] != index + 1 or index >= reference.epochs:
                self.blame(EPOCHS, operation_id, f"epoch {record['epoch']} under index {index}")
            elif measured(record) != reference.records[index]:
                self.blame(TORN, operation_id, f"{record} should be {reference.records[index]}")

    def hear_refused_cursor(self, operation_id: str, cursor: int, said: str) -> None:
        self.blame(EPOCHS, operation_id, f"cursor {cursor} was valid and is refused: {said}")
