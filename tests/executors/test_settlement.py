"""What a folder says against its record, and what is decided while something cannot be read: nothing."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ktrdr.errors import StorageError
from ktrdr.executors.executor import WorkerExit
from ktrdr.executors.identity import identify, is_alive, send_signal
from ktrdr.executors.outcome import Outcome, begin_job, crash_log_of, outcome_of, write_job, write_outcome
from ktrdr.executors.worker import JOB_UNREADABLE, OUTCOME_UNWRITABLE
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore
from tests.contracts.test_executors import local
from tests.executors.test_dispatcher import Rig, build, health_of, started_by_another

pytestmark = pytest.mark.anyio

LAYOUT = BridgeLayout(phases=("Working",), total_steps=4, columns=("epoch",), planned_records=8)
PENDING, COMPLETED = OperationStatus.PENDING, OperationStatus.COMPLETED


class Writer(ProgressBridge):
    """What a worker reports."""

    def epochs(self, count: int) -> None:
        for epoch in range(1, count + 1):
            self._append_metric(epoch)
            self._update_state(0, epoch, 0, 0, epoch)


async def left_waiting(rig: Rig, *, epochs: int = 0, **payload: Any) -> tuple[Operation, Path]:
    """A waiting operation whose worker has reported epochs, as a record from before its start shows it."""
    operation = await rig.create(**payload)
    folder = rig.dispatcher.folder(operation.operation_id)
    write_job(folder, payload)
    ProgressBridge.create(folder / "bridge", LAYOUT)
    if epochs:
        with Writer(folder / "bridge", writable=True) as writer:
            writer.epochs(epochs)
    return operation, folder


@contextmanager
def unreadable(path: Path, number: int = errno.EIO) -> Iterator[None]:
    """Opening and reading this file fails."""
    opened, pread = io.open, os.pread

    def refuse(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file) == str(path):
            raise OSError(number, os.strerror(number), str(file))
        return opened(file, *arguments, **options)

    def refuse_pread(descriptor: int, *arguments: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(path):
            raise OSError(number, os.strerror(number))
        return pread(descriptor, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(io, "open", refuse)
        patch.setattr(os, "pread", refuse_pread)
        yield


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    return build(InMemoryOperationStore(), tmp_path, cache_ttl=0)


async def test_a_waiting_operation_with_an_outcome_has_run_and_does_not_run_again(rig: Rig) -> None:
    operation, folder = await left_waiting(rig, epochs=3)
    begin_job(folder).close()
    write_outcome(folder, Outcome("completed", {"of": "the first run"}))
    before = (folder / "bridge").read_bytes()

    await rig.dispatcher.start()

    ended = await rig.end_of(operation)
    metrics, _ = await rig.operations.get_metrics(operation.operation_id)
    assert (ended.status, [metric["epoch"] for metric in metrics]) == (COMPLETED, [1, 2, 3])
    assert (await rig.operations.get_results(operation.operation_id))["of"] == "the first run"
    assert (folder / "bridge").read_bytes() == before
    await rig.close()


@pytest.mark.parametrize("status", ["cancelled", "failed"])
async def test_every_kind_of_outcome_decides_against_a_waiting_record(rig: Rig, status: str) -> None:
    operation, folder = await left_waiting(rig)
    write_outcome(folder, Outcome("cancelled") if status == "cancelled" else Outcome.failed("x", "as it was"))

    await rig.dispatcher.start()

    assert (await rig.end_of(operation)).status == status.upper()
    await rig.close()


@pytest.mark.parametrize("sign", ["crash log", "bridge"])
async def test_a_waiting_operation_whose_job_has_begun_failed_with_its_worker(rig: Rig, sign: str) -> None:
    operation, folder = await left_waiting(rig, epochs=2 if sign == "bridge" else 0)
    if sign == "crash log":
        begin_job(folder).close()

    await rig.dispatcher.start()

    failed = await rig.end_of(operation)
    assert failed.status is OperationStatus.FAILED
    assert failed.error
    assert "ended while no server was watching" in failed.error["detail"]
    metrics, _ = await rig.operations.get_metrics(operation.operation_id)
    assert len(metrics) == (2 if sign == "bridge" else 0)
    await rig.close()


@pytest.mark.processes
@pytest.mark.parametrize("record", ["waiting", "wall clock", "another worker"])
async def test_a_worker_at_work_is_adopted_whatever_the_record_says(tmp_path: Path, record: str) -> None:
    before = build(InMemoryOperationStore(), tmp_path)
    operation, folder = await left_waiting(before, do="wait")
    pid = started_by_another(folder)
    recorded = {
        # As version 0.1.0 recorded it, on a clock that was set since by an hour.
        "wall clock": WorkerIdentity(pid, psutil.Process(pid).create_time() - 3600.0),
        "another worker": replace(identify(os.getpid()), started_at=1.0),
    }
    if record in recorded:
        await before.operations.start_operation(operation.operation_id, recorded[record])
    await before.operations.close()
    while not (folder / "begun").exists():  # noqa: ASYNC110 (no event to wait for)
        await asyncio.sleep(0.01)

    after = build(before.store, tmp_path, local("spawn", tmp_path))
    await after.dispatcher.start()

    (adopted,) = after.operations.running()
    assert adopted.worker == identify(pid)
    await health_of(after).check()
    await health_of(after).check()
    assert len(after.operations.running()) == 1
    await after.dispatcher.cancel(operation.operation_id)
    assert (await after.end_of(operation)).status is OperationStatus.CANCELLED
    await after.close()


@pytest.mark.processes
async def test_a_copied_home_leaves_the_workers_of_the_original_alone(tmp_path: Path) -> None:
    original = build(InMemoryOperationStore(), tmp_path / "original")
    operation, folder = await left_waiting(original, do="wait")
    worker = identify(started_by_another(folder))
    await original.operations.start_operation(operation.operation_id, worker)
    while not (folder / "begun").exists():  # noqa: ASYNC110 (no event to wait for)
        await asyncio.sleep(0.01)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")

    copy = build(original.store, tmp_path / "copy", local("spawn", tmp_path))
    await copy.dispatcher.start()

    assert (await copy.end_of(operation)).status is OperationStatus.FAILED
    assert is_alive(worker)
    send_signal(worker, signal.SIGKILL)
    for rig in (original, copy):
        await rig.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("name", ["outcome.json", "bridge"])
async def test_what_cannot_be_read_at_an_end_decides_nothing_and_is_read_later(
    rig: Rig, name: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.dispatcher.start()
    operation = await rig.launch(do="wait")
    folder = rig.dispatcher.folder(operation.operation_id)

    with unreadable(folder / name, number):
        (folder / "go").touch()
        while "cannot be recorded yet" not in caplog.text:  # noqa: ASYNC110 (no event to wait for)
            await asyncio.sleep(0.01)
        shown = await rig.operations.get_operation(operation.operation_id)
        await health_of(rig).check()

    assert shown.status is OperationStatus.RUNNING
    assert os.strerror(number) in shown.progress["unreadable"]
    await health_of(rig).check()
    ended = await rig.end_of(operation)
    assert (ended.status, ended.progress.get("unreadable")) == (COMPLETED, None)
    assert (await rig.operations.get_results(operation.operation_id))["operation"] == operation.operation_id
    await rig.close()


async def test_a_cancel_ends_what_stays_unreadable_and_says_so(rig: Rig) -> None:
    operation, folder = await left_waiting(rig, epochs=2)
    await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))
    write_outcome(folder, Outcome("completed"))

    with unreadable(outcome_of(folder)), unreadable(folder / "bridge"):
        await rig.dispatcher.start()
        await health_of(rig).check()
        cancelled = await rig.dispatcher.cancel(operation.operation_id)

    assert cancelled.status is OperationStatus.CANCELLED
    assert "could not be read" in (await rig.operations.get_results(operation.operation_id))["note"]
    await rig.close()


async def test_without_a_free_descriptor_no_worker_is_taken_for_dead(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.dispatcher.start()
    operation, folder = await left_waiting(rig)
    running = await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))
    begin_job(folder).close()

    def refuse(_: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        with pytest.raises(StorageError, match="Too many open files"):
            await rig.dispatcher.settle_lost(running)
        assert (await rig.operations.get_operation(operation.operation_id)).status is OperationStatus.RUNNING
    await rig.dispatcher.look_again()

    assert (await rig.end_of(operation)).status is OperationStatus.FAILED
    await rig.close()


async def test_how_a_worker_ended_is_remembered_until_it_can_be_recorded(rig: Rig) -> None:
    await rig.dispatcher.start()
    operation, folder = await left_waiting(rig)
    await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))
    begin_job(folder).close()

    with unreadable(crash_log_of(folder)):
        await rig.dispatcher._on_exited(WorkerExit(operation.operation_id, -signal.SIGABRT))
        await rig.dispatcher.settle_lost(operation)
    await rig.dispatcher.look_again()

    failed = await rig.end_of(operation)
    assert failed.error
    assert "was killed by SIGABRT" in failed.error["detail"]
    await rig.close()


async def test_what_cannot_be_taken_up_at_a_start_is_taken_up_later(rig: Rig) -> None:
    operation, folder = await left_waiting(rig)

    with unreadable(folder / "bridge"):
        await rig.dispatcher.start()
        shown = await rig.operations.get_operation(operation.operation_id)
    await health_of(rig).check()

    assert shown.status is PENDING
    assert (await rig.end_of(operation)).status is COMPLETED
    await rig.close()


async def test_what_cannot_be_taken_up_can_be_cancelled(rig: Rig) -> None:
    operation, folder = await left_waiting(rig)

    with unreadable(folder / "bridge"):
        await rig.dispatcher.start()
        cancelled = await rig.dispatcher.cancel(operation.operation_id)
    await rig.dispatcher.look_again()

    assert cancelled.status is OperationStatus.CANCELLED
    await rig.close()


async def test_an_end_that_two_checks_see_at_once_is_settled_once(rig: Rig) -> None:
    await rig.dispatcher.start()
    operation, _ = await left_waiting(rig)
    running = await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))

    await asyncio.gather(rig.dispatcher.settle_lost(running), rig.dispatcher.settle_lost(running))

    assert (await rig.end_of(operation)).status is COMPLETED  # it had not begun, so it was queued, once
    await rig.close()


async def test_a_job_that_its_worker_could_not_read_waits_and_is_begun_later(rig: Rig) -> None:
    await rig.dispatcher.start()
    operation, _ = await left_waiting(rig)
    await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))

    await rig.dispatcher._on_exited(WorkerExit(operation.operation_id, JOB_UNREADABLE))
    shown = await rig.operations.get_operation(operation.operation_id)
    await rig.dispatcher.look_again()

    assert shown.status is OperationStatus.RUNNING
    assert (await rig.end_of(operation)).status is COMPLETED
    await rig.close()


UNWRITABLE = """
import errno, os, resource, sys
from pathlib import Path
from ktrdr.executors import worker

