"""A registry whose calls take a while, fail, and are observed; and which can be replaced by an older copy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ktrdr.errors import StorageError
from ktrdr.operations.operation import Operation
from ktrdr.operations.store import InMemoryOperationStore

_RECORDS = ("add", "update", "finish")
Copy = tuple[dict[str, Operation], dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]]


@dataclass(slots=True)
class StoreFault:
    """Calls that fail.

    names: which calls
    is_late: whether what was to be written has been written nonetheless, and only the answer is lost
    left: how often it happens yet
    """

    names: Sequence[str]
    is_late: bool
    left: int


class Registry(InMemoryOperationStore):
    """Outlives the servers; each uses it through a `Connection` of its own."""

    def __init__(
        self, on_write: Callable[[Operation | None, Operation], None], on_remove: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.on_remove = on_remove
        self.faults: list[StoreFault] = []
        self._on_write = on_write

    @property
    def records(self) -> Mapping[str, Operation]:
        return self._operations

    def copy(self) -> Copy:
        """A backup; records, results and metrics are never changed in place."""
        return dict(self._operations), dict(self._results), dict(self._metrics)

    def restore(self, copy: Copy) -> None:
        self._operations, self._results, self._metrics = (dict(table) for table in copy)  # type: ignore[assignment]

    def written(self, before: Operation | None, operation_id: str) -> None:
        if (after := self._operations.get(operation_id)) and after is not before:
            self._on_write(before, after)


class Connection:
    """One server's way to the registry: an await before each effect and one after it, so that a kill can be there."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            fault = self._fault(name)
            if fault and not fault.is_late:
                raise StorageError("the registry cannot be used: disk I/O error")
            answer = await self._observed(name, arguments, options)
            if fault:
                raise StorageError("the registry cannot be used: the connection is lost")
            await asyncio.sleep(0)
            return answer

        setattr(self, name, call)
        return call

    async def _observed(self, name: str, arguments: Any, options: Any) -> Any:
        function = getattr(self._registry, name)
        if name == "remove":
            self._registry.on_remove(*arguments)
        if name not in _RECORDS:
            return await function(*arguments, **options)
        operation_id = arguments[0].operation_id
        before = self._registry.records.get(operation_id)
        answer = await function(*arguments, **options)
        self._registry.written(before, operation_id)
        return answer

    def _fault(self, name: str) -> StoreFault | None:
        for fault in self._registry.faults:
            if fault.left and name in fault.names:
                fault.left -= 1
                return fault
        return None
