"""The operations that the service holds in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from ktrdr.operations.operation import Operation

_TICK = timedelta(microseconds=1)


class Views:
    """The last view of every operation that has not ended, and of those that ended or were read most recently."""

    def __init__(self, max_ended: int = 4096) -> None:
        self._max_ended = max_ended
        self._unfinished: dict[str, Operation] = {}
        self._ended: OrderedDict[str, Operation] = OrderedDict()
        self._newest_creation: datetime | None = None

    @property
    def unfinished(self) -> Collection[Operation]:
        return self._unfinished.values()

    def get(self, operation_id: str) -> Operation | None:
        return self._unfinished.get(operation_id) or self._ended.get(operation_id)

    def put(self, operation: Operation) -> None:
        operation_id = operation.operation_id
        if not operation.status.is_terminal:
            self._unfinished[operation_id] = operation
            self._newest_creation = max(self._newest_creation or operation.created_at, operation.created_at)
            return
        self._unfinished.pop(operation_id, None)
        self._ended[operation_id] = operation
        self._ended.move_to_end(operation_id)
        if len(self._ended) > self._max_ended:
            self._ended.popitem(last=False)

    def remove(self, operation_id: str) -> None:
        self._unfinished.pop(operation_id, None)
        self._ended.pop(operation_id, None)

    def next_creation(self) -> datetime:
        """The instant for a new operation: now, but later than the creation of everything that has not ended.

        Waiting operations start in the order of their creation, so a clock that is set back must not reverse it.
        """
        instant = datetime.now(UTC)
        if self._unfinished and self._newest_creation:
            return max(instant, self._newest_creation + _TICK)
        self._newest_creation = None
        return instant
