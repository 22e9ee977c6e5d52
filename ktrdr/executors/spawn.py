"""Worker processes that start as new interpreters, some of them ahead of their job so that they are warm."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.executors.executor import Lane
from ktrdr.executors.identity import identify, is_alive, is_gone
from ktrdr.executors.processes import WorkerProcess


class Standby:
    """A process that prepares for a job and announces on its channel that it is ready."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process
        self._is_ready = False
        asyncio.get_running_loop().add_reader(process.channel.fileno(), self._on_announced)

    @property
    def is_gone(self) -> bool:
        return is_gone(self.process.worker)

    @property
    def is_warm(self) -> bool:
        return self._is_ready and is_alive(self.process.worker)

    def release(self) -> WorkerProcess:
        """Stop listening to the process, and return it."""
        asyncio.get_running_loop().remove_reader(self.process.channel.fileno())
        return self.process

    def _on_announced(self) -> None:
        """A process that has died closes its channel, so nothing is read."""
        self._is_ready = bool(self.release().channel.recv(64))


@dataclass(frozen=True, slots=True)
class _Pool:
    """The idle processes of a lane.

    lane: the lane
    standby: its idle processes, warm or getting ready
    """

    lane: Lane
    standby: list[Standby] = field(default_factory=list)


class SpawnedProcesses:
    """`Processes` that import the modules of their lane and warm up by themselves."""

    def __init__(self, lanes: Sequence[Lane], *, log_file: Path, log_level: str) -> None:
        self._pools = {lane.name: _Pool(lane) for lane in lanes}
        self._log_file = log_file
        self._log_level = log_level

    def refill(self) -> None:
        for pool in self._pools.values():
            self._forget_dead(pool)
            while len(pool.standby) < pool.lane.standby:
                pool.standby.append(Standby(self._spawn(pool.lane)))

    async def take(self, lane: str) -> WorkerProcess:
        pool = self._pools[lane]
        self._forget_dead(pool)
        if not pool.standby:
            return self._spawn(pool.lane)
        chosen = max(pool.standby, key=lambda standby: standby.is_warm)
        pool.standby.remove(chosen)
        return chosen.release()

    def warm(self, lane: str) -> int:
        return sum(standby.is_warm for standby in self._pools[lane].standby)

    async def close(self) -> None:
        for pool in self._pools.values():
            for standby in pool.standby:
                await standby.release().end()
            pool.standby.clear()

    def _forget_dead(self, pool: _Pool) -> None:
        for standby in [standby for standby in pool.standby if standby.is_gone]:
            pool.standby.remove(standby)
            standby.release().reap()

    def _spawn(self, lane: Lane) -> WorkerProcess:
        return spawn("ktrdr.executors.worker", str(self._log_file), self._log_level, lane.warm_up)


@contextmanager
def _closed_on_error(channel: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        channel.close()
        raise


def spawn(module: str, *arguments: str) -> WorkerProcess:
    """Run a module in a new session, with a socket to it as its standard input. Raises StorageError."""
    # -P: a file in the current folder must not shadow a module.
    command = [sys.executable, "-P", "-m", module, *arguments]
    # The child inherits the mask: a SIGTERM that arrives early stays pending until the handler is installed.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        server_end, worker_end = socket.socketpair()
        with worker_end, _closed_on_error(server_end):
            process = subprocess.Popen(
                command, stdin=worker_end.fileno(), stdout=subprocess.DEVNULL, start_new_session=True
            )
            process.returncode = 0  # `exit_code` waits for the pid; this keeps Popen from warning that nobody did
            # Without an identity its channel closes, at which the process ends.
            return WorkerProcess(identify(process.pid), server_end)
    except OSError as error:
        raise StorageError(f"no worker process can be started: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
