"""The port through which an executor gets worker processes, and functions that await a process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ktrdr.executors.identity import is_gone, pidfd
from ktrdr.executors.worker import ENDED, Order
from ktrdr.operations.operation import WorkerIdentity

_POLL_S = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class WorkerProcess:
    """A process that waits for an order.

    worker: the identity of the process, a child of this one
    channel: the other end of its standard input; a worker that waits ends when it closes
    """

    worker: WorkerIdentity
    channel: socket.socket

    def send(self, order: Order) -> None:
        with suppress(OSError):  # the watcher notices a process that died meanwhile
            self.channel.sendall(order.to_line())
        if not order.keeps_worker:
            self.channel.close()

    async def has_ended_order(self) -> bool:
        """Wait until the process has completed an order that keeps it; False when it will say no such thing.

        The channel is closed then, as it is while the process exits.
        """
        received = b""
        with suppress(OSError):  # the channel was closed with the order, or its death has reset it
            self.channel.setblocking(False)
            while more := await asyncio.get_running_loop().sock_recv(self.channel, 64):
                received += more
                if received.endswith(ENDED):  # one that got its order before it was warm announces itself first
                    return True
        self.channel.close()
        return False

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


async def wait_for_exit(worker: WorkerIdentity) -> None:
    """Wait for any process to end: by a pidfd on Linux, by polling four times a second where there is none."""
    with suppress(ProcessLookupError), pidfd(worker.pid) as descriptor:
        if descriptor is None:
            while not is_gone(worker):  # noqa: ASYNC110 (no event to wait for)
                await asyncio.sleep(_POLL_S)
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            if not is_gone(worker):
                await ended.wait()
        finally:
            loop.remove_reader(descriptor)


def exit_code(pid: int) -> int | None:
    """Wait for a child and return its exit code, negative for a signal; None when it is not a child of this process."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)
