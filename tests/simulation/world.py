"""One simulated machine: a home, a registry, processes, one server at a time, and the requests of its clients."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from ktrdr.api.schemas.operations import Prune
from ktrdr.api.services import retention_service
from ktrdr.api.services.retention_service import RetentionService
from ktrdr.errors import HomeInUse, KtrdrError, StorageError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.executors.executor import Lane
from ktrdr.executors.local import LocalExecutor
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.home import Home, HomeLock
from ktrdr.jobs import search_plan
from ktrdr.jobs.kinds import ANALYSIS_LANE, DATA_LANE, TRAINING_LANE, KindsTable, job_of
from ktrdr.jobs.parts import is_settled
from ktrdr.jobs.service import JobService
from ktrdr.operations import bridge, creation, health, operation, plan_bridge, service, silence, views
from ktrdr.operations.health import HealthService
from ktrdr.operations.operation import Operation
from ktrdr.operations.removal import Removal
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import OperationStore
from ktrdr.payloads.jobs import AnyJob, DataLoadJob, FoldsJob, SearchJob, TrainingJob
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_space import Search
from tests.simulation.disk import Disk, Killed
from tests.simulation.kernel import Kernel, Process, Processes
from tests.simulation.loop import Clock, VirtualLoop
from tests.simulation.store import Connection, Copy, Registry

LIMITS = {TRAINING_LANE: 2, DATA_LANE: 1, ANALYSIS_LANE: 1}
CANCEL_GRACE_S = 30.0
_SEARCH = """
name: Simulated
model: {{type: mlp, hidden_size: {{int: [4, 64]}}}}
indicators: [{{name: rsi, period: 14}}]
search: {{trials: 3, halving: {{factor: 3, min_epochs: 1}}}}
training: {{epochs: 2}}
validation: {}
"""
SEARCHES = {
    "search": _SEARCH.format("{}"),
    "search over folds": _SEARCH.format("{type: walk_forward, folds: 2}"),
}
"""The strategies of searches by their kind; each has three trials, of which one is trained for longer."""

_SHARED_MEMORY = Path("/dev/shm")


@cache
def _search(text: str) -> Search:
    return load_search(text, IndicatorCatalogue())


def _load_search(text: str, catalogue: IndicatorCatalogue) -> Search:
    """Loaded once for all servers; it takes longer than a server's life."""
    return _search(text)


@dataclass(slots=True)
class Call:
    """A request of a client; without an answer when its server dies.

    what: the request, for people
    on_answer: called with the result, or with the error
    """

    what: str
    task: asyncio.Task[Any]
    on_answer: Callable[[Any], None]


