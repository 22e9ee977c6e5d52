"""The port through which an executor gets worker processes, and functions that inspect and await a process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from ktrdr.executors.worker import Order
from ktrdr.operations.operation import WorkerIdentity

_POLL_S = 0.25
_HAS_PROC = sys.platform == "linux"
# Larger values are seconds since 1970, smaller ones seconds since boot.
_MIN_EPOCH_S = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class WorkerProcess:
    """A process that waits for one order.

    worker: the identity of the process, a child of this one
    channel: the other end of its standard input; the worker ends when it closes without an order
    """

    worker: WorkerIdentity
    channel: socket.socket

    def send(self, order: Order) -> None:
        with suppress(OSError):  # the watcher notices a process that died meanwhile
            self.channel.sendall(order.to_line())
        self.channel.close()

    async def end(self) -> int | None:
        """Kill the process before it gets an order, and return its exit code."""
        with suppress(ProcessLookupError):
            os.kill(self.worker.pid, signal.SIGKILL)
        return await asyncio.to_thread(self.reap)

    def reap(self) -> int | None:
        """Wait for its end, and return its exit code."""
        self.channel.close()
        return exit_code(self.worker.pid)


class Processes(Protocol):
    """Worker processes that have no order yet.

    Thread safety: called from one event loop. Ownership: owns each process until it gets an order; from then on the
    process runs independently, and its parent collects the exit code. Consistency, durability: none.
    """

    def refill(self) -> None:
        """Replace idle processes that were used or have died."""

    async def take(self, lane: str) -> WorkerProcess:
        """A process for a job of this lane, warm if possible. Raises StorageError."""

    def warm(self, lane: str) -> int:
        """How many processes are ready to start a job of this lane at once."""

    async def close(self) -> None:
        """End all idle processes."""


def identify(pid: int) -> WorkerIdentity:
    """The identity of an existing process, alive or a zombie. Raises psutil.Error or OSError where there is none."""
    return WorkerIdentity(pid, _seconds_since_boot(pid) if _HAS_PROC else psutil.Process(pid).create_time())


def is_alive(worker: WorkerIdentity) -> bool:
    """Whether this process still runs; a later one with the same pid does not count."""
    try:
        process = psutil.Process(worker.pid)
        if worker.started_at > _MIN_EPOCH_S:
            is_the_same = abs(process.create_time() - worker.started_at) < 1.0
        else:
            is_the_same = _seconds_since_boot(worker.pid) == worker.started_at
        return is_the_same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _seconds_since_boot(pid: int) -> float:
    """When the process started, in seconds since boot, exact to the tick; setting the clock does not change it."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # Field 22, counted from behind field 2, which is in parentheses and may contain spaces.
    return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


async def wait_for_exit(worker: WorkerIdentity) -> None:
    """Wait for any process to end: by a pidfd on Linux, by polling four times a second elsewhere."""
    if not hasattr(os, "pidfd_open"):
        while is_alive(worker):  # noqa: ASYNC110 (no event to wait for)
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


def exit_code(pid: int) -> int | None:
    """Wait for a child and return its exit code, negative for a signal; None when it is not a child of this process."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)
