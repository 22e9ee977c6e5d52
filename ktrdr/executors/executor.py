"""The port through which operations get processes to run in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ktrdr.operations.operation import WorkerIdentity


@dataclass(frozen=True, slots=True)
class Lane:
    """A kind of work that shares a limit and a pool of warm processes.

    All code is given by name and imported by the worker process, so that whoever runs workers need not import it.

    job: the function that does the work, as `package.module:function`.
    warm_up: the function that gets a spawned process ready ahead of its job.
    preload: the modules that a template process imports, so that a forked worker finds them.
    limit: how many jobs run at once.
    standby: how many spawned processes are kept ready.
    """

    name: str
    job: str
    warm_up: str
    limit: int
    standby: int
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One operation to run: `folder` is its own, with `job.json` in it; its outcome is written there."""

    operation_id: str
    lane: str
    folder: Path


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker process ended: `code` is negative for a signal, None when it cannot be known.

    `watched` is false when it ended while no server ran.
    """

    operation_id: str
    code: int | None
    watched: bool = True


OnStarted = Callable[[str, WorkerIdentity], Awaitable[None]]
OnExited = Callable[[WorkerExit], Awaitable[None]]


class Executor(Protocol):
    """Runs jobs in processes that outlive it.

    Thread safety: called from one event loop. Ownership: of its idle processes; a process that runs a job belongs to
    the job. Consistency: jobs of a lane start in the order of their submission. Durability: none; who submits
    remembers, and adopts after a restart what still runs.
    """

    async def start(self, on_started: OnStarted, on_exited: OnExited) -> None: ...

    async def submit(self, job: Job) -> bool:
        """Start the job now, True, or queue it, False. `on_started` has been awaited when True is returned."""

    async def adopt(self, job: Job, worker: WorkerIdentity) -> bool:
        """Watch a job that another executor started; False when its process is gone."""

    async def run_aside(self, lane: str, function: str, folder: Path) -> None:
        """Run a short job at once, beside all limits and queues, in a process of the lane, until it has ended.

        `function` and `folder` are as a lane's job and a job's folder; the outcome is in the folder then.
        """

    def withdraw(self, operation_id: str) -> bool:
        """Take a queued job back; False when it is not in a queue."""

    def stop(self, operation_id: str) -> None:
        """Ask a running job to end after its current batch."""

    def terminate(self, operation_id: str) -> None:
        """End a running job's process at once."""

    def queue(self, lane: str) -> list[str]:
        """The ids of the lane's waiting operations, in order."""

    def refill(self) -> None:
        """Replace idle processes that were used or have died, and start what waits although there is room."""

    def state(self) -> dict[str, dict[str, int]]:
        """Per lane: how many run, wait, may run at once, and stand by (warm)."""

    async def close(self) -> None:
        """End idle processes and forget running ones, which go on."""
