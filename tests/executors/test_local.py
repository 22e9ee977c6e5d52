"""What only processes can do: die, outlive their server, be adopted."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ktrdr.executors.executor import Job
from ktrdr.executors.identity import Liveness, find_worker, identify, is_alive, liveness, send_signal, works_in
from ktrdr.executors.local import LocalExecutor
from ktrdr.executors.outcome import Outcome, begin_job, crash_log_of
from ktrdr.executors.processes import WorkerProcess
from ktrdr.executors.spawn import SpawnedProcesses
from ktrdr.executors.worker import ALREADY_BEGUN
from ktrdr.operations.operation import WorkerIdentity
from tests.contracts.test_executors import FORKS, LANE, PATIENCE_S, Listener, Rig, started, until_warm

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@pytest.fixture(params=["spawn", FORKS])
def start(request: pytest.FixtureRequest) -> str:
    """How workers start."""
    kind: str = request.param
    return kind


@pytest.fixture
async def rig(start: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(start, tmp_path) as rig:
        yield rig


@pytest.mark.parametrize(("what", "code"), [("exit", 0), ("die", -signal.SIGKILL)])
async def test_a_death_without_an_outcome_is_seen_with_its_code(rig: Rig, what: str, code: int) -> None:
    job = rig.job("a", do=what)

    await rig.executor.submit(job)

    assert (await rig.listener.exit_of("a")).code == code
    assert await rig.wait_for_outcome(job) is None


async def test_terminate_ends_a_job_that_does_not_listen(rig: Rig) -> None:
    await rig.executor.submit(rig.job("a", do="wait"))

    rig.executor.terminate("a")

    assert (await rig.listener.exit_of("a")).code == -signal.SIGKILL


async def test_a_worker_outlives_its_executor_and_is_adopted(start: str, tmp_path: Path) -> None:
    async with started(start, tmp_path) as rig:
        job = rig.job("a", do="wait")
        await rig.executor.submit(job)
    worker = rig.listener.workers["a"]
    assert is_alive(worker)

    async with started(start, tmp_path) as heir:
        assert await heir.executor.adopt(job, worker)
        (job.folder / "go").touch()

        outcome = await heir.wait_for_outcome(job)
    assert outcome is not None
    assert outcome.status == "completed"


class SlowProcesses(SpawnedProcesses):
    """They are there only when `ready` is set."""

    ready: asyncio.Event

    async def take(self, lane: str) -> WorkerProcess:
        await self.ready.wait()
        return await super().take(lane)


async def test_a_job_can_be_withdrawn_while_it_gets_its_process(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    processes = SlowProcesses([LANE], log_file=tmp_path / "ktrdr.log", log_level="INFO")
    processes.ready = asyncio.Event()
    rig = Rig(LocalExecutor([LANE], processes), Listener(), tmp_path)
    await rig.executor.start(rig.listener.on_started, rig.listener.on_exited)
    submission = asyncio.create_task(rig.executor.submit(rig.job("a")))
    await asyncio.sleep(0)

    assert rig.executor.withdraw("a")
    processes.ready.set()

    assert not await submission
    assert rig.listener.started == []
    assert set(psutil.Process().children()) == before
    assert await rig.executor.submit(rig.job("b"))
    await rig.listener.exit_of("b")
    await rig.executor.close()


async def test_a_worker_leads_a_session_of_its_own_and_is_the_servers_child(rig: Rig) -> None:
    await rig.executor.submit(rig.job("a", do="wait"))

    pid = rig.listener.workers["a"].pid
    assert (os.getsid(pid), psutil.Process(pid).ppid()) == (pid, os.getpid())
    rig.executor.terminate("a")
    await rig.listener.exit_of("a")


async def test_a_dead_standby_process_counts_no_more_and_is_replaced(start: str, tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    async with started(start, tmp_path) as rig:
        executor = rig.executor
        assert isinstance(executor, LocalExecutor)
        (standby,) = set(psutil.Process().children()) - before
        standby.kill()
        _wait_until_dead(standby)

        assert executor.state()[LANE.name]["warm"] == 0
        executor.refill()
        await until_warm(executor)


def _wait_until_dead(process: psutil.Process) -> None:
    """Not `wait`, which would take the exit code from the one that it belongs to."""
    deadline = time.monotonic() + PATIENCE_S
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)


async def test_no_process_is_left_behind(start: str, tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    async with started(start, tmp_path):
        idle = {child.pid for child in psutil.Process().children()} - before
        assert len(idle) == LANE.standby

    assert not any(psutil.pid_exists(pid) for pid in idle)


async def worker_of(rig: Rig, job: Job) -> WorkerIdentity:
    """The process that has run the job."""
    await rig.executor.submit(job)
    outcome = await rig.wait_for_outcome(job)
    worker = rig.listener.workers[job.operation_id]
    assert outcome is None or outcome.results.get("pid", worker.pid) == worker.pid
    return worker


async def test_a_worker_goes_on_with_jobs_that_share_it_and_with_no_other(start: str, tmp_path: Path) -> None:
    async with started(start, tmp_path) as rig:
        first = await worker_of(rig, rig.job("a", shares_worker=True))
        second = await worker_of(rig, rig.job("b", shares_worker=True))
        third = await worker_of(rig, rig.job("c"))

        assert first == second != third
        assert is_alive(first)
        assert rig.executor.state()[LANE.name]["running"] == 0
    assert not is_alive(first)


async def test_a_waiting_job_gets_the_worker_of_the_one_before(rig: Rig) -> None:
    jobs = [rig.job(name, shares_worker=True) for name in "abcd"]

    await asyncio.gather(*map(rig.executor.submit, jobs))
    outcomes = [await rig.wait_for_outcome(job) for job in jobs]

    assert all(outcome and outcome.status == "completed" for outcome in outcomes)
    assert len(set(rig.listener.workers.values())) <= LANE.limit


@pytest.mark.parametrize("what", ["raise", "refuse", "exit", "die"])
async def test_what_a_failed_job_leaves_in_its_process_reaches_no_other_job(rig: Rig, what: str) -> None:
    failed = await worker_of(rig, rig.job("a", shares_worker=True, do=what))
    other = await worker_of(rig, rig.job("b", shares_worker=True))

    assert failed != other
    assert rig.listener.exited["b"].result().code == 0


async def test_a_stop_that_comes_as_a_job_ends_stops_no_later_one(rig: Rig) -> None:
    stopped = rig.job("a", shares_worker=True, do="insist")
    await rig.executor.submit(stopped)
    rig.executor.stop("a")
    (stopped.folder / "go").touch()
    assert (await rig.wait_for_outcome(stopped) or Outcome("failed")).status == "completed"

    later = rig.job("b", shares_worker=True, do="wait")
    (later.folder / "go").touch()

    assert await worker_of(rig, later) != rig.listener.workers["a"]
    assert (await rig.wait_for_outcome(later) or Outcome("failed")).status == "completed"


async def test_a_worker_that_was_killed_while_it_waited_gets_no_job(rig: Rig) -> None:
    killed = await worker_of(rig, rig.job("a", shares_worker=True))
    os.kill(killed.pid, signal.SIGKILL)
    _wait_until_dead(psutil.Process(killed.pid))

    assert await worker_of(rig, rig.job("b", shares_worker=True)) != killed


async def test_a_shared_worker_that_outlives_its_executor_ends_with_its_job(start: str, tmp_path: Path) -> None:
    async with started(start, tmp_path) as rig:
        job = rig.job("b", shares_worker=True, do="insist")
        worker = await worker_of(rig, rig.job("a", shares_worker=True))
        await rig.executor.submit(job)

    async with started(start, tmp_path) as heir:
        assert not works_in(worker, tmp_path / "a")
        assert works_in(worker, job.folder)
        assert await heir.executor.adopt(job, worker)
        (job.folder / "go").touch()

        assert (await heir.wait_for_outcome(job) or Outcome("failed")).status == "completed"
    assert not is_alive(worker)


def test_a_later_process_with_the_same_number_is_another() -> None:
    me = identify(os.getpid())

    assert is_alive(me)
    assert not is_alive(replace(me, started_at=me.started_at - 0.01))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a start is an instant")
def test_a_start_is_counted_from_boot_so_that_setting_the_clock_changes_nothing() -> None:
    assert 0 < identify(os.getpid()).started_at < time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_same_number_and_start_in_another_boot_is_another_process() -> None:
    me = identify(os.getpid())

    assert me.boot_id
    assert not is_alive(replace(me, boot_id="00000000-0000-0000-0000-000000000000"))
    assert is_alive(replace(me, boot_id="")), "records of earlier versions have none"


def test_a_process_that_cannot_be_examined_just_now_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = identify(os.getpid())

    def refuse(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_text", refuse)

    assert liveness(me) is Liveness.UNKNOWN


def test_a_signal_goes_to_no_later_process_with_the_same_number() -> None:
    me = identify(os.getpid())

    send_signal(replace(me, started_at=me.started_at - 0.01), signal.SIGKILL)

    assert is_alive(me)


async def test_the_worker_of_a_folder_is_found_without_any_record(rig: Rig) -> None:
    job = rig.job("a", do="wait")
    await rig.executor.submit(job)
    while not crash_log_of(job.folder).exists():  # noqa: ASYNC110 (no event to wait for)
        await asyncio.sleep(0.01)

    assert find_worker(job.folder) == rig.listener.workers["a"]
    rig.executor.terminate("a")
    await rig.listener.exit_of("a")
    assert find_worker(job.folder) is None


async def test_a_job_never_begins_twice_in_one_folder(rig: Rig) -> None:
    job = rig.job("a")
    begin_job(job.folder).close()

    await rig.executor.submit(job)

    assert (await rig.listener.exit_of("a")).code == ALREADY_BEGUN
    assert await rig.wait_for_outcome(job) is None
