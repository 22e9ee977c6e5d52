"""The port through which an executor gets worker processes, and what can be asked of any of them."""

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
# What is larger is no time since boot but since 1970.
_MIN_EPOCH_S = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class WorkerProcess:
    """A process that waits for one order.

    worker: who it is; a child of this process.
    channel: the other end of its standard input; when that closes without an order, the worker ends.
    """

    worker: WorkerIdentity
    channel: socket.socket

    def send(self, order: Order) -> None:
        with suppress(OSError):  # a process that died meanwhile is noticed by its exit
            self.channel.sendall(order.to_line())
        self.channel.close()

    async def end(self) -> int | None:
        """Kill it before it has an order; the code with which it ended."""
        with suppress(ProcessLookupError):
            os.kill(self.worker.pid, signal.SIGKILL)
        return await asyncio.to_thread(self.reap)

    def reap(self) -> int | None:
        """Wait for its end; the code with which it ended."""
        self.channel.close()
        return exit_code(self.worker.pid)


class Processes(Protocol):
    """Worker processes that have no order yet.

    Thread safety: called from one event loop. Ownership: of each process until it gets an order; from then on it
    depends on nobody, but its exit code is its parent's to take. Consistency, durability: none.
    """

    def refill(self) -> None:
        """Replace what stands by and was used or has died."""

    async def take(self, lane: str) -> WorkerProcess:
        """A process for a job of this lane, a warm one where there is one. Raises StorageError."""

    def warm(self, lane: str) -> int:
        """How many processes are ready to start a job of this lane at once."""

    async def close(self) -> None:
        """End what stands by."""


def identify(pid: int) -> WorkerIdentity:
    """Of a process that is there, dead or alive. Raises psutil.Error or OSError where there is none."""
    return WorkerIdentity(pid, _seconds_since_boot(pid) if _HAS_PROC else psutil.Process(pid).create_time())


def is_alive(worker: WorkerIdentity) -> bool:
    """Whether this very process still runs; a later one with the same number does not count."""
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
    """From the machine's start to the process's, to the tick; setting the clock does not change it."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # Field 22; the second, in parentheses, may hold anything.
    return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


async def wait_for_exit(worker: WorkerIdentity) -> None:
    """By the kernel's own event where it has one for any process (Linux), else by looking four times a second."""
    if not hasattr(os, "pidfd_open"):
        while is_alive(worker):  # noqa: ASYNC110 (there is no event to wait for)
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
    """Of a process that has ended or is about to: negative for a signal, None when it was no child of this one."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)
