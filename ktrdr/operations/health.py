"""HealthService: the one periodic task of the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ktrdr.errors import KtrdrError
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.service import OperationsService

logger = logging.getLogger(__name__)


class HealthService:
    """Every few seconds: ends operations whose worker has disappeared, looks again at what could not be read before,
    logs operations that are silent for too long, and replaces standby workers.

    Executors notice the exit of a worker; this check is the fallback, so it acts only on a second sighting.
    Silent operations are shown as stalled; `fail_stalled`, where set, ends them.
    """

    def __init__(
        self,
        operations: OperationsService,
        *,
        is_gone: Callable[[WorkerIdentity], bool],
        settle: Callable[[Operation], Awaitable[None]],
        look_again: Callable[[], Awaitable[None]],
        refill: Callable[[], None],
        fail_stalled: Callable[[Operation], None] | None = None,
        interval_s: float = 5.0,
    ) -> None:
        self._operations = operations
        self._is_gone = is_gone
        self._settle = settle
        self._look_again = look_again
        self._refill = refill
        self._fail_stalled = fail_stalled
        self._interval_s = interval_s
        self._suspects: set[str] = set()
        self._stalled: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def check(self) -> None:
        running = self._operations.running()
        lost = {o.operation_id: o for o in running if o.worker and self._is_gone(o.worker)}
        for operation_id in self._suspects & lost.keys():
            logger.warning("The worker of operation %s is gone", operation_id)
            await self._settle_one(lost[operation_id])
        self._suspects = set(lost) - self._suspects
        await self._look_again()
        self._flag_stalled()
        self._refill()

    async def _settle_one(self, operation: Operation) -> None:
        try:
            await self._settle(operation)
        except KtrdrError as error:
            logger.warning("Operation %s ended but cannot be recorded yet: %s", operation.operation_id, error)

    def _flag_stalled(self) -> None:
        stalled = {operation.operation_id: operation for operation in self._operations.stalled()}
        for operation_id in stalled.keys() - self._stalled:
            logger.warning("Operation %s has reported nothing for too long (KTRDR_STALL_TIMEOUT)", operation_id)
            if self._fail_stalled:
                self._fail_stalled(stalled[operation_id])
        self._stalled = set(stalled)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.check()
            except KtrdrError as error:
                logger.warning("Health check: %s", error)
            except Exception:
                logger.exception("The health check met an unexpected error")
