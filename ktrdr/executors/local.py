"""Runs jobs in worker processes on this machine: one queue per lane, one watcher per process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ktrdr.errors import KtrdrError, StorageError
from ktrdr.executors.executor import Job, Lane, OnExited, OnStarted, WorkerExit
from ktrdr.executors.identity import is_alive, is_gone, send_signal
from ktrdr.executors.processes import Processes, WorkerProcess, exit_code, wait_for_exit
from ktrdr.executors.queue import JobQueue
from ktrdr.executors.worker import Order
from ktrdr.operations.operation import WorkerIdentity

logger = logging.getLogger(__name__)

_FIRST_REFILL_S = 0.5
_REFILL_DELAY_S = 2.0
_IDLE_S = 10.0
"""A worker that has completed a job waits so long for another that may share it."""


@dataclass(slots=True)
class _Running:
    """A job that runs.

    worker: its process
    process: the same, with its channel; None where another executor has started it
    is_signalled: whether the process got a signal, which it may hear only after the job's end
    """

    worker: WorkerIdentity
    process: WorkerProcess | None = None
    is_signalled: bool = False


@dataclass(slots=True)
class _Pool:
    """The jobs of a lane.

    lane: the lane
    waiting: queued jobs, oldest first
    starting: ids of operations whose process is being created
    running: jobs that run, by operation id
    reserved: ids of operations that may be running, and cannot be examined just now
    idle: workers that may run another job that shares them, with the timer that ends each
    """

    lane: Lane
    waiting: JobQueue = field(default_factory=JobQueue)
    starting: set[str] = field(default_factory=set)
    running: dict[str, _Running] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)
    idle: dict[WorkerProcess, asyncio.TimerHandle] = field(default_factory=dict)

    @property
    def has_room(self) -> bool:
        return len(self.starting) + len(self.running.keys() | self.reserved) < self.lane.limit

    def take_idle(self) -> WorkerProcess | None:
        while self.idle:
            process, timer = self.idle.popitem()
            timer.cancel()
            if is_alive(process.worker):
                return process
            process.reap()
        return None


class LocalExecutor:
    """An `Executor` (the port states its guarantees) over processes of this machine."""

    def __init__(self, lanes: Sequence[Lane], processes: Processes) -> None:
        self._pools = {lane.name: _Pool(lane) for lane in lanes}
        self._processes = processes
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_closed = False

    async def start(self, on_started: OnStarted, on_exited: OnExited) -> None:
        self._on_started = on_started
        self._on_exited = on_exited
        # Preparing idle workers must not delay the start of the server.
        asyncio.get_running_loop().call_later(_FIRST_REFILL_S, self.refill)

    async def submit(self, job: Job) -> bool:
        pool = self._pools[job.lane]
        if pool.waiting or not pool.has_room:
            pool.waiting.add(job)
            return False
        return await self._launch(pool, job)

    async def adopt(self, job: Job, worker: WorkerIdentity) -> bool:
        if is_gone(worker):
            return False
        pool = self._pools[job.lane]
        pool.running[job.operation_id] = _Running(worker)
        self._spawn_task(self._watch(pool, job.operation_id, worker))
        return True

    def reserve(self, job: Job) -> None:
        self._pools[job.lane].reserved.add(job.operation_id)

    def release(self, operation_id: str) -> None:
        for pool in self._pools.values():
            pool.reserved.discard(operation_id)

    async def run_aside(self, lane: str, function: str, folder: Path) -> None:
        process = await self._processes.take(lane)
        process.send(Order(function, "", folder))
        await asyncio.shield(self._spawn_task(_until_ended(process.worker)))
        self.refill()

    def withdraw(self, operation_id: str) -> bool:
        for pool in self._pools.values():
            if operation_id in pool.starting:
                pool.starting.remove(operation_id)
                return True
            if pool.waiting.remove(operation_id):
                return True
        return False

    def stop(self, operation_id: str) -> None:
        self._signal(operation_id, signal.SIGTERM)

    def terminate(self, operation_id: str) -> None:
        self._signal(operation_id, getattr(signal, "SIGKILL", signal.SIGTERM))

    def queue(self, lane: str) -> list[str]:
        return self._pools[lane].waiting.ids()

    def place(self, operation_id: str) -> int | None:
        places = (pool.waiting.place(operation_id) for pool in self._pools.values())
        return next((place for place in places if place), None)

    def refill(self) -> None:
        """Replace idle processes that were used or have died, and start waiting jobs where a lane has room."""
        if self._is_closed:
            return
        for pool in self._pools.values():
            if pool.waiting and pool.has_room:
                self._spawn_task(self._start_waiting(pool))
        self._processes.refill()

    def state(self) -> dict[str, dict[str, int]]:
        """For each lane: how many jobs run and wait, its limit, and how many processes are warm."""
        return {
            name: {
                "running": len(pool.running),
                "waiting": len(pool.waiting),
                "limit": pool.lane.limit,
                "warm": self._processes.warm(name),
            }
            for name, pool in self._pools.items()
        }

    async def close(self) -> None:
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # one that was giving a process its job ends the process
        for pool in self._pools.values():
            for running in pool.running.values():
                if running.process:
                    running.process.channel.close()
            while process := pool.take_idle():
                await process.end()
        await self._processes.close()

    # -- launching and watching ----------------------------------------------------------------------------------

    async def _launch(self, pool: _Pool, job: Job) -> bool:
        """Start the job; False when it was withdrawn before its process existed."""
        if (process := await self._process_for(pool, job)) is None:
            return False
        try:
            await self._on_started(job.operation_id, process.worker)
        except BaseException:
            del pool.running[job.operation_id]
            await process.end()
            raise
        process.send(Order(pool.lane.job, job.operation_id, job.folder, keeps_worker=job.shares_worker))
        self._spawn_task(self._watch_process(pool, job.operation_id, process))
        asyncio.get_running_loop().call_later(_REFILL_DELAY_S, self.refill)
        return True

    async def _process_for(self, pool: _Pool, job: Job) -> WorkerProcess | None:
        pool.starting.add(job.operation_id)
        try:
            process = (pool.take_idle() if job.shares_worker else None) or await self._processes.take(job.lane)
            if job.operation_id in pool.starting:
                pool.running[job.operation_id] = _Running(process.worker, process)
                return process
        finally:
            pool.starting.discard(job.operation_id)
        await process.end()
        return None

    async def _watch_process(self, pool: _Pool, operation_id: str, process: WorkerProcess) -> None:
        if not await process.has_ended_order():
            await self._watch(pool, operation_id, process.worker)
            return
        if pool.running.pop(operation_id).is_signalled:
            await process.end()
        else:
            self._keep(pool, process)
        self._spawn_task(self._start_waiting(pool))  # the worker need not wait until the end is recorded
        await self._on_exited(WorkerExit(operation_id, 0))

    def _keep(self, pool: _Pool, process: WorkerProcess) -> None:
        pool.idle[process] = asyncio.get_running_loop().call_later(_IDLE_S, self._end_idle, pool, process)

    def _end_idle(self, pool: _Pool, process: WorkerProcess) -> None:
        del pool.idle[process]
        self._spawn_task(process.end())

    async def _watch(self, pool: _Pool, operation_id: str, worker: WorkerIdentity) -> None:
        await wait_for_exit(worker)
        pool.running.pop(operation_id, None)
        await self._on_exited(WorkerExit(operation_id, exit_code(worker.pid)))
        await self._start_waiting(pool)

    async def _start_waiting(self, pool: _Pool) -> None:
        """Start waiting jobs while there is room; one that cannot start stays first until the next refill."""
        while pool.waiting and pool.has_room:
            job = pool.waiting.pop_first()
            try:
                await self._launch(pool, job)
            except StorageError as error:
                pool.waiting.put_back(job)
                logger.warning("Operation %s cannot be started yet: %s", job.operation_id, error.detail)
                return
            except KtrdrError as error:
                logger.warning("Operation %s is not started: %s", job.operation_id, error.detail)
        self.refill()

    def _signal(self, operation_id: str, number: signal.Signals) -> None:
        for pool in self._pools.values():
            if running := pool.running.get(operation_id):
                running.is_signalled = True
                send_signal(running.worker, number)

    def _spawn_task(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        # A watcher outlives the request that started it, and must not log under its id.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _until_ended(worker: WorkerIdentity) -> None:
    await wait_for_exit(worker)
    exit_code(worker.pid)
