"""Runs jobs in threads of this process, for tests and for systems that cannot start processes."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from pathlib import Path

from ktrdr.executors.executor import Job, Lane, OnExited, OnStarted, WorkerExit
from ktrdr.executors.outcome import open_crash_log, write_outcome
from ktrdr.executors.processes import identify
from ktrdr.executors.worker import StopSignal, run_to_outcome
from ktrdr.operations.operation import WorkerIdentity


class InlineExecutor:
    """An `Executor` whose jobs end with this process; `terminate` can only ask them to stop."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self._waiting: dict[str, deque[Job]] = {lane.name: deque() for lane in lanes}
        self._running: dict[str, tuple[Job, StopSignal]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, on_started: OnStarted, on_exited: OnExited) -> None:
        self._on_started = on_started
        self._on_exited = on_exited

    async def submit(self, job: Job) -> bool:
        if self._waiting[job.lane] or not self._has_room(job.lane):
            self._waiting[job.lane].append(job)
            return False
        await self._launch(job)
        return True

    async def adopt(self, job: Job, worker: WorkerIdentity) -> bool:
        return False

    async def run_aside(self, lane: str, function: str, folder: Path) -> None:
        write_outcome(folder, await asyncio.to_thread(run_to_outcome, function, "", folder, StopSignal()))

    def withdraw(self, operation_id: str) -> bool:
        for waiting in self._waiting.values():
            for job in waiting:
                if job.operation_id == operation_id:
                    waiting.remove(job)
                    return True
        return False

    def stop(self, operation_id: str) -> None:
        if operation_id in self._running:
            self._running[operation_id][1].requested = True

    def terminate(self, operation_id: str) -> None:
        self.stop(operation_id)

    def queue(self, lane: str) -> list[str]:
        return [job.operation_id for job in self._waiting[lane]]

    def refill(self) -> None:
        """Do nothing: there are no idle processes, and the end of a job starts the next one."""

    def state(self) -> dict[str, dict[str, int]]:
        return {
            name: {
                "running": self._running_in(name),
                "waiting": len(self._waiting[name]),
                "limit": lane.limit,
                "warm": 0,
            }
            for name, lane in self._lanes.items()
        }

    async def close(self) -> None:
        for _, stop in self._running.values():
            stop.requested = True
        await asyncio.gather(*self._tasks)

    def _has_room(self, lane: str) -> bool:
        return self._running_in(lane) < self._lanes[lane].limit

    def _running_in(self, lane: str) -> int:
        return sum(job.lane == lane for job, _ in self._running.values())

    async def _launch(self, job: Job) -> None:
        stop = StopSignal()
        self._running[job.operation_id] = (job, stop)
        await self._on_started(job.operation_id, identify(os.getpid()))
        task = asyncio.get_running_loop().create_task(self._run(job, stop), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, stop: StopSignal) -> None:
        function = self._lanes[job.lane].job
        open_crash_log(job.folder).close()
        outcome = await asyncio.to_thread(run_to_outcome, function, job.operation_id, job.folder, stop)
        write_outcome(job.folder, outcome)
        del self._running[job.operation_id]
        await self._on_exited(WorkerExit(job.operation_id, 0))
        if self._waiting[job.lane] and self._has_room(job.lane):
            await self._launch(self._waiting[job.lane].popleft())
