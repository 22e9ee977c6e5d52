"""The processes of the simulated machine: workers that run in virtual time, and can be killed between any two steps."""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO
from unittest.mock import patch

from ktrdr.errors import StorageError
from ktrdr.executors import dispatcher, local, settlement, worker
from ktrdr.executors.outcome import JOB, Outcome, begin_job, crash_log_of, read_outcome
from ktrdr.executors.worker import ALREADY_BEGUN, JOB_UNREADABLE, OUTCOME_UNWRITABLE, Order
from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.operations.bridge import ProgressBridge
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.payloads.jobs import AnyJob, DataLoadJob, FoldsJob, SearchJob, TrainingJob, parse_job
from ktrdr.training.observer import EpochMetrics
from tests import sample_results
from tests.simulation.disk import Disk
from tests.simulation.loop import Clock

EPOCH_S = 1.0
_FORK_S = 0.05
_FILE_S = 0.01
Steps = Iterator[float]
"""The seconds until the next step of a process."""
Work = Generator[float, None, Outcome]
"""Steps that come to an outcome."""


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


@dataclass(eq=False, slots=True)
class Process:
    """One worker.

    identity: as the system knows it
    server: the server that started it, whose child it is
    order: its job, once it got one
    crash_log: the file that it holds open while it works
    """

    identity: WorkerIdentity
    server: object
    order: Order | None = None
    crash_log: TextIO | None = None
    bridge: ProgressBridge | None = None
    wants_stop: bool = False
    is_frozen: bool = False
    is_alive: bool = True
    code: int | None = None
    steps: Steps | None = None
    watchers: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Death:
    """How the worker of an operation ended, and what it left.

    has_begun: whether it had begun with its job
    code: its exit code, negative for a signal
    server: the server whose child it was
    left: the status of the outcome that it left; None for none
    epochs: how many records it had written
    crash: what its crash log says
    """

    has_begun: bool
    code: int
    server: object
    left: str | None
    epochs: int
    crash: str


