"""Worker processes on this machine, with a few kept warm so that a job starts at once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ktrdr.errors import KtrdrError, StorageError
from ktrdr.executors.executor import Job, Lane, OnExited, OnStarted, WorkerExit
from ktrdr.operations.operation import WorkerIdentity

logger = logging.getLogger(__name__)

_REFILL_DELAY_S = 2.0
_POLL_S = 0.25
_CLOSE_TIMEOUT_S = 2.0


@dataclass(slots=True, eq=False)
class _Standby:
    """A process that warms up or is warm; it takes one line on its standard input and becomes a worker."""

    process: subprocess.Popen[bytes]
    is_warm: bool = False

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None


@dataclass(slots=True)
class _Pool:
    lane: Lane
    waiting: deque[Job] = field(default_factory=deque)
    running: dict[str, WorkerIdentity] = field(default_factory=dict)
    standby: list[_Standby] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        return len(self.running) < self.lane.limit


class LocalExecutor:
    """An `Executor` (see the port for what it promises) over processes of this machine."""

    def __init__(self, lanes: Sequence[Lane], *, log_file: Path, log_level: str) -> None:
        self._pools = {lane.name: _Pool(lane) for lane in lanes}
        self._log_file = log_file
        self._log_level = log_level
        self._tasks: set[asyncio.Task[None]] = set()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._is_closed = False

    async def start(self, on_started: OnStarted, on_exited: OnExited) -> None:
        self._on_started = on_started
        self._on_exited = on_exited
        self.refill()

    async def submit(self, job: Job) -> bool:
        pool = self._pools[job.lane]
        if pool.waiting or not pool.has_room:
            pool.waiting.append(job)
            return False
        await self._launch(pool, job)
        return True

    async def adopt(self, job: Job, worker: WorkerIdentity) -> bool:
        if not is_alive(worker):
            return False
        pool = self._pools[job.lane]
        pool.running[job.operation_id] = worker
        self._spawn_task(self._watch(pool, job.operation_id, worker))
        return True

    def withdraw(self, operation_id: str) -> bool:
        for pool in self._pools.values():
            for job in pool.waiting:
                if job.operation_id == operation_id:
                    pool.waiting.remove(job)
                    return True
        return False

    def stop(self, operation_id: str) -> None:
        self._signal(operation_id, signal.SIGTERM)

    def terminate(self, operation_id: str) -> None:
        self._signal(operation_id, getattr(signal, "SIGKILL", signal.SIGTERM))

    def queue(self, lane: str) -> list[str]:
        return [job.operation_id for job in self._pools[lane].waiting]

    def refill(self) -> None:
        """Replace standby processes that were used or have died, and start what waits although there is room."""
        if self._is_closed:
            return
        for pool in self._pools.values():
            if pool.waiting and pool.has_room:
                self._spawn_task(self._start_waiting(pool))
            self._forget_dead(pool)
            while len(pool.standby) < pool.lane.standby:
                pool.standby.append(self._spawn_standby(pool.lane))

    def state(self) -> dict[str, dict[str, int]]:
        """Per lane: how many run, wait, and stand by (warm)."""
        return {
            name: {
                "running": len(pool.running),
                "waiting": len(pool.waiting),
                "limit": pool.lane.limit,
                "warm": sum(standby.is_warm and standby.is_alive for standby in pool.standby),
            }
            for name, pool in self._pools.items()
        }

    async def close(self) -> None:
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        idle = [standby for pool in self._pools.values() for standby in pool.standby]
        for standby in idle:
            self._release(standby)
            standby.process.terminate()
        for standby in idle:
            await asyncio.to_thread(_reap, standby.process)
        for child in self._children.values():
            child.returncode = 0  # it goes on without us; Popen must not complain that nobody waited for it

    # -- launching and watching ----------------------------------------------------------------------------------

    async def _launch(self, pool: _Pool, job: Job) -> None:
        standby = self._take_standby(pool)
        process = standby.process
        worker = WorkerIdentity(process.pid, psutil.Process(process.pid).create_time())
        pool.running[job.operation_id] = worker
        self._children[process.pid] = process
        try:
            await self._on_started(job.operation_id, worker)
        except BaseException:
            # It has no order yet, so it is as idle as before.
            del pool.running[job.operation_id], self._children[process.pid]
            pool.standby.append(standby)
            raise
        order = json.dumps({"operation_id": job.operation_id, "folder": str(job.folder)}) + "\n"
        with suppress(BrokenPipeError):  # a process that died meanwhile is noticed by its exit
            assert process.stdin is not None
            process.stdin.write(order.encode())
            process.stdin.flush()
        self._release(standby)
        self._spawn_task(self._watch(pool, job.operation_id, worker))
        asyncio.get_running_loop().call_later(_REFILL_DELAY_S, self.refill)

    def _take_standby(self, pool: _Pool) -> _Standby:
        self._forget_dead(pool)
        if not pool.standby:
            return self._spawn_standby(pool.lane)
        chosen = max(pool.standby, key=lambda standby: standby.is_warm)
        pool.standby.remove(chosen)
        return chosen

    def _forget_dead(self, pool: _Pool) -> None:
        for standby in [standby for standby in pool.standby if not standby.is_alive]:
            pool.standby.remove(standby)
            self._release(standby)

    def _spawn_standby(self, lane: Lane) -> _Standby:
        # -P: a file in the folder where the server was started must not stand in for a module.
        command = [sys.executable, "-P", "-m", "ktrdr.executors.worker", lane.job, lane.warm_up]
        # The child inherits the mask: a stop that comes before it can listen waits until it does.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            process = subprocess.Popen(
                [*command, str(self._log_file), self._log_level],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise StorageError(f"no worker process can be started: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        standby = _Standby(process)
        assert process.stdout is not None
        asyncio.get_running_loop().add_reader(process.stdout.fileno(), self._on_warm, standby)
        return standby

    def _on_warm(self, standby: _Standby) -> None:
        assert standby.process.stdout is not None
        asyncio.get_running_loop().remove_reader(standby.process.stdout.fileno())
        standby.is_warm = bool(os.read(standby.process.stdout.fileno(), 64))

    def _release(self, standby: _Standby) -> None:
        """Close our ends of the pipes."""
        process = standby.process
        if process.stdout:
            asyncio.get_running_loop().remove_reader(process.stdout.fileno())
            process.stdout.close()
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()

    async def _watch(self, pool: _Pool, operation_id: str, worker: WorkerIdentity) -> None:
        code = await self._exit_code(worker)
        pool.running.pop(operation_id, None)
        await self._on_exited(WorkerExit(operation_id, code))
        await self._start_waiting(pool)

    async def _start_waiting(self, pool: _Pool) -> None:
        """Start what there is room for; what cannot be started stays first, and the next refill tries again."""
        while pool.waiting and pool.has_room:
            job = pool.waiting.popleft()
            try:
                await self._launch(pool, job)
            except StorageError as error:
                pool.waiting.appendleft(job)
                logger.warning("Operation %s cannot be started yet: %s", job.operation_id, error.detail)
                return
            except KtrdrError as error:
                logger.warning("Operation %s is not started: %s", job.operation_id, error.detail)
        self.refill()

    async def _exit_code(self, worker: WorkerIdentity) -> int | None:
        await _wait_for_exit(worker)
        child = self._children.pop(worker.pid, None)
        return child.wait() if child else None

    def _signal(self, operation_id: str, number: signal.Signals) -> None:
        for pool in self._pools.values():
            worker = pool.running.get(operation_id)
            if worker and is_alive(worker):
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, number)

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        # A watch outlives the request that began it, and must not log in its name.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def is_alive(worker: WorkerIdentity) -> bool:
    """Whether this very process still runs; a later one with the same number does not count."""
    try:
        process = psutil.Process(worker.pid)
        return abs(process.create_time() - worker.started_at) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def _wait_for_exit(worker: WorkerIdentity) -> None:
    """By the kernel's own event where it has one for any process (Linux), else by looking four times a second."""
    if not hasattr(os, "pidfd_open"):
        while is_alive(worker):  # noqa: ASYNC110 (there is nothing to be told by)
            await asyncio.sleep(_POLL_S)
        return
    try:
        descriptor = os.pidfd_open(worker.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        if is_alive(worker):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_CLOSE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
