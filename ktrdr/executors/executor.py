"""The port through which operations get worker processes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ktrdr.operations.operation import WorkerIdentity

_UNKNOWN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lane:
    """A kind of work that shares a limit and a pool of warm processes.

    It names functions and modules as text; only worker processes import them.

    name: the lane's name, such as `training`
    job: the function that does the work, as `package.module:function`
    warm_up: the function that prepares a spawned process before its job, as `package.module:function`
    limit: how many jobs run at once
    standby: how many idle spawned processes stay ready
    preload: the modules that a template process imports for its forked workers
    """

    name: str
    job: str
    warm_up: str
    limit: int
    standby: int
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One operation to run.

    operation_id: the operation
    lane: the name of the lane that it runs in
    folder: the operation's folder, which holds `job.json` and receives `outcome.json`
    created_at: when the operation was created; waiting jobs start in this order
    shares_worker: whether one process may run it after another such job, which saves the start of a process
    """

    operation_id: str
    lane: str
    folder: Path
    created_at: datetime = _UNKNOWN
    shares_worker: bool = False


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker process ended.

    operation_id: the operation that it ran
    code: its exit code, negative for a signal; None when it is unknown
    watched: whether a server was running when it ended
    """

    operation_id: str
    code: int | None
    watched: bool = True


OnStarted = Callable[[str, WorkerIdentity], Awaitable[None]]
OnExited = Callable[[WorkerExit], Awaitable[None]]


class Executor(Protocol):
    """Runs jobs in processes that outlive it.

    Thread safety: called from one event loop. Ownership: of its idle processes; a process that runs a job belongs to
    the job. Consistency: waiting jobs of a lane start in the order of their creation, then of their submission.
    Durability: none; the caller remembers its jobs, and after a restart adopts those that still run.
    """

    async def start(self, on_started: OnStarted, on_exited: OnExited) -> None: ...

    async def submit(self, job: Job) -> bool:
        """Start the job and return True after awaiting `on_started`, or queue it and return False."""

    async def adopt(self, job: Job, worker: WorkerIdentity) -> bool:
        """Watch a job that another executor started; False when its process is gone."""

    def reserve(self, job: Job) -> None:
        """Count a job as running whose process cannot be examined just now, until `release`."""

    def release(self, operation_id: str) -> None: ...

    async def run_aside(self, lane: str, function: str, folder: Path) -> None:
        """Run a short job to its end in a process of the lane, outside limits and queues.

        `function` and `folder` are as `Lane.job` and `Job.folder`; the outcome is in the folder afterwards.
        """

    def withdraw(self, operation_id: str) -> bool:
        """Remove a job from its queue; False when it is not queued."""

    def stop(self, operation_id: str) -> None:
        """Ask a running job to end after its current batch."""

    def terminate(self, operation_id: str) -> None:
        """Kill a running job's process."""

    def queue(self, lane: str) -> list[str]:
        """The ids of the lane's waiting operations, in order."""

    def place(self, operation_id: str) -> int | None:
        """The place of a waiting operation in its lane, counted from 1; None when it does not wait."""

    def refill(self) -> None:
        """Replace idle processes that were used or have died, and start waiting jobs where a lane has room."""

    def state(self) -> dict[str, dict[str, int]]:
        """For each lane: how many jobs run and wait, its limit, and how many processes are warm."""

    async def close(self) -> None:
        """End idle processes; running ones continue without this executor."""
