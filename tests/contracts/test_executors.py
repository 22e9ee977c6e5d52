"""One suite for every executor."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ktrdr.errors import InputError
from ktrdr.executors.executor import Executor, Job, Lane, WorkerExit
from ktrdr.executors.fork import ForkedProcesses
from ktrdr.executors.inline import InlineExecutor
from ktrdr.executors.local import LocalExecutor
from ktrdr.executors.outcome import Outcome, read_outcome, reserve_disk_space
from ktrdr.executors.spawn import SpawnedProcesses
from ktrdr.operations.operation import WorkerIdentity

pytestmark = pytest.mark.anyio

LANE = Lane(
    "work",
    job="tests.contracts.jobs:run",
    warm_up="tests.contracts.jobs:warm_up",
    limit=1,
    standby=1,
    preload=("tests.contracts.jobs",),
)
PATIENCE_S = 30.0
FORKS = pytest.param(
    "fork", marks=(pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux"))
)
KINDS = ["inline", pytest.param("spawn", marks=pytest.mark.processes), FORKS]


@dataclass
class Listener:
    """What an executor told, and when."""

    workers: dict[str, WorkerIdentity] = field(default_factory=dict)
    exited: dict[str, asyncio.Future[WorkerExit]] = field(default_factory=dict)

    @property
    def started(self) -> list[str]:
        return list(self.workers)

    async def on_started(self, operation_id: str, worker: WorkerIdentity) -> None:
        assert worker.pid > 0
        self.workers[operation_id] = worker

    async def on_exited(self, worker_exit: WorkerExit) -> None:
        self._exit_of(worker_exit.operation_id).set_result(worker_exit)

    async def exit_of(self, operation_id: str) -> WorkerExit:
        return await asyncio.wait_for(self._exit_of(operation_id), PATIENCE_S)

    def _exit_of(self, operation_id: str) -> asyncio.Future[WorkerExit]:
        return self.exited.setdefault(operation_id, asyncio.get_running_loop().create_future())


@dataclass
class Rig:
    executor: Executor
    listener: Listener
    root: Path

    def job(self, name: str, *, shares_worker: bool = False, **payload: Any) -> Job:
        folder = self.root / name
        folder.mkdir()
        reserve_disk_space(folder)
        (folder / "job.json").write_text(json.dumps(payload))
        return Job(name, LANE.name, folder, shares_worker=shares_worker)

    async def wait_for_outcome(self, job: Job) -> Outcome | None:
        await self.listener.exit_of(job.operation_id)
        return read_outcome(job.folder)


def local(start: str, folder: Path, lane: Lane = LANE) -> LocalExecutor:
    """Over processes that are forked or spawned, by `start`."""
    log_file = folder / "ktrdr.log"
    spawned = SpawnedProcesses([lane], log_file=log_file, log_level="INFO")
    if start == "spawn":
        return LocalExecutor([lane], spawned)
    return LocalExecutor([lane], ForkedProcesses([lane], spawned, log_file=log_file, log_level="INFO"))


async def until_warm(executor: LocalExecutor) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not executor.state()[LANE.name]["warm"]:  # noqa: ASYNC110 (there is nothing to be told by)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def started(kind: str, folder: Path, lane: Lane = LANE) -> AsyncIterator[Rig]:
    """An executor that is at its best, and closed at the end."""
    executor = InlineExecutor([lane]) if kind == "inline" else local(kind, folder, lane)
    rig = Rig(executor, Listener(), folder)
    await executor.start(rig.listener.on_started, rig.listener.on_exited)
    if isinstance(executor, LocalExecutor):
        executor.refill()
        await until_warm(executor)
    yield rig
    await executor.close()


@pytest.fixture(params=KINDS)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(request.param, tmp_path) as rig:
        yield rig


async def test_a_job_leaves_its_outcome(rig: Rig) -> None:
    job = rig.job("a")

    assert await rig.executor.submit(job)

    outcome = await rig.wait_for_outcome(job)
    assert rig.listener.started == ["a"]
    assert outcome is not None
    assert outcome.status == "completed"
    assert outcome.results["operation"] == "a"


async def test_jobs_beyond_the_limit_wait_in_order(rig: Rig) -> None:
    first, second, third = rig.job("a", do="wait"), rig.job("b"), rig.job("c")

    assert await rig.executor.submit(first)
    assert not await rig.executor.submit(second)
    assert not await rig.executor.submit(third)
    assert rig.executor.queue(LANE.name) == ["b", "c"]
    assert rig.listener.started == ["a"]

    (first.folder / "go").touch()
    await rig.wait_for_outcome(third)

    assert rig.listener.started == ["a", "b", "c"]
    assert rig.executor.queue(LANE.name) == []


async def test_a_waiting_job_can_be_withdrawn(rig: Rig) -> None:
    first, second = rig.job("a", do="wait"), rig.job("b")
    await rig.executor.submit(first)
    await rig.executor.submit(second)

    assert rig.executor.withdraw("b")

    assert not rig.executor.withdraw("b")
    assert not rig.executor.withdraw("a")
    (first.folder / "go").touch()
    await rig.wait_for_outcome(first)
    assert rig.listener.started == ["a"]


async def test_a_running_job_hears_stop(rig: Rig) -> None:
    job = rig.job("a", do="wait")
    await rig.executor.submit(job)

    rig.executor.stop("a")

    assert await rig.wait_for_outcome(job) == Outcome("cancelled", {"partial": True})


@pytest.mark.parametrize(
    ("what", "code", "detail"),
    [
        ("raise", "worker_error", "ZeroDivisionError: by nothing"),
        ("panic", "worker_error", "Panic: a thread of Rust"),
        ("refuse", "invalid_input", "the job does not like it"),
    ],
)
async def test_an_exception_is_an_outcome(rig: Rig, what: str, code: str, detail: str) -> None:
    job = rig.job("a", do=what)

    await rig.executor.submit(job)

    outcome = await rig.wait_for_outcome(job)
    assert outcome is not None
    assert outcome.status == "failed"
    assert (outcome.error["code"], outcome.error["detail"]) == (code, detail)


@pytest.mark.parametrize("content", [b'{"do":', b"\xff", b"[1]"])
async def test_a_job_that_cannot_be_read_is_named(rig: Rig, content: bytes) -> None:
    job = rig.job("a")
    (job.folder / "job.json").write_bytes(content)

    await rig.executor.submit(job)

    outcome = await rig.wait_for_outcome(job)
    assert outcome is not None
    error = outcome.error
    assert (outcome.status, error["code"]) == ("failed", "storage_failed")
    assert str(job.folder / "job.json") in error["detail"]
    assert "ktrdr doctor" in error["hint"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_that_cannot_be_imported_says_why(kind: str, tmp_path: Path) -> None:
    async with started(kind, tmp_path, replace(LANE, job="tests.contracts.nowhere:run")) as rig:
        job = rig.job("a")

        await rig.executor.submit(job)

        outcome = await rig.wait_for_outcome(job)
        assert outcome is not None
        assert "ModuleNotFoundError: No module named 'tests.contracts.nowhere'" in outcome.error["detail"]


async def test_a_worker_that_is_gone_is_not_adopted(rig: Rig) -> None:
    assert not await rig.executor.adopt(rig.job("a"), WorkerIdentity(2**22 - 1, 1.0))


async def test_signals_for_unknown_operations_reach_no_other(rig: Rig) -> None:
    job, waiting = rig.job("a", do="wait"), rig.job("b")
    await rig.executor.submit(job)
    await rig.executor.submit(waiting)

    rig.executor.stop("nobody")
    rig.executor.terminate("nobody")

    assert rig.executor.queue(LANE.name) == ["b"]
    (job.folder / "go").touch()
    for started in (job, waiting):
        outcome = await rig.wait_for_outcome(started)
        assert outcome is not None
        assert outcome.status == "completed"


async def test_the_state_tells_what_runs_and_waits(rig: Rig) -> None:
    job = rig.job("a", do="wait")
    await rig.executor.submit(job)
    await rig.executor.submit(rig.job("b"))

    busy = rig.executor.state()[LANE.name]
    (job.folder / "go").touch()
    await rig.listener.exit_of("b")

    assert (busy["running"], busy["waiting"], busy["limit"]) == (1, 1, LANE.limit)
    assert rig.executor.state()[LANE.name]["running"] == 0


async def test_a_short_job_runs_beside_the_queue_and_no_listener_hears_of_it(rig: Rig) -> None:
    running, waiting = rig.job("a", do="wait"), rig.job("b")
    await rig.executor.submit(running)
    await rig.executor.submit(waiting)
    aside = rig.job("aside", do="refuse")

    await rig.executor.run_aside(LANE.name, LANE.job, aside.folder)

    outcome = read_outcome(aside.folder)
    assert outcome is not None
    with pytest.raises(InputError, match="the job does not like it") as refused:
        outcome.check()
    assert refused.value.hint == "ask for another"
    (running.folder / "go").touch()
    await rig.listener.exit_of("b")
    assert rig.listener.started == ["a", "b"]
