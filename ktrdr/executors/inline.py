"""Runs jobs in threads of this process, for tests and for systems that cannot start processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextvars import Context
from pathlib import Path

from ktrdr.executors.executor import Job, Lane, OnExited, OnStarted, WorkerExit
from ktrdr.executors.identity import identify
from ktrdr.executors.outcome import begin_job, write_outcome
from ktrdr.executors.queue import JobQueue
from ktrdr.executors.worker import ALREADY_BEGUN, StopSignal, run_to_outcome
from ktrdr.operations.operation import WorkerIdentity


class InlineExecutor:
    """An `Executor` whose jobs end with this process; `terminate` can only ask them to stop."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self._waiting = {lane.name: JobQueue() for lane in lanes}
        self._running: dict[str, tuple[Job, StopSignal]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, on_started: OnStarted, on_exited: OnExited) -> None:
        self._on_started = on_started
        self._on_exited = on_exited

    async def submit(self, job: Job) -> bool:
        if self._waiting[job.lane] or not self._has_room(job.lane):
            self._waiting[job.lane].add(job)
            return False
        await self._launch(job)
        return True

    async def adopt(self, job: Job, worker: WorkerIdentity) -> bool:
        return False

    def reserve(self, job: Job) -> None:
        """Do nothing: the jobs of another process are none of this one's."""

    def release(self, operation_id: str) -> None:
        pass

    async def run_aside(self, lane: str, function: str, folder: Path) -> None:
        write_outcome(folder, await asyncio.to_thread(run_to_outcome, function, "", folder, StopSignal()))

    def withdraw(self, operation_id: str) -> bool:
        return any(waiting.remove(operation_id) for waiting in self._waiting.values())

    def stop(self, operation_id: str) -> None:
        if operation_id in self._running:
            self._running[operation_id][1].requested = True

    def terminate(self, operation_id: str) -> None:
        self.stop(operation_id)

    def queue(self, lane: str) -> list[str]:
        return self._waiting[lane].ids()

    def place(self, operation_id: str) -> int | None:
        return next((place for waiting in self._waiting.values() if (place := waiting.place(operation_id))), None)

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
        code = await asyncio.to_thread(self._run_to_exit, job, stop)
        del self._running[job.operation_id]
        await self._on_exited(WorkerExit(job.operation_id, code))
        if self._waiting[job.lane] and self._has_room(job.lane):
            await self._launch(self._waiting[job.lane].pop_first())

    def _run_to_exit(self, job: Job, stop: StopSignal) -> int:
        """What a worker process does; its exit code."""
        try:
            begin_job(job.folder).close()
        except FileExistsError:
            return ALREADY_BEGUN
        write_outcome(job.folder, run_to_outcome(self._lanes[job.lane].job, job.operation_id, job.folder, stop))
        return 0
