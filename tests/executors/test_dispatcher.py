"""From a created operation to its end, over every way in which a worker can end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ktrdr.errors import OperationTerminal, StorageError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.executors.executor import Executor
from ktrdr.executors.identity import identify, is_gone
from ktrdr.executors.inline import InlineExecutor
from ktrdr.executors.outcome import INPUT, Outcome, begin_job, write_job, write_outcome
from ktrdr.executors.template import PR_SET_CHILD_SUBREAPER, prctl
from ktrdr.executors.work import WorkTable
from ktrdr.home import Home
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.health import HealthService
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore
from tests.contracts.test_executors import LANE, local

pytestmark = pytest.mark.anyio

PATIENCE_S = 30.0


class OneLane(WorkTable):
    """Every operation is a job of the contract suite's lane."""

    def lane(self, operation: Operation) -> str:
        return LANE.name

    def shares_worker(self, operation: Operation) -> bool:
        return False

    def create_bridge(self, operation: Operation, path: Path) -> None:
        ProgressBridge.create(path, BridgeLayout(phases=("Working",), total_steps=1))

    def announce(self, operation: Operation) -> None:
        pass

    def plan(self, operation: Operation) -> None:
        return None

    def part_index(self, operation: Operation) -> None:
        return None


@dataclass
class Rig:
    store: InMemoryOperationStore
    operations: OperationsService
    dispatcher: Dispatcher
    executor: Executor

    async def create(self, **payload: Any) -> Operation:
        operation, _ = await self.operations.create_operation("TEST", metadata={}, payload=payload)
        return operation

    async def launch(self, **payload: Any) -> Operation:
        return await self.dispatcher.launch(await self.create(**payload))

    async def close(self) -> None:
        await self.dispatcher.close()
        await self.operations.close()

    async def end_of(self, operation: Operation) -> Operation:
        return await self.operations.wait_for_end(operation.operation_id, PATIENCE_S)


def build(
    store: InMemoryOperationStore,
    root: Path,
    executor: Executor | None = None,
    *,
    cancel_grace_s: float = PATIENCE_S,
    **options: Any,
) -> Rig:
    operations = OperationsService(store, **options)
    runs = executor or InlineExecutor([LANE])
    dispatcher = Dispatcher(operations, runs, OneLane(), Home(root), cancel_grace_s=cancel_grace_s)
    return Rig(store, operations, dispatcher, runs)


def health_of(rig: Rig, **options: Any) -> HealthService:
    defaults = {
        "is_gone": is_gone,
        "settle": rig.dispatcher.settle_lost,
        "look_again": rig.dispatcher.look_again,
        "refill": lambda: None,
    }
    return HealthService(rig.operations, **{**defaults, **options})


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = build(InMemoryOperationStore(), tmp_path)
    await rig.dispatcher.start()
    yield rig
    await rig.close()


async def test_a_result_completes_the_operation(rig: Rig) -> None:
    operation = await rig.launch()

    assert operation.status is OperationStatus.RUNNING
    assert (await rig.end_of(operation)).status is OperationStatus.COMPLETED
    results = await rig.operations.get_results(operation.operation_id)
    assert results["operation"] == operation.operation_id


async def test_an_error_fails_it_with_its_words(rig: Rig) -> None:
    failed = await rig.end_of(await rig.launch(do="refuse"))

    assert failed.status is OperationStatus.FAILED
    assert failed.error == {
        "code": "invalid_input",
        "detail": "the job does not like it",
        "hint": "ask for another",
    }


async def test_a_cancelled_job_keeps_what_it_had(rig: Rig) -> None:
    operation = await rig.launch(do="wait")

    still_running = await rig.dispatcher.cancel(operation.operation_id)
    await rig.dispatcher.cancel(operation.operation_id)

    assert still_running.status is OperationStatus.RUNNING
    assert (await rig.end_of(operation)).status is OperationStatus.CANCELLED
    results = await rig.operations.get_results(operation.operation_id)
    assert (results["status"], results["partial"], results["metrics_recorded"]) == ("cancelled", True, 0)
    with pytest.raises(OperationTerminal, match="CANCELLED"):
        await rig.dispatcher.cancel(operation.operation_id)