def refuse(folder, outcome):
    if sys.argv[3] == "everything":
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    raise OSError(int(sys.argv[2]), os.strerror(int(sys.argv[2])))

if sys.argv[3] == "once":
    write = worker.write_outcome
    def refuse_once(folder, outcome):
        worker.write_outcome = write
        refuse(folder, outcome)
    worker.write_outcome = refuse_once
else:
    worker.write_outcome = refuse
worker.run_job(worker.Order("tests.contracts.jobs:run", "op", Path(sys.argv[1])), worker.StopSignal())
"""


async def test_a_disk_that_takes_no_reason_either_is_named(rig: Rig) -> None:
    await rig.dispatcher.start()
    operation, _ = await left_waiting(rig)
    await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))

    await rig.dispatcher._on_exited(WorkerExit(operation.operation_id, OUTCOME_UNWRITABLE))

    failed = await rig.end_of(operation)
    assert failed.error
    assert failed.error["detail"].startswith("the disk took neither the results nor the reason; it had reached")
    await rig.close()


@pytest.mark.processes
async def test_a_worker_that_can_write_nothing_at_all_ends_with_the_code_that_says_so(rig: Rig) -> None:
    _, folder = await left_waiting(rig)
    arguments = (str(folder), str(errno.EFBIG), "everything")
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", UNWRITABLE, *arguments)

    assert await worker.wait() == OUTCOME_UNWRITABLE
    assert not outcome_of(folder).exists()
    await rig.close()


@pytest.mark.processes
@pytest.mark.parametrize("times", ["once", "always"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_why_an_outcome_could_not_be_written_reaches_the_record(rig: Rig, number: int, times: str) -> None:
    await rig.dispatcher.start()
    operation, folder = await left_waiting(rig)
    await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", UNWRITABLE, str(folder), str(number), times)

    await rig.dispatcher._on_exited(WorkerExit(operation.operation_id, await worker.wait()))

    failed = await rig.end_of(operation)
    assert failed.error
    assert failed.error["code"] == "storage_failed"
    assert f"the results could not be written: {os.strerror(number)}" in failed.error["detail"]
    assert json.loads(outcome_of(folder).read_bytes())["status"] == "failed"
    await rig.close()
