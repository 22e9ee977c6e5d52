"""What only processes can do: die, outlive their server, be adopted."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from ktrdr.executors.local import LocalExecutor, is_alive
from ktrdr.operations.operation import WorkerIdentity
from tests.contracts.test_executors import LANE, PATIENCE_S, Listener, Rig

pytestmark = pytest.mark.anyio


class RememberingListener(Listener):
    worker: WorkerIdentity

    async def on_started(self, operation_id: str, worker: WorkerIdentity) -> None:
        self.worker = worker
        await super().on_started(operation_id, worker)


def build(folder: Path) -> Rig:
    executor = LocalExecutor([LANE], log_file=folder / "ktrdr.log", log_level="INFO")
    return Rig(executor, RememberingListener(), folder)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = build(tmp_path)
    await rig.executor.start(rig.listener.on_started, rig.listener.on_exited)
    yield rig
    await rig.executor.close()


@pytest.mark.parametrize(("what", "code"), [("exit", 0), ("die", -signal.SIGKILL)])
async def test_a_death_without_an_outcome_is_seen_with_its_code(rig: Rig, what: str, code: int) -> None:
    job = rig.job("a", do=what)

    await rig.executor.submit(job)

    assert (await rig.listener.exit_of("a")).code == code
    assert await rig.outcome_of(job) is None


async def test_terminate_ends_a_job_that_does_not_listen(rig: Rig) -> None:
    await rig.executor.submit(rig.job("a", do="wait"))

    rig.executor.terminate("a")

    assert (await rig.listener.exit_of("a")).code == -signal.SIGKILL


async def test_a_worker_outlives_its_executor_and_is_adopted(rig: Rig, tmp_path: Path) -> None:
    job = rig.job("a", do="wait")
    await rig.executor.submit(job)
    assert isinstance(rig.listener, RememberingListener)
    worker = rig.listener.worker
    await rig.executor.close()
    assert is_alive(worker)

    heir = build(tmp_path)
    await heir.executor.start(heir.listener.on_started, heir.listener.on_exited)
    assert await heir.executor.adopt(job, worker)
    (job.folder / "go").touch()

    outcome = await heir.outcome_of(job)
    assert outcome is not None
    assert outcome.status == "completed"
    await heir.executor.close()


async def test_a_dead_standby_process_counts_no_more_and_is_replaced(tmp_path: Path) -> None:
    executor = LocalExecutor([LANE], log_file=tmp_path / "ktrdr.log", log_level="INFO")
    listener, before = Listener(), set(psutil.Process().children())
    await executor.start(listener.on_started, listener.on_exited)

    await _until_warm(executor)
    (standby,) = set(psutil.Process().children()) - before
    standby.kill()
    _wait_until_dead(standby)

    assert executor.state()[LANE.name]["warm"] == 0
    executor.refill()
    await _until_warm(executor)
    await executor.close()


async def _until_warm(executor: LocalExecutor) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not executor.state()[LANE.name]["warm"]:  # noqa: ASYNC110 (there is nothing to be told by)
            await asyncio.sleep(0.01)


def _wait_until_dead(process: psutil.Process) -> None:
    """Not `wait`, which would take the exit code from the one that it belongs to."""
    deadline = time.monotonic() + PATIENCE_S
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)


async def test_no_process_is_left_behind(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    rig = build(tmp_path)
    await rig.executor.start(rig.listener.on_started, rig.listener.on_exited)
    idle = {child.pid for child in psutil.Process().children()} - before
    assert len(idle) == LANE.standby

    await rig.executor.close()

    assert not any(psutil.pid_exists(pid) for pid in idle)


def test_a_later_process_with_the_same_number_is_another() -> None:
    me = psutil.Process(os.getpid())

    assert is_alive(WorkerIdentity(me.pid, me.create_time()))
    assert not is_alive(WorkerIdentity(me.pid, me.create_time() - 100.0))