@pytest.mark.processes
async def test_a_worker_that_does_not_stop_is_ended_after_the_grace_time_and_that_is_told(tmp_path: Path) -> None:
    executor = local("spawn", tmp_path)
    rig = build(InMemoryOperationStore(), tmp_path, executor, cancel_grace_s=0.2)
    await rig.dispatcher.start()
    operation = await rig.launch(do="wait")
    assert operation.worker
    os.kill(operation.worker.pid, signal.SIGSTOP)

    await rig.dispatcher.cancel(operation.operation_id)

    assert (await rig.end_of(operation)).status is OperationStatus.CANCELLED
    results = await rig.operations.get_results(operation.operation_id)
    assert results["status"] == "cancelled"
    assert "did not stop within 0.2 s" in results["note"]
    await rig.close()


async def test_waiting_operations_know_their_place_and_move_up(rig: Rig) -> None:
    running = await rig.launch(do="wait")
    first, second, third = [await rig.launch(do="wait") for _ in range(3)]
    assert [o.progress["queue_position"] for o in (first, second, third)] == [1, 2, 3]

    await rig.dispatcher.cancel(second.operation_id)

    moved = await rig.operations.get_operation(third.operation_id)
    assert moved.progress["message"] == "Waiting, place 2 in the queue"
    (rig.dispatcher.folder(running.operation_id) / "go").touch()
    await rig.end_of(running)
    await asyncio.sleep(0.01)
    started = await rig.operations.get_operation(first.operation_id)
    assert started.status is OperationStatus.RUNNING
    assert "queue_position" not in started.progress
    for operation in (third, first):
        await rig.dispatcher.cancel(operation.operation_id)
    await rig.end_of(first)