class Server:
    """What `ktrdr.bootstrap` makes of one home, over simulated processes, with its loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.loop = VirtualLoop(world.clock, world.blame)  # type: ignore[abstract]
        self.is_serving = False
        self.calls: list[Call] = []
        home = world.home
        self.lock = HomeLock(home)
        self.processes = Processes(world.kernel, self)
        lanes = [Lane(name, "", "", limit=limit, standby=0) for name, limit in LIMITS.items()]
        executor = LocalExecutor(lanes, self.processes)  # type: ignore[arg-type]
        self.executor = executor
        store = cast(OperationStore, Connection(world.registry))
        self.operations = OperationsService(store, stall_timeout_s=1e9)
        self.dispatcher = Dispatcher(self.operations, executor, KindsTable(), home, cancel_grace_s=CANCEL_GRACE_S)
        self.jobs = JobService(self.operations, self.dispatcher, executor, home.scratch)
        self.jobs.resume_with("training", self._resume_training)
        self.jobs.resume_with("folds", self._resume_folds)
        self.jobs.resume_with("search", self._resume_search)
        self.jobs.resume_with("data_load", self._resume_load)
        self.removal = Removal(self.operations, home)
        self.retention = RetentionService(self.operations, self.removal)
        self.health = HealthService(
            self.operations,
            is_gone=world.kernel.is_gone,
            settle=self.dispatcher.settle_lost,
            look_again=self._look_again,
            refill=executor.refill,
        )

    def begin(self) -> None:
        """Take the home and start. Raises HomeInUse where another server holds it, and StorageError."""
        self.lock.__enter__()
        self.do(self._start(), "start", lambda answer: None)

    def do(self, work: Coroutine[Any, Any, Any], what: str, on_answer: Callable[[Any], None]) -> None:
        self.calls.append(Call(what, self.loop.create_task(work), on_answer))

    def kill(self) -> None:
        self.loop.kill()
        self.lock._close()
        for reader in self.operations._local_bridges.values():
            reader.close()
        self._world.kernel.end_idle(self)

    async def stop(self) -> None:
        """As SIGTERM does; requests that are not answered soon are cancelled."""
        self.is_serving = False
        for call in self.calls:
            if call.what != "stop":
                call.task.cancel()
        await self.health.close()
        await self.dispatcher.close()
        await self.operations.close()

    async def _start(self) -> None:
        await self.removal.finish()
        await self.dispatcher.start()
        self.health.start()
        self.is_serving = True

    async def _look_again(self) -> None:
        self.lock.check()
        await self.dispatcher.look_again()

    async def _resume_training(self, parent: Operation, job: TrainingJob) -> TrainingJob:
        return job.model_copy(update={"resume_from": parent.operation_id, "part": None, "strategy_name": "complete"})

    async def _resume_load(self, parent: Operation, job: DataLoadJob) -> DataLoadJob:
        return job

    async def _resume_folds(self, parent: Operation, job: FoldsJob) -> FoldsJob:
        folds = await self.dispatcher.plans.parts_of(parent)
        completed = {fold: p.operation_id for fold, p in folds.items() if p.status is OperationStatus.COMPLETED}
        return job.model_copy(update={"completed": completed, "strategy_name": "complete"})

    async def _resume_search(self, parent: Operation, job: SearchJob) -> SearchJob:
        parts = await self.dispatcher.plans.parts_of(parent)
        settled = {index: part.operation_id for index, part in parts.items() if is_settled(part)}
        return job.model_copy(update={"taken_over": settled, "strategy_name": "complete"})


class World:
    """Everything that outlives a server; `rules` observe what happens and say what is wrong."""

    def __init__(
        self, on_write: Callable[[Operation | None, Operation], None], on_remove: Callable[[str], None]
    ) -> None:
        self.violations: list[str] = []
        self.clock = Clock()
        self.disk = Disk(on_kill=self._mark_dead)
        self.kernel = Kernel(self.clock, self.disk, self.blame)
        self.registry = Registry(on_write, on_remove)
        self.server: Server | None = None
        self.copy: Copy | None = None
        self._ids = 0
        self._stack = ExitStack()
        parent = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        self.home = Home(Path(tempfile.mkdtemp(prefix="ktrdr-simulated-", dir=parent)))
        self._install()

    def blame(self, what: str) -> None:
        self.violations.append(what)

    def _install(self) -> None:
        now = SimpleNamespace(now=lambda zone: self.clock.wall(), fromisoformat=datetime.fromisoformat)
        for module in (views, operation, plan_bridge, retention_service):
            self._stack.enter_context(patch.object(module, "datetime", now))
        for module in (service, silence):
            self._stack.enter_context(patch.object(module, "time", self.clock))
        self._stack.enter_context(patch.object(bridge, "now", self.clock.time))
        self._stack.enter_context(patch.object(creation, "new_operation_id", self._new_id))
        self._stack.enter_context(patch.object(health.logger, "exception", self._on_health_exception))
        for text in SEARCHES.values():  # before files fail, which indicators are imported from
            _search(text)
        self._stack.enter_context(patch.object(search_plan, "load_search", _load_search))
        self._stack.enter_context(self.disk.installed())
        self._stack.enter_context(self.kernel.installed(lambda: self.server))

    def _on_health_exception(self, *_: object) -> None:

        self.blame(f"the health check met an unexpected error: {sys.exc_info()[1]!r}")

    def _new_id(self, operation_type: str) -> str:
        self._ids += 1
        return f"op_{operation_type.lower()}_{self._ids}"

    def close(self) -> None:
        if self.server:
            self.server.kill()
        for process in list(self.kernel.processes.values()):
            self.kernel.kill(process, 9)
        self._stack.close()
        shutil.rmtree(self.home.root)

    # -- the server ----------------------------------------------------------------------------------------------

    @property
    def serving(self) -> Server | None:
        """The server, once it answers."""
        return self.server if self.server and self.server.is_serving else None

    def start_server(self) -> None:
        assert self.server is None
        self.server = Server(self)
        try:
            with self.disk.used_by("server"):
                self.server.begin()
        except HomeInUse:
            self.blame("a free home is refused")
        except (Killed, StorageError):
            self._die()

    def start_second_server(self) -> None:
        second = Server(self)
        with suppress(HomeInUse):
            second.begin()
            self.blame("two servers on one home")
        second.kill()

    def stop_server(self) -> None:
        server = self.server
        assert server

        def stopped(answer: Any) -> None:
            if isinstance(answer, Exception):
                self.blame(f"the server could not stop: {answer!r}")
            self._die()

        server.do(server.stop(), "stop", stopped)

    def kill_server(self) -> None:
        self._die()

    def _mark_dead(self) -> None:
        """It dies in the middle of a callback, which raises `Killed` from now on."""
        if self.server:
            self.server.loop.is_dead = True

    def _die(self) -> None:
        if self.server:
            server, self.server = self.server, None
            server.kill()
        self.disk.calls_until_kill = None

    def restore(self, copy: Copy) -> None:
        assert self.server is None
        self.registry.restore(copy)

    # -- time ----------------------------------------------------------------------------------------------------

    def turn(self, most: int = 1_000_000) -> None:
        """Let the server run at most so many callbacks."""
        server = self.server
        if server is None:
            return
        with self.disk.used_by("server"), suppress(Killed):
            server.loop.turn(most)
        if server.loop.is_dead:
            self._die()
        else:
            self._answer(server)

    def _answer(self, server: Server) -> None:
        done = [call for call in server.calls if call.task.done()]
        for call in done:
            server.calls.remove(call)
            if call.task.cancelled():
                continue
            error = call.task.exception()
            if error and not isinstance(error, KtrdrError):
                self.blame(f"{call.what}: {''.join(traceback.format_exception(error))}")
            elif error and call.what == "start":
                self._die()  # as the process would
                return
            call.on_answer(error or call.task.result())

    def wait(self, seconds: float) -> None:
        """Let time pass; everything runs as soon as it can."""
        until = self.clock.now + seconds
        self.turn()
        while (due := self._next_event()) is not None and due <= until:
            self.clock.now = max(self.clock.now, due)
            if self.kernel.next_step is not None and self.kernel.next_step <= self.clock.now:
                self.kernel.step()
            elif self.server:
                self.server.loop.fire()
            self.turn()
        self.clock.now = until

    def _next_event(self) -> float | None:
        timer = self.server.loop.next_timer if self.server else None
        times = [at for at in (timer, self.kernel.next_step) if at is not None]
        return min(times, default=None)

    # -- requests ------------------------------------------------------------------------------------------------

    def ask(self, what: str, request: Callable[[Server], Awaitable[Any]], on_answer: Callable[[Any], None]) -> None:
        """Send a request; `on_answer` gets the result or the error, if the server lives until then."""
        if server := self.serving:

            async def work() -> Any:
                return await request(server)

            server.do(work(), what, on_answer)

    @property
    def unanswered(self) -> set[str]:
        """The requests, by their text, that the server has not answered yet."""
        return {call.what for call in self.server.calls} if self.server else set()

    def prune(self, on_answer: Callable[[Any], None]) -> None:
        self.ask("prune", lambda server: server.retention.prune(Prune(older_than_days=0.0)), on_answer)

    # -- what is there -------------------------------------------------------------------------------------------

    def lane(self, operation_id: str) -> str:
        return KindsTable().lane(self.registry.records[operation_id])

    def job(self, operation_id: str) -> AnyJob:
        return job_of(self.registry.records[operation_id])

    def working(self) -> dict[str, Process]:
        """The processes that run a job that has begun, by operation."""
        return {p.order.operation_id: p for p in self.kernel.at_work() if p.order and p.crash_log}
