"""Creates operations: a repeated request starts nothing twice, and a creation that failed leaves nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ktrdr.errors import ConflictError, StorageError
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation, new_operation_id
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import OperationStore
from ktrdr.operations.views import Views

logger = logging.getLogger(__name__)


class Creation:
    """Adds operations to the store, one after the other; `current_view` gives what clients see of an earlier one."""

    def __init__(
        self, store: OperationStore, views: Views, current_view: Callable[[str], Awaitable[Operation]]
    ) -> None:
        self._store = store
        self._views = views
        self._current_view = current_view
        self._unconfirmed: set[str] = set()
        self._creating = asyncio.Lock()

    async def create(
        self,
        operation_type: str,
        metadata: Mapping[str, Any],
        payload: Mapping[str, Any],
        parent_id: str | None,
        idempotency_key: str | None,
    ) -> tuple[Operation, bool]:
        """A new operation and True, or the one created earlier with the same key and False.

        Raises ConflictError when the key was used for another request, and StorageError.
        """
        async with self._creating:
            await self._withdraw_unconfirmed()
            while True:
                if earlier := await self._find_repeated(operation_type, payload, idempotency_key):
                    return earlier, False
                instant = self._views.next_creation()
                operation = Operation(
                    operation_id=new_operation_id(operation_type),
                    operation_type=operation_type,
                    status=OperationStatus.PENDING,
                    created_at=instant,
                    updated_at=instant,
                    metadata=metadata,
                    progress=INITIAL_PROGRESS,
                    parent_id=parent_id,
                    payload=payload,
                    idempotency_key=idempotency_key,
                )
                if await self._add(operation):
                    self._views.put(operation)
                    logger.info("Created operation %s (type=%s)", operation.operation_id, operation_type)
                    return operation, True

    async def find_repeated(
        self, operation_type: str, payload: Mapping[str, Any], idempotency_key: str | None
    ) -> Operation | None:
        """The operation created earlier with this key, if any. Raises ConflictError when its request was different."""
        if idempotency_key is None:
            return None
        async with self._creating:  # a creation that is under way may fail, though its record is there
            await self._withdraw_unconfirmed()
            return await self._find_repeated(operation_type, payload, idempotency_key)

    async def withdraw_unconfirmed(self) -> None:
        """Remove records of operations whose creation failed, so that none waits for ever. Raises StorageError."""
        if self._unconfirmed:
            async with self._creating:
                await self._withdraw_unconfirmed()

    async def _withdraw_unconfirmed(self) -> None:
        for operation_id in list(self._unconfirmed):
            await self._store.remove(operation_id)
            self._unconfirmed.discard(operation_id)

    async def _find_repeated(
        self, operation_type: str, payload: Mapping[str, Any], idempotency_key: str | None
    ) -> Operation | None:
        if idempotency_key is None or (earlier := await self._store.find_by_key(idempotency_key)) is None:
            return None
        _check_same_request(earlier, operation_type, payload)
        return await self._current_view(earlier.operation_id)

    async def _add(self, operation: Operation) -> bool:
        try:
            return await self._store.add(operation)
        except StorageError:  # the record may be there nonetheless, where only the answer was lost
            self._unconfirmed.add(operation.operation_id)
            raise


def _check_same_request(earlier: Operation, operation_type: str, payload: Mapping[str, Any]) -> None:
    if (earlier.operation_type, earlier.payload) != (operation_type, payload):
        raise ConflictError(
            f"the idempotency key {earlier.idempotency_key!r} was used for another request, "
            f"which started {earlier.operation_id}",
            hint="use a new key for each request",
            operation_id=earlier.operation_id,
        )