class Kernel:
    """`begun` counts how often a job began; `deaths` holds how the workers of operations ended, in order."""

    def __init__(self, clock: Clock, disk: Disk, on_violation: Callable[[str], None]) -> None:
        self.begun: dict[str, int] = {}
        self.deaths: dict[str, list[Death]] = {}
        self.processes: dict[int, Process] = {}
        self.refused_at = -math.inf
        """When a process could not be started last."""
        self._exited: dict[int, Process] = {}
        self.lane_of: Callable[[str], str] = lambda operation_id: ""
        self.on_begin: Callable[[str], None] = lambda operation_id: None
        self._clock = clock
        self._disk = disk
        self._on_violation = on_violation
        self._due: list[tuple[float, int, int]] = []
        self._pids = 0
        self._scheduled = 0

    # -- processes -----------------------------------------------------------------------------------------------

    def fork(self, server: object) -> Process:
        self._pids += 1
        process = Process(WorkerIdentity(self._pids, self._clock.now, "boot"), server)
        self.processes[self._pids] = process
        return process

    def at_work(self) -> list[Process]:
        """The processes that run a job, in the order of their start."""
        return [process for process in self.processes.values() if process.steps]

    def order(self, process: Process, order: Order) -> None:
        if process.is_alive:
            process.order, process.steps = order, self._run(process, order)
            self._schedule(process, _FILE_S)

    def kill(self, process: Process, number: int) -> None:
        if process.is_alive:
            self._end(process, -number)

    def end_idle(self, server: object) -> None:
        """The idle workers of a server that has ended read the end of their channel."""
        for process in list(self.processes.values()):
            if process.server is server and process.order is None:
                self._end(process, 0)

    def freeze(self, process: Process, *, frozen: bool) -> None:
        """SIGSTOP and SIGCONT."""
        process.is_frozen = frozen
        if not frozen:
            self._schedule(process, _FILE_S)

    @property
    def next_step(self) -> float | None:
        return self._due[0][0] if self._due else None

    def step(self) -> None:
        """Let the process run whose turn it is."""
        process = self.processes.get(heapq.heappop(self._due)[2])
        if process is None or process.steps is None or process.is_frozen:
            return
        with self._disk.used_by("worker"):
            try:
                pause = next(process.steps)
            except _Exit as exited:
                self._end(process, exited.code)
            else:
                self._schedule(process, pause)

    def _schedule(self, process: Process, pause: float) -> None:
        self._scheduled += 1
        heapq.heappush(self._due, (self._clock.now + pause, self._scheduled, process.identity.pid))

    def _end(self, process: Process, code: int) -> None:
        process.is_alive, process.code, process.steps = False, code, None
        if process.order and process.order.operation_id:
            with self._disk.used_by(""):
                self._note_death(process, process.order, code)
        if process.crash_log:
            process.crash_log.close()
        self._exited[process.identity.pid] = self.processes.pop(process.identity.pid)
        for watcher in process.watchers:
            watcher()

    def _note_death(self, process: Process, order: Order, code: int) -> None:
        epochs = len(process.bridge._metrics_history) if process.bridge else 0
        if process.bridge:
            process.bridge.close()
        crash, left = "", None
        if process.crash_log:
            process.crash_log.flush()
            crash, outcome = crash_log_of(order.folder).read_text(), read_outcome(order.folder)
            left = outcome.status if outcome else None
        death = Death(process.crash_log is not None, code, process.server, left, epochs, crash)
        self.deaths.setdefault(order.operation_id, []).append(death)

    # -- what a worker does, as `ktrdr.executors.worker.run_job` --------------------------------------------------

    def _run(self, process: Process, order: Order) -> Steps:
        try:
            payload = (order.folder / JOB).read_bytes()
            process.crash_log = crash_log = begin_job(order.folder)
        except FileExistsError:
            raise _Exit(ALREADY_BEGUN) from None
        except OSError:
            raise _Exit(JOB_UNREADABLE) from None
        self._note_begin(order.operation_id)
        yield _FILE_S
        try:
            outcome = yield from self._work(process, order.folder, parse_job(json.loads(payload)))
        except OSError as error:
            outcome = Outcome.failed("worker_error", str(error))
        except Exception as error:
            if isinstance(error, _Exit):
                raise
            outcome = Outcome.failed("worker_error", str(error))
        yield _FILE_S
        is_written = worker._leave_outcome(order.folder, outcome, crash_log)
        yield _FILE_S
        raise _Exit(0 if is_written else OUTCOME_UNWRITABLE)

    def _note_begin(self, operation_id: str) -> None:
        self.begun[operation_id] = self.begun.get(operation_id, 0) + 1
        if self.begun[operation_id] > 1:
            self._on_violation(f"{operation_id} began {self.begun[operation_id]} times")
        self.on_begin(operation_id)

    def _work(self, process: Process, folder: Path, job: AnyJob) -> Work:
        if isinstance(job, TrainingJob):
            return (yield from self._train(process, folder, job))
        yield EPOCH_S
        if process.wants_stop:
            return Outcome("cancelled")
        if isinstance(job, FoldsJob):
            return Outcome("completed", _results_of_folds(job))
        if isinstance(job, SearchJob):
            return Outcome("completed", {})
        assert isinstance(job, DataLoadJob)
        return Outcome("completed", {"rows": 1})

    def _train(self, process: Process, folder: Path, job: TrainingJob) -> Work:
        bridge = TrainingProgressBridge(folder / "bridge", writable=True)
        process.bridge = bridge
        for epoch in range(1, job.last_epoch + 1):
            bridge.on_batch(epoch, 0, 1, epoch)
            yield EPOCH_S
            while job.strategy_name == "hang":
                yield 3600.0
            if process.wants_stop:
                return Outcome("cancelled", {"final_metrics": _final_metrics(epoch - 1)})
            if job.strategy_name == "exit":
                raise _Exit(3)
            bridge.on_epoch(EpochMetrics(epoch, epoch, 0.5, 0.5, 0.5, 0.5, 0.01, EPOCH_S, self._clock.time()))
        if job.strategy_name == "fail":
            return Outcome.failed("worker_error", "the job failed")
        return Outcome("completed", _results(job))

    # -- as seen by a server -------------------------------------------------------------------------------------

    def is_gone(self, identity: WorkerIdentity) -> bool:
        process = self.processes.get(identity.pid)
        return process is None or process.identity != identity

    def works_in(self, identity: WorkerIdentity, folder: Path) -> bool:
        process = self.processes.get(identity.pid)
        if process is None or process.identity != identity:
            return False
        return not _has_crash_log(folder) or (process.crash_log is not None and _works_in(process, folder))

    def find_worker(self, folder: Path) -> WorkerIdentity | None:
        if not _has_crash_log(folder):
            return None
        found = (p.identity for p in self.processes.values() if p.crash_log is not None and _works_in(p, folder))
        return next(found, None)

    def send_signal(self, identity: WorkerIdentity, number: signal.Signals) -> None:
        if self.is_gone(identity):
            return
        if number is signal.SIGTERM:
            self.processes[identity.pid].wants_stop = True
        else:
            self.kill(self.processes[identity.pid], number)

    def exit_code(self, pid: int, server: object) -> int | None:
        """That of a child of this server, once; None for other processes."""
        process = self._exited.pop(pid, None)
        return process.code if process and process.server is server else None

    async def wait_for_exit(self, identity: WorkerIdentity) -> None:
        if self.is_gone(identity):
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.processes[identity.pid].watchers.append(lambda: _set(ended))
        await ended

    @contextmanager
    def installed(self, server: Callable[[], object]) -> Iterator[None]:
        """Let the executors see these processes; `server` gives the one that runs."""
        names: dict[Any, dict[str, Any]] = {
            local: {
                "is_gone": self.is_gone,
                "send_signal": self.send_signal,
                "wait_for_exit": self.wait_for_exit,
                "exit_code": lambda pid: self.exit_code(pid, server()),
            },
            dispatcher: {"works_in": self.works_in},
            settlement: {"find_worker": self.find_worker},
        }
        with ExitStack() as stack:
            for module, functions in names.items():
                for name, function in functions.items():
                    stack.enter_context(patch.object(module, name, function))
            yield


