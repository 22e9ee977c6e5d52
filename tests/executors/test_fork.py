"""Workers that are forks: when they are, when they are not, and what the template's end means for them."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ktrdr.executors.local import LocalExecutor
from ktrdr.executors.spawn import spawn
from ktrdr.operations.operation import WorkerIdentity
from tests.contracts.test_executors import LANE, PATIENCE_S, Listener, Rig, local, started, until_warm

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux"),
]

UNSAFE = replace(LANE, preload=("tests.executors.starts_a_thread",))


def program_of(worker: WorkerIdentity) -> str:
    """A fork shows the command line of its template."""
    process = psutil.Process(worker.pid)
    deadline = time.monotonic() + PATIENCE_S
    while not (command := process.cmdline()) and time.monotonic() < deadline:  # none yet, where it has just begun
        time.sleep(0.01)
    (program,) = [part for part in command if part.startswith("ktrdr.executors.")]
    return program


def templates() -> list[psutil.Process]:
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in children if child.name() == "ktrdr-template"]


async def run(rig: Rig, name: str) -> str:
    """The program in which a job ran to its end."""
    job = rig.job(name, do="wait")
    await rig.executor.submit(job)
    program = program_of(rig.listener.workers[name])
    (job.folder / "go").touch()
    outcome = await rig.wait_for_outcome(job)
    assert outcome is not None
    assert outcome.status == "completed"
    return program


async def test_a_warm_template_is_forked(tmp_path: Path) -> None:
    async with started("fork", tmp_path) as rig:
        assert await run(rig, "a") == "ktrdr.executors.template"
        assert await run(rig, "b") == "ktrdr.executors.template"


async def test_a_job_does_not_wait_for_a_template_that_is_not_warm(tmp_path: Path) -> None:
    executor = local("fork", tmp_path)
    rig = Rig(executor, Listener(), tmp_path)
    await executor.start(rig.listener.on_started, rig.listener.on_exited)
    executor.refill()

    assert await run(rig, "a") == "ktrdr.executors.worker"
    await executor.close()


async def test_a_killed_template_disturbs_no_worker_and_has_a_successor(tmp_path: Path) -> None:
    async with started("fork", tmp_path, replace(LANE, limit=2)) as rig:
        await rig.executor.submit(rig.job("a", do="wait"))
        (killed,) = templates()

        killed.kill()
        assert await run(rig, "b") == "ktrdr.executors.worker"

        assert psutil.pid_exists(rig.listener.workers["a"].pid)
        rig.executor.terminate("a")
        assert (await rig.listener.exit_of("a")).code == -signal.SIGKILL
        assert isinstance(rig.executor, LocalExecutor)
        rig.executor.refill()
        await until_warm(rig.executor)
        assert await run(rig, "c") == "ktrdr.executors.template"


async def test_beside_an_unknown_thread_nothing_is_forked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    executor = local("fork", tmp_path, UNSAFE)
    rig = Rig(executor, Listener(), tmp_path)
    await executor.start(rig.listener.on_started, rig.listener.on_exited)
    with caplog.at_level(logging.WARNING):
        await _until_spawned_are_warm(executor)

        assert await run(rig, "a") == "ktrdr.executors.worker"

    assert [record.getMessage() for record in caplog.records] == [
        "The worker template ended by itself (1); workers are spawned from now on"
    ]
    assert "a fork is unsafe while other threads run: an_unknown_one" in (tmp_path / "ktrdr.log").read_text()
    assert not templates()
    await executor.close()


async def test_where_a_system_makes_no_subreaper_workers_are_spawned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(option: int, value: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("ktrdr.executors.fork.prctl", refuse)
    async with started("fork", tmp_path) as rig:
        assert await run(rig, "a") == "ktrdr.executors.worker"

    (record,) = caplog.records
    assert "Workers are spawned" in record.getMessage()


async def _until_spawned_are_warm(executor: LocalExecutor) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not executor.state()[LANE.name]["warm"]:
            executor.refill()
            await asyncio.sleep(0.05)


async def test_a_module_that_cannot_be_imported_ahead_is_named(tmp_path: Path) -> None:
    async with started("fork", tmp_path, replace(LANE, preload=("tests.nowhere",))) as rig:
        assert await run(rig, "a") == "ktrdr.executors.template"

    assert "tests.nowhere cannot be imported ahead" in (tmp_path / "ktrdr.log").read_text()


async def test_a_template_ends_with_the_server(tmp_path: Path) -> None:
    process = spawn("ktrdr.executors.template", str(tmp_path / "log"), "INFO")
    assert process.channel.recv(64) == b"warm"

    process.channel.shutdown(socket.SHUT_RDWR)

    assert await asyncio.to_thread(process.reap) == 0