async def test_a_folder_that_cannot_be_written_fails_the_operation(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rig = build(InMemoryOperationStore(), tmp_path / "file")
    await rig.dispatcher.start()
    operation = await rig.create()

    with pytest.raises(StorageError, match="cannot be written"):
        await rig.dispatcher.launch(operation)

    failed = await rig.operations.get_operation(operation.operation_id)
    assert failed.status is OperationStatus.FAILED


@pytest.mark.processes
@pytest.mark.parametrize(("what", "how"), [("exit", "ended with exit code 0"), ("die", "was killed by SIGKILL")])
async def test_a_worker_without_a_result_is_a_failure(tmp_path: Path, what: str, how: str) -> None:
    executor = local("spawn", tmp_path)
    rig = build(InMemoryOperationStore(), tmp_path, executor)
    await rig.dispatcher.start()

    failed = await rig.end_of(await rig.launch(do=what))

    assert failed.status is OperationStatus.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "worker_died"
    assert how in failed.error["detail"]
    assert 'it had reached "Working"' in failed.error["detail"]
    partial = await rig.operations.get_results(failed.operation_id)
    assert (partial["status"], partial["metrics_recorded"]) == ("failed", 0)
    await rig.close()


async def test_a_restart_settles_what_ended_and_starts_what_waited(tmp_path: Path) -> None:
    store = InMemoryOperationStore()
    before = build(store, tmp_path)
    await before.dispatcher.start()
    done, waiting, unborn = await before.launch(do="wait"), await before.launch(), await before.create()
    # The server dies here, and what waits in it with it.
    before.executor.withdraw(waiting.operation_id)
    (before.dispatcher.folder(done.operation_id) / "outcome.json").write_text('{"status": "completed"}')

    after = build(store, tmp_path)
    await after.dispatcher.start()

    assert (await after.end_of(done)).status is OperationStatus.COMPLETED
    assert (await after.end_of(waiting)).status is OperationStatus.COMPLETED
    assert (await after.end_of(unborn)).status is OperationStatus.FAILED
    await after.close()
    await before.close()


async def test_a_job_that_its_worker_never_got_waits_again(tmp_path: Path) -> None:
    store = InMemoryOperationStore()
    before = build(store, tmp_path)
    await before.dispatcher.start()
    running, waiting = await before.launch(do="wait"), await before.launch()
    # The server dies here, and had not yet given the worker its job.
    before.executor.withdraw(waiting.operation_id)
    (before.dispatcher.folder(running.operation_id) / "crash.log").unlink()

    after = build(store, tmp_path)
    await after.dispatcher.start()
    # No earlier: the thread that plays the lost worker must not end while its folder is looked at.
    (before.dispatcher.folder(running.operation_id) / "go").touch()

    first, second = await after.end_of(running), await after.end_of(waiting)
    assert (first.status, second.status) == (OperationStatus.COMPLETED, OperationStatus.COMPLETED)
    assert first.started_at
    assert second.started_at
    assert first.started_at < second.started_at
    await after.close()
    await before.close()


async def test_what_lay_ready_for_a_job_goes_with_its_end(rig: Rig) -> None:
    def put_input(folder: Path) -> None:
        (folder / INPUT).mkdir()
        (folder / INPUT / "upload.csv").write_text("a gigabyte, say")

    running, waiting = [await rig.dispatcher.launch(await rig.create(do="wait"), put_input) for _ in range(2)]
    assert (rig.dispatcher.folder(waiting.operation_id) / INPUT).is_dir()

    for operation in (waiting, running):
        await rig.dispatcher.cancel(operation.operation_id)
        await rig.end_of(operation)
        assert not (rig.dispatcher.folder(operation.operation_id) / INPUT).exists()


ANOTHER_SERVER = """
import sys
from pathlib import Path
from ktrdr.executors.spawn import spawn
from ktrdr.executors.worker import Order
folder = Path(sys.argv[1])
process = spawn("ktrdr.executors.worker", str(folder / "log"), "INFO", "tests.contracts.jobs:warm_up")
process.send(Order("tests.contracts.jobs:run", folder.name, folder))
print(process.worker.pid)
"""


def started_by_another(folder: Path) -> int:
    """The worker of a server that has ended."""
    return int(
        subprocess.run([sys.executable, "-c", ANOTHER_SERVER, folder], check=True, stdout=subprocess.PIPE).stdout
    )


@pytest.fixture
def _no_subreaper() -> None:
    """Where workers were forks before, orphans have become children of this process, which knows how they end."""
    if sys.platform == "linux":
        prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.processes
@pytest.mark.usefixtures("_no_subreaper")
@pytest.mark.parametrize(
    ("number", "how"),
    [
        (signal.SIGKILL, "its exit code is known only to the server that started it"),
        (signal.SIGSEGV, "crashed (Segmentation fault)"),
    ],
)
async def test_an_adopted_worker_is_known_before_anybody_asks(tmp_path: Path, number: signal.Signals, how: str) -> None:
    before = build(InMemoryOperationStore(), tmp_path)
    operation = await before.create(do="wait")
    folder = before.dispatcher.folder(operation.operation_id)
    folder.mkdir(parents=True)
    OneLane().create_bridge(operation, folder / "bridge")
    (folder / "job.json").write_text(json.dumps(dict(operation.payload)))
    await before.operations.start_operation(operation.operation_id, identify(started_by_another(folder)))
    await before.operations.close()

    after = build(before.store, tmp_path, local("spawn", tmp_path))
    await after.dispatcher.start()
    (adopted,) = after.operations.running()
    assert adopted.worker is not None
    while not (folder / "begun").exists():  # noqa: ASYNC110 (no event to wait for)
        await asyncio.sleep(0.01)
    os.kill(adopted.worker.pid, number)

    failed = await after.end_of(operation)
    assert failed.error is not None
    assert how in failed.error["detail"]
    await after.close()


@pytest.mark.processes
async def test_what_waits_starts_only_where_those_that_run_leave_room(tmp_path: Path) -> None:
    store = InMemoryOperationStore()
    before = build(store, tmp_path, local("spawn", tmp_path))
    await before.dispatcher.start()
    running, waiting = await before.launch(do="wait"), await before.launch()
    await before.close()
    older = await store.get(waiting.operation_id)
    assert older
    await store.update(replace(older, created_at=running.created_at - timedelta(seconds=1)))

    after = build(store, tmp_path, local("spawn", tmp_path))
    await after.dispatcher.start()
    assert (await after.operations.get_operation(waiting.operation_id)).status is OperationStatus.PENDING
    (after.dispatcher.folder(running.operation_id) / "go").touch()

    first, second = await after.end_of(running), await after.end_of(waiting)
    assert (first.status, second.status) == (OperationStatus.COMPLETED, OperationStatus.COMPLETED)
    await after.close()


async def test_leftovers_go_once_the_end_is_recorded(tmp_path: Path) -> None:
    rig = build(InMemoryOperationStore(), tmp_path / "home")
    await rig.dispatcher.start()
    operation = await rig.launch(do="wait")
    kept, leftover, elsewhere = (tmp_path / "home" / "kept", tmp_path / "home" / "leftover", tmp_path / "elsewhere")
    for folder in (kept, leftover, elsewhere):
        folder.mkdir(parents=True)
    outcome = Outcome("completed", leftovers=("leftover", str(elsewhere)))
    write_outcome(rig.dispatcher.folder(operation.operation_id), outcome)

    await rig.dispatcher.settle_lost(operation)

    assert (await rig.end_of(operation)).status is OperationStatus.COMPLETED
    assert (kept.exists(), leftover.exists()) == (True, False)
    assert elsewhere.exists(), "a copied home must not touch the one that it was copied from"
    await rig.close()


async def test_health_ends_only_what_is_lost_twice(tmp_path: Path) -> None:
    rig = build(InMemoryOperationStore(), tmp_path)
    operation = await rig.create()
    write_job(rig.dispatcher.folder(operation.operation_id), {})
    begin_job(rig.dispatcher.folder(operation.operation_id)).close()
    await rig.operations.start_operation(operation.operation_id, WorkerIdentity(1, 1.0))
    refills: list[None] = []
    health = health_of(rig, is_gone=lambda worker: True, refill=lambda: refills.append(None))

    await health.check()
    assert (await rig.operations.get_operation(operation.operation_id)).status is OperationStatus.RUNNING
    await health.check()

    lost = await rig.operations.get_operation(operation.operation_id)
    assert lost.status is OperationStatus.FAILED
    assert lost.error is not None
    assert "without leaving a result" in lost.error["detail"]
    assert len(refills) == 2


@pytest.mark.processes
async def test_a_silent_operation_is_shown_as_stalled_and_failed_only_when_asked(tmp_path: Path) -> None:
    executor = local("spawn", tmp_path)
    rig = build(InMemoryOperationStore(), tmp_path, executor, stall_timeout_s=0.05)
    await rig.dispatcher.start()
    operation = await rig.launch(do="wait")
    await asyncio.sleep(0.1)

    shown = await rig.operations.get_operation(operation.operation_id, force_refresh=True)
    assert shown.progress["stalled"] is True
    assert shown.status is OperationStatus.RUNNING
    await health_of(rig).check()
    assert (await rig.operations.get_operation(operation.operation_id)).status is OperationStatus.RUNNING

    await health_of(rig, fail_stalled=rig.dispatcher.fail_stalled).check()

    failed = await rig.end_of(operation)
    assert failed.error is not None
    assert failed.error["code"] == "stalled"
    assert re.search(r'reported nothing for 0\.\d s, last "Working"', failed.error["detail"])
    await rig.close()
