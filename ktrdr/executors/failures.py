"""Records operations as FAILED that could not begin, as soon as the registry can be written."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ktrdr.errors import OperationTerminal, StorageError
from ktrdr.executors.outcome import Outcome
from ktrdr.operations.service import OperationsService

_RETRY_S = 5.0


class Failures:
    """Tries until a failure is recorded, or its operation has ended otherwise."""

    def __init__(self, operations: OperationsService) -> None:
        self._operations = operations
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, operation_id: str, problem: StorageError) -> None:
        """Record the failure now or, while the registry cannot be written, as soon as it can."""
        try:
            await self._operations.fail_operation(operation_id, Outcome.from_error(problem).error)
        except StorageError:
            self.record_soon(operation_id, problem)

    def record_soon(self, operation_id: str, problem: StorageError) -> None:
        self._tasks.add(task := asyncio.get_running_loop().create_task(self._record_later(operation_id, problem)))
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _record_later(self, operation_id: str, problem: StorageError) -> None:
        while True:
            await asyncio.sleep(_RETRY_S)
            with suppress(StorageError):
                with suppress(OperationTerminal):
                    await self._operations.fail_operation(operation_id, Outcome.from_error(problem).error)
                return