class Processes:
    """`ktrdr.executors.processes.Processes` of one server."""

    def __init__(self, kernel: Kernel, server: object) -> None:
        self._kernel = kernel
        self._server = server
        self.refused = 0
        """How many processes cannot be started yet."""

    def refill(self) -> None:
        pass

    async def take(self, lane: str) -> Ordered:
        await asyncio.sleep(_FORK_S)
        if self.refused:
            self.refused -= 1
            self._kernel.refused_at = self._kernel._clock.now
            raise StorageError("no worker process can be started: Cannot allocate memory")
        process = self._kernel.fork(self._server)
        await asyncio.sleep(0)
        return Ordered(self._kernel, process)

    def warm(self, lane: str) -> int:
        return 1

    async def close(self) -> None:
        pass


class Ordered:
    """`ktrdr.executors.processes.WorkerProcess`: a process that waits for one order."""

    def __init__(self, kernel: Kernel, process: Process) -> None:
        self._kernel = kernel
        self._process = process
        self.worker = process.identity
        self.channel = SimpleNamespace(close=lambda: None)

    def send(self, order: Order) -> None:
        self._kernel.order(self._process, order)

    async def has_ended_order(self) -> bool:
        return False  # its processes end with their order

    async def end(self) -> int | None:
        self._kernel.kill(self._process, signal.SIGKILL)
        await asyncio.sleep(0)
        return self._process.code


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _has_crash_log(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        crash_log_of(folder).stat()
        return True
    return False


def _works_in(process: Process, folder: Path) -> bool:
    return process.order is not None and process.order.folder == folder


def _results(job: TrainingJob) -> dict[str, Any]:
    ending = "all epochs" if job.last_epoch == job.epochs else "epoch limit"
    return {"kind": "training", "ending": ending, "final_metrics": _final_metrics(job.last_epoch)}


def _results_of_folds(job: FoldsJob) -> dict[str, Any]:
    whole = sample_results.folds()
    folds = tuple(each.model_copy(update={"total_epochs": job.last_epoch}) for each in whole.folds)
    return whole.model_copy(update={"folds": folds}).model_dump(mode="json")


def _final_metrics(epochs: int) -> dict[str, Any]:
    loss = 0.5 if epochs else None
    return {
        "best_epoch": epochs or None,
        "best_val_loss": loss,
        "best_val_accuracy": loss,
        "final_train_loss": loss,
        "final_val_loss": loss,
        "total_epochs": epochs,
        "training_duration_seconds": EPOCH_S * epochs,
    }
