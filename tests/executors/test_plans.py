"""Operations made of operations: parts as operations of their own, and a whole that ends after them."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.executors.executor import Executor
from ktrdr.executors.inline import InlineExecutor
from ktrdr.executors.local import LocalExecutor
from ktrdr.home import Home
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.operation import Operation
from ktrdr.operations.plan import Finish, Part, PartRequest, Plan, Start
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore
from tests.contracts.test_executors import LANE, local

pytestmark = pytest.mark.anyio

PATIENCE_S = 30.0
COMPLETED, FAILED, CANCELLED = OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED


@dataclass(frozen=True)
class AllAtOnce:
    """As many parts as the payload's list has, each doing what it says for its place; a list there is a whole itself.

    A part that has refused is tried once more, with what the payload says under `then`.
    """

    payload: Mapping[str, Any]

    @property
    def total(self) -> int:
        return len(self.payload["parts"])

    @property
    def goes_on_without(self) -> bool:
        return False

    @property
    def taken_over(self) -> Mapping[int, str]:
        return {int(index): name for index, name in self.payload.get("taken_over", {}).items()}

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        again = [part for part in ended if part.status is FAILED and part.attempts == 1 and "then" in self.payload]
        if again or len(ended) < self.total:
            then = [
                replace(self._request(part.index, self.payload["then"]), replaces=part.operation_id) for part in again
            ]
            return Start([*then, *(self._request(index, self.payload["parts"][index]) for index in range(self.total))])
        missing = [part.index for part in ended if not part.is_completed]
        return Finish({"code": "error", "detail": f"parts {missing} did not complete", "hint": ""} if missing else None)

    def records(self, ended: Sequence[Part]) -> Iterable[Sequence[float]]:
        return [(part.index,) for part in ended if part.is_completed]

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        return {"completed": [part.index for part in ended if part.is_completed]}

    def _request(self, index: int, what: str | list[str]) -> PartRequest:
        do: Mapping[str, Any] = {"do": what} if isinstance(what, str) else {"parts": what}
        return PartRequest(index, "PART", {**do, "index": index}, {"place": index})


class Table:
    def lane(self, operation: Operation) -> str:
        return LANE.name

    def shares_worker(self, operation: Operation) -> bool:
        return False

    def create_bridge(self, operation: Operation, path: Path) -> None:
        if operation.payload.get("do") == "find no room":
            raise OSError(errno.ENOSPC, "No space left on device")
        parts = len(operation.payload.get("parts", ()))
        layout = BridgeLayout(phases=(f"{{items}} of {parts} parts",), total_steps=parts, columns=("index",))
        ProgressBridge.create(path, layout if parts else BridgeLayout(phases=("Working",), total_steps=1))

    def announce(self, operation: Operation) -> None:
        pass

    def plan(self, operation: Operation) -> Plan | None:
        return AllAtOnce(operation.payload) if "parts" in operation.payload else None

    def part_index(self, operation: Operation) -> int | None:
        return operation.payload.get("index")


@dataclass
class Server:
    operations: OperationsService
    executor: Executor
    dispatcher: Dispatcher

    async def launch(self, *parts: str | list[str], **payload: Any) -> str:
        whole, _ = await self.operations.create_operation(
            "WHOLE", metadata={}, payload={"parts": list(parts), **payload}
        )
        return (await self.dispatcher.launch(whole)).operation_id

    async def parts(self, whole_id: str) -> list[Operation]:
        parts = await self.dispatcher.plans.parts_of(await self.operations.get_operation(whole_id))
        return list(parts.values())

    async def end_of(self, operation_id: str) -> Operation:
        return await self.operations.wait_for_end(operation_id, PATIENCE_S)

    def let_go(self, operation: Operation) -> None:
        (self.dispatcher.folder(operation.operation_id) / "go").touch()

    async def close(self) -> None:
        await self.dispatcher.close()
        await self.operations.close()


@pytest.fixture
async def store() -> InMemoryOperationStore:
    return InMemoryOperationStore()


async def serve(store: InMemoryOperationStore, root: Path, executor: Executor | None = None) -> Server:
    """A server on what an earlier one left, if there was one; by default its workers are threads that end with it."""
    operations = OperationsService(store, cache_ttl=0)
    runs = executor or InlineExecutor([LANE])
    dispatcher = Dispatcher(operations, runs, Table(), Home(root))
    await dispatcher.start()
    return Server(operations, runs, dispatcher)


@pytest.fixture
async def server(store: InMemoryOperationStore, tmp_path: Path) -> AsyncIterator[Server]:
    server = await serve(store, tmp_path)
    yield server
    await server.close()


async def test_a_whole_completes_after_its_parts_with_the_results_of_its_own_job(server: Server) -> None:
    whole_id = await server.launch("complete", "complete", "complete")

    whole = await server.end_of(whole_id)

    assert (whole.status, whole.progress["percentage"], whole.progress["message"]) == (COMPLETED, 100.0, "3 of 3 parts")
    assert [part.status for part in await server.parts(whole_id)] == [COMPLETED] * 3
    assert (await server.operations.get_results(whole_id))["operation"] == whole_id
    metrics, cursor = await server.operations.get_metrics(whole_id)
    assert (sorted(metric["index"] for metric in metrics), cursor) == ([0, 1, 2], 3)


async def test_its_progress_is_made_of_its_parts(server: Server) -> None:
    whole_id = await server.launch("complete", "wait", "wait", "wait")
    first, *waiting = await server.parts(whole_id)
    await server.end_of(first.operation_id)

    whole = await server.operations.get_operation(whole_id, force_refresh=True)

    assert (whole.status, whole.worker) == (OperationStatus.RUNNING, None)
    assert (whole.progress["message"], whole.progress["percentage"]) == ("1 of 4 parts", 25.0)
    running = [part for part in await server.parts(whole_id) if part.status is OperationStatus.RUNNING]
    assert running
    assert [part["operation_id"] for part in whole.progress["running_parts"]] == [one.operation_id for one in running]
    assert all(part["number"] > 1 for part in whole.progress["running_parts"])
    for part in waiting:
        server.let_go(part)
    assert (await server.end_of(whole_id)).status is COMPLETED


async def test_a_cancelled_whole_ends_after_its_parts_and_counts_what_completed(server: Server) -> None:
    whole_id = await server.launch("complete", "wait", "wait")
    first, *others = await server.parts(whole_id)
    await server.end_of(first.operation_id)

    await server.dispatcher.cancel(whole_id)
    whole = await server.end_of(whole_id)

    ends = [await server.operations.get_operation(part.operation_id) for part in (first, *others)]
    assert [part.status for part in ends] == [COMPLETED, CANCELLED, CANCELLED]
    assert whole.status is CANCELLED
    assert whole.completed_at
    assert all(part.completed_at and part.completed_at <= whole.completed_at for part in ends)
    assert (whole.progress["message"], whole.progress["percentage"]) == (
        "Cancelled: 1 of 3 parts",
        33.33,
    )
    assert (await server.operations.get_results(whole_id))["completed"] == [0]


async def test_a_part_that_fails_fails_the_whole_once_all_have_ended(server: Server) -> None:
    whole_id = await server.launch("complete", "refuse", "complete")

    whole = await server.end_of(whole_id)

    assert whole.status is FAILED
    assert whole.error
    assert whole.error["detail"] == "parts [1] did not complete"
    assert (await server.operations.get_results(whole_id))["completed"] == [0, 2]


async def test_a_part_that_cannot_be_launched_costs_the_others_nothing(server: Server) -> None:
    whole_id = await server.launch("complete", "find no room", "complete")

    whole = await server.end_of(whole_id)

    assert whole.status is FAILED
    assert [part.status for part in await server.parts(whole_id)] == [COMPLETED, FAILED, COMPLETED]
    assert (await server.operations.get_results(whole_id))["completed"] == [0, 2]


async def test_a_part_is_tried_again_where_the_plan_says_so(server: Server) -> None:
    whole_id = await server.launch("complete", "refuse", then="complete")

    whole = await server.end_of(whole_id)

    assert whole.status is COMPLETED
    assert [part.status for part in await server.parts(whole_id)] == [COMPLETED, COMPLETED]
    children = await server.operations.children(whole_id)
    assert [(child.payload["index"], child.status) for child in children] == [
        (0, COMPLETED),
        (1, FAILED),
        (1, COMPLETED),
    ]


async def test_a_part_may_be_a_whole_itself(server: Server) -> None:
    whole_id = await server.launch("complete", ["complete", "complete"])

    whole = await server.end_of(whole_id)

    assert (whole.status, whole.progress["message"]) == (COMPLETED, "2 of 2 parts")
    _, inner = await server.parts(whole_id)
    assert [part.status for part in await server.parts(inner.operation_id)] == [COMPLETED, COMPLETED]
    assert (await server.operations.get_results(inner.operation_id))["operation"] == inner.operation_id


async def test_a_cancel_reaches_the_parts_of_parts(server: Server) -> None:
    whole_id = await server.launch(["complete", "wait"], ["wait"])
    first, second = await server.parts(whole_id)
    done, *_ = await server.parts(first.operation_id)
    await server.end_of(done.operation_id)

    await server.dispatcher.cancel(whole_id)

    assert (await server.end_of(whole_id)).status is CANCELLED
    inner = [await server.operations.get_operation(each.operation_id) for each in (first, second)]
    assert [each.status for each in inner] == [CANCELLED, CANCELLED]
    assert [part.status for part in await server.parts(first.operation_id)] == [COMPLETED, CANCELLED]


async def test_parts_of_an_earlier_attempt_are_taken_over(server: Server) -> None:
    earlier = await server.launch("complete", "refuse")
    await server.end_of(earlier)
    first, _ = await server.parts(earlier)

    whole_id = await server.launch("complete", "complete", taken_over={"0": first.operation_id})

    assert (await server.end_of(whole_id)).status is COMPLETED
    again, second = await server.parts(whole_id)
    assert again.operation_id == first.operation_id
    assert second.parent_id == whole_id


async def test_the_end_of_a_whole_is_queued_once_however_often_the_plan_is_asked(server: Server) -> None:
    whole_id = await server.launch("wait", "complete")
    running, _ = await server.parts(whole_id)
    blocker, _ = await server.operations.create_operation("OTHER", metadata={}, payload={"do": "wait"})
    blocker = await server.dispatcher.launch(blocker)
    server.let_go(running)
    while server.executor.queue(LANE.name) != [whole_id]:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0.01)

    await server.dispatcher.plans.advance(whole_id)

    assert server.executor.queue(LANE.name) == [whole_id]
    server.let_go(blocker)
    assert (await server.end_of(whole_id)).status is COMPLETED


async def test_a_whole_whose_end_is_queued_can_be_cancelled(server: Server) -> None:
    whole_id = await server.launch("wait", "complete")
    running, _ = await server.parts(whole_id)
    blocker, _ = await server.operations.create_operation("OTHER", metadata={}, payload={"do": "wait"})
    blocker = await server.dispatcher.launch(blocker)
    server.let_go(running)
    while server.executor.queue(LANE.name) != [whole_id]:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0.01)

    await server.dispatcher.cancel(whole_id)

    assert (await server.end_of(whole_id)).status is CANCELLED
    assert server.executor.queue(LANE.name) == []
    server.let_go(blocker)


async def test_a_whole_that_is_cancelled_while_it_is_launched_starts_no_part(server: Server) -> None:
    whole, _ = await server.operations.create_operation("WHOLE", metadata={}, payload={"parts": ["complete"]})

    await server.dispatcher.cancel(whole.operation_id)
    await server.dispatcher.launch(whole)

    assert (await server.end_of(whole.operation_id)).status is CANCELLED
    assert await server.parts(whole.operation_id) == []


def one_process_at_a_time(root: Path) -> LocalExecutor:
    return local("spawn", root, replace(LANE, limit=1, standby=0))


@pytest.mark.processes
@pytest.mark.processes
async def test_a_restarted_server_goes_on_with_a_whole(store: InMemoryOperationStore, tmp_path: Path) -> None:
    before = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole_id = await before.launch("complete", "wait", "complete")
    parts = await before.parts(whole_id)
    await before.end_of(parts[0].operation_id)
    await before.close()
    before.let_go(parts[1])

    after = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole = await after.end_of(whole_id)

    assert whole.status is COMPLETED
    assert [part.operation_id for part in await after.parts(whole_id)] == [part.operation_id for part in parts]
    metrics, _ = await after.operations.get_metrics(whole_id)
    assert sorted(metric["index"] for metric in metrics) == [0, 1, 2]
    await after.close()


@pytest.mark.processes
async def test_a_restarted_server_goes_on_with_a_whole_within_a_whole(
    store: InMemoryOperationStore, tmp_path: Path
) -> None:
    before = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole_id = await before.launch(["complete", "wait"], "complete")
    inner, _ = await before.parts(whole_id)
    done, waiting = await before.parts(inner.operation_id)
    await before.end_of(done.operation_id)
    await before.close()
    before.let_go(waiting)

    after = await serve(store, tmp_path, one_process_at_a_time(tmp_path))

    assert (await after.end_of(whole_id)).status is COMPLETED
    assert [part.operation_id for part in await after.parts(inner.operation_id)] == [
        done.operation_id,
        waiting.operation_id,
    ]
    await after.close()


@pytest.mark.processes
@pytest.mark.processes
async def test_a_part_that_a_killed_server_had_only_recorded_is_launched(
    store: InMemoryOperationStore, tmp_path: Path
) -> None:
    before = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole_id = await before.launch("wait", "complete")
    running, recorded = await before.parts(whole_id)
    await before.close()
    shutil.rmtree(before.dispatcher.folder(recorded.operation_id))
    before.let_go(running)

    after = await serve(store, tmp_path, one_process_at_a_time(tmp_path))

    assert (await after.end_of(whole_id)).status is COMPLETED
    assert [part.operation_id for part in await after.parts(whole_id)] == [running.operation_id, recorded.operation_id]
    await after.close()


@pytest.mark.processes
@pytest.mark.processes
async def test_a_cancel_that_a_restart_interrupted_is_finished(store: InMemoryOperationStore, tmp_path: Path) -> None:
    before = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole_id = await before.launch("complete", "wait", "wait")
    first, *_ = await before.parts(whole_id)
    await before.end_of(first.operation_id)
    await before.dispatcher.plans.cancel(whole_id)  # and no part was asked to end yet
    await before.close()

    after = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole = await after.end_of(whole_id)

    assert whole.status is CANCELLED
    assert [part.status for part in await after.parts(whole_id)] == [COMPLETED, CANCELLED, CANCELLED]
    await after.close()


@pytest.mark.processes
@pytest.mark.processes
async def test_the_end_of_a_whole_outlives_the_server(store: InMemoryOperationStore, tmp_path: Path) -> None:
    before = await serve(store, tmp_path, one_process_at_a_time(tmp_path))
    whole_id = await before.launch("complete", do="wait")
    while (await before.operations.get_operation(whole_id)).worker is None:  # noqa: ASYNC110 (nothing to be told by)
        await asyncio.sleep(0.01)
    await before.close()
    (tmp_path / "operations" / whole_id / "go").touch()

    after = await serve(store, tmp_path, one_process_at_a_time(tmp_path))

    assert (await after.end_of(whole_id)).status is COMPLETED
    await after.close()
