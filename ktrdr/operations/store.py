"""The port that stores records, metrics and results, and its in-memory implementation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from ktrdr.errors import StorageError
from ktrdr.operations.operation import Operation
from ktrdr.operations.status import OperationStatus


@dataclass(frozen=True, slots=True)
class EndedOperation:
    """An operation that has ended, with all that a store holds of it."""

    operation: Operation
    results: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """An operation whose record is damaged, or of a newer version; it stays as it is.

    operation_id: the operation
    reason: why it cannot be read
    """

    operation_id: str
    reason: str

    def as_error(self) -> StorageError:
        what = f"the record of {self.operation_id} cannot be read: {self.reason}"
        return StorageError(what, hint="see what is wrong with: ktrdr doctor")


@dataclass(frozen=True, slots=True)
class OperationPage:
    """Some of the operations that match a query, newest first.

    operations: those that can be read
    unreadable: those in the same range that cannot
    total: the number of all matches, on every page
    last_id: the last of both kinds, after which the next page begins; None on the last page
    """

    operations: Sequence[Operation]
    total: int
    unreadable: Sequence[UnreadableRecord]
    last_id: str | None

    @classmethod
    def of(cls, records: Sequence[Operation | UnreadableRecord], *, limit: int, total: int) -> Self:
        """The page of `records`, which are the last ones when they are fewer than `limit`."""
        return cls(
            operations=[record for record in records if isinstance(record, Operation)],
            total=total,
            unreadable=[record for record in records if isinstance(record, UnreadableRecord)],
            last_id=records[-1].operation_id if len(records) >= limit else None,
        )


class OperationStore(Protocol):
    """Stores operations until they are removed.

    Thread safety: called from one event loop. Ownership: arguments and return values are immutable or copies.
    Consistency: a call sees the effect of every earlier call that has returned. Durability: once a call has returned,
    its effect survives the death of the process. Raises StorageError when the store cannot be used, and when the one
    operation that is asked for cannot be read.
    """

    async def add(self, operation: Operation) -> bool:
        """Store a new operation; False when its id or its idempotency key is taken."""

    async def find_by_key(self, idempotency_key: str) -> Operation | None: ...

    async def update(self, operation: Operation) -> None: ...

    async def finish(
        self,
        operation: Operation,
        results: Mapping[str, Any],
        metrics: Sequence[Mapping[str, Any]],
    ) -> None:
        """Store a terminal operation, its results and all of its metrics, as one transaction."""

    async def add_ended(self, ended: Sequence[EndedOperation]) -> bool:
        """Store operations that ended elsewhere, as one transaction; False, and none, when an id of them is taken."""

    async def remove(self, operation_id: str) -> None:
        """Remove an operation, its results and all of its metrics, as one transaction; an unknown id is ignored."""

    async def get(self, operation_id: str) -> Operation | None: ...

    async def results(self, operation_id: str) -> dict[str, Any] | None: ...

    async def results_by_id(self, operation_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The results by operation id; operations without results are left out."""

    async def metrics(self, operation_id: str, start: int, limit: int) -> list[dict[str, Any]]: ...

    async def count_metrics(self, operation_id: str) -> int: ...

    async def count_by_status(self) -> dict[str, int]:
        """The number of operations for every status, including zero."""

    async def list(
        self,
        *,
        status: OperationStatus | None = None,
        operation_type: str | None = None,
        parent_id: str | None = None,
        without_types: Collection[str] = (),
        limit: int = 100,
        before: str | None = None,
    ) -> OperationPage:
        """At most `limit` matching operations, from after `before` on."""

    async def ids_ending_with(self, ending: str, limit: int) -> Sequence[str]:
        """At most `limit` ids that end so, newest first."""

    async def ping(self) -> None:
        """Check that the store answers and can be written. Raises StorageError."""

    async def close(self) -> None: ...


class InMemoryOperationStore:
    """Stores operations in memory for the life of the process."""

    def __init__(self) -> None:
        self._operations: dict[str, Operation] = {}
        self._results: dict[str, dict[str, Any]] = {}
        self._metrics: dict[str, list[dict[str, Any]]] = {}

    async def add(self, operation: Operation) -> bool:
        key = operation.idempotency_key
        if operation.operation_id in self._operations or (key and await self.find_by_key(key)):
            return False
        self._operations[operation.operation_id] = operation
        return True

    async def find_by_key(self, idempotency_key: str) -> Operation | None:
        return next((o for o in self._operations.values() if o.idempotency_key == idempotency_key), None)

    async def update(self, operation: Operation) -> None:
        self._operations[operation.operation_id] = operation

    async def finish(
        self,
        operation: Operation,
        results: Mapping[str, Any],
        metrics: Sequence[Mapping[str, Any]],
    ) -> None:
        self._operations[operation.operation_id] = operation
        self._results[operation.operation_id] = dict(results)
        self._metrics[operation.operation_id] = [dict(metric) for metric in metrics]

    async def add_ended(self, ended: Sequence[EndedOperation]) -> bool:
        if any(each.operation.operation_id in self._operations for each in ended):
            return False
        for each in ended:
            await self.finish(each.operation, each.results, each.metrics)
        return True

    async def remove(self, operation_id: str) -> None:
        for table in (self._operations, self._results, self._metrics):
            table.pop(operation_id, None)

    async def get(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id)

    async def results(self, operation_id: str) -> dict[str, Any] | None:
        return self._results.get(operation_id)

    async def metrics(self, operation_id: str, start: int, limit: int) -> list[dict[str, Any]]:
        return self._metrics.get(operation_id, [])[start : start + limit]

    async def results_by_id(self, operation_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {key: self._results[key] for key in operation_ids if key in self._results}

    async def count_by_status(self) -> dict[str, int]:
        statuses = [operation.status for operation in self._operations.values()]
        return {str(status): statuses.count(status) for status in OperationStatus}

    async def count_metrics(self, operation_id: str) -> int:
        return len(self._metrics.get(operation_id, []))

    async def list(
        self,
        *,
        status: OperationStatus | None = None,
        operation_type: str | None = None,
        parent_id: str | None = None,
        without_types: Collection[str] = (),
        limit: int = 100,
        before: str | None = None,
    ) -> OperationPage:
        matching = [
            operation
            for operation in self._newest_first()
            if (status is None or operation.status is status)
            and (operation_type is None or operation.operation_type == operation_type)
            and (parent_id is None or operation.parent_id == parent_id)
            and operation.operation_type not in without_types
        ]
        page = matching
        if before is not None:
            edge = self._operations[before]
            page = [o for o in matching if (o.created_at, o.operation_id) < (edge.created_at, edge.operation_id)]
        return OperationPage.of(page[:limit], limit=limit, total=len(matching))

    async def ids_ending_with(self, ending: str, limit: int) -> Sequence[str]:
        return [o.operation_id for o in self._newest_first() if o.operation_id.endswith(ending)][:limit]

    def _newest_first(self) -> Sequence[Operation]:
        return sorted(self._operations.values(), key=lambda o: (o.created_at, o.operation_id), reverse=True)

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass
