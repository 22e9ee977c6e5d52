from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ktrdr.errors import (
    BridgeError,
    ConflictError,
    CursorError,
    OperationNotFound,
    OperationNotTerminal,
    OperationTerminal,
)
from ktrdr.operations.bridge import BridgeFileError, BridgeLayout, ProgressBridge
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore

pytestmark = pytest.mark.anyio

LAYOUT = BridgeLayout(
    phases=("Initializing training...", "Epoch {step}/{total}"),
    total_steps=10,
    columns=("epoch", "val_loss"),
    integer_columns=("epoch",),
    step_field="epoch_index",
    total_field="total_epochs",
    planned_records=10,
)
WORKER = WorkerIdentity(1, 1.0)


class Writer(ProgressBridge):
    def epoch(self, number: int) -> None:
        self._append_metric(number, 1 / number)
        self._update_state(1, number, 1, 1, number * 32)


@pytest.fixture
def store() -> InMemoryOperationStore:
    return InMemoryOperationStore()


@pytest.fixture
async def service(store: InMemoryOperationStore) -> AsyncIterator[OperationsService]:
    service = OperationsService(store, cache_ttl=60.0)
    yield service
    await service.close()


async def create(service: OperationsService) -> Operation:
    operation, _ = await service.create_operation(
        "TRAINING", metadata={"symbols": ["AAPL"]}, payload={"lane": "training"}
    )
    return operation


Start = Callable[[OperationsService], Awaitable[tuple[str, Writer]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as writers:

        async def start(service: OperationsService) -> tuple[str, Writer]:
            operation_id = (await create(service)).operation_id
            path = tmp_path / operation_id
            ProgressBridge.create(path, LAYOUT)
            service.register_local_bridge(operation_id, ProgressBridge(path))
            await service.start_operation(operation_id, WORKER)
            return operation_id, writers.enter_context(Writer(path, writable=True))

        yield start


async def test_a_new_operation_is_pending_and_named_by_type_and_day(service: OperationsService) -> None:
    operation = await create(service)

    assert operation.status is OperationStatus.PENDING
    kind, day, suffix = operation.operation_id.removeprefix("op_").split("_")
    assert (kind, day) == ("training", f"{operation.created_at:%Y%m%d}")
    assert len(suffix) == 6


async def test_progress_comes_from_the_bridge(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    writer.epoch(3)

    operation = await service.get_operation(operation_id)

    assert operation.status is OperationStatus.RUNNING
    assert operation.progress == {
        "percentage": 30.0,
        "message": "Epoch 3/10",
        "current_step": 3,
        "items_processed": 96,
        "epoch_index": 3,
        "total_epochs": 10,
    }


async def test_within_the_ttl_the_view_is_cached_unless_forced(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    first = await service.get_operation(operation_id)
    writer.epoch(2)

    cached = await service.get_operation(operation_id)
    forced = await service.get_operation(operation_id, force_refresh=True)

    assert cached is first
    assert forced.progress["current_step"] == 2


async def test_after_the_ttl_the_bridge_is_read_again(store: InMemoryOperationStore, start: Start) -> None:
    service = OperationsService(store, cache_ttl=0.0)
    operation_id, writer = await start(service)
    writer.epoch(1)
    await service.get_operation(operation_id)
    writer.epoch(2)

    assert (await service.get_operation(operation_id)).progress["current_step"] == 2
    await service.close()


async def test_many_readers_share_one_refresh(
    service: OperationsService, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ktrdr")
    operation_id, _ = await start(service)

    await asyncio.gather(*(service.get_operation(operation_id) for _ in range(100)))

    messages = [record.getMessage() for record in caplog.records]
    assert sum(message.startswith("Refreshed operation") for message in messages) == 1
    assert sum(message.startswith("Cache hit") for message in messages) == 99


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the service's monotonic clock shows, as its only item."""
    now = [100.0]
    monkeypatch.setattr("ktrdr.operations.service.time.monotonic", lambda: now[0])
    return now


async def test_within_the_ttl_a_cursor_gets_the_same_answer(
    store: InMemoryOperationStore, start: Start, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    service = OperationsService(store, cache_ttl=1.0)
    operation_id, writer = await start(service)
    writer.epoch(1)
    first = await service.get_metrics(operation_id)
    caplog.set_level(logging.DEBUG, "ktrdr")
    writer.epoch(2)

    clock[0] += 0.99
    again = await service.get_metrics(operation_id)
    assert "Cache hit" in caplog.text
    assert "(age=0.9s)" in caplog.text
    clock[0] += 0.01
    later = await service.get_metrics(operation_id)

    assert again == first == ([{**first[0][0]}], 1)
    assert first[0][0]["epoch"] == 1
    assert later[1] == 2
    assert later[0][0] == first[0][0]
    assert "(cursor 1 → 2)" in caplog.text
    await service.close()


async def test_without_a_ttl_every_request_sees_the_newest(store: InMemoryOperationStore, start: Start) -> None:
    service = OperationsService(store, cache_ttl=0.0)
    operation_id, writer = await start(service)

    seen = []
    for number in (1, 2, 3):
        writer.epoch(number)
        seen.append((await service.get_metrics(operation_id))[1])

    assert seen == [1, 2, 3]
    await service.close()


async def test_metrics_and_view_are_of_one_refresh(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    for number in (1, 2, 3):
        writer.epoch(number)
        view = await service.get_operation(operation_id, force_refresh=number == 2)
        metrics, cursor = await service.get_metrics(operation_id)
        assert len(metrics) == cursor == view.progress["current_step"] == service._metrics_cursors[operation_id]

    assert cursor == 2


async def test_a_refresh_between_count_and_state_leaves_metrics_behind_the_view(
    service: OperationsService, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id, writer = await start(service)
    bridge = service._local_bridges[operation_id]
    read = bridge.get_status

    def write_and_read() -> dict[str, object]:
        writer.epoch(1)
        return read()

    monkeypatch.setattr(bridge, "get_status", write_and_read)
    view = await service.get_operation(operation_id)

    assert view.progress["current_step"] == 1
    assert await service.get_metrics(operation_id) == ([], 0)


async def test_the_valid_range_is_what_is_served(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    await service.get_metrics(operation_id)
    writer.epoch(2)

    with pytest.raises(CursorError) as refused:
        await service.get_metrics(operation_id, 2)

    assert refused.value.context["valid_range"] == [0, 1]
    await service.complete_operation(operation_id, {})
    assert (await service.get_metrics(operation_id, 2))[1] == 2


async def test_a_cursor_from_before_a_restart_is_served(
    service: OperationsService, store: InMemoryOperationStore, start: Start
) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    _, cursor = await service.get_metrics(operation_id)

    restarted = OperationsService(store, cache_ttl=60.0)
    await restarted.unfinished()
    restarted.register_local_bridge(operation_id, ProgressBridge(writer.path))

    assert await restarted.get_metrics(operation_id, cursor) == ([], 1)
    await restarted.close()


async def test_metrics_are_served_where_only_the_state_is_damaged(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    with writer.path.open("r+b") as file:
        file.seek(writer._slots[0])
        file.write(b"\xff" * 256)

    assert "damaged" in (await service.get_operation(operation_id)).progress["unreadable"]
    metrics, cursor = await service.get_metrics(operation_id)
    assert [metric["epoch"] for metric in metrics] == [cursor] == [1]
    with pytest.raises(BridgeError, match="damaged"):
        await service.get_metrics(operation_id, cursor)
    await service.fail_operation(operation_id, {"detail": "damage"})
    assert await service.get_metrics(operation_id, cursor) == ([], 1)


async def test_metrics_that_cannot_be_counted_are_an_error_and_no_end(
    service: OperationsService, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    bridge = service._local_bridges[operation_id]

    def fail(*_: int) -> bytes:
        raise BridgeFileError("input/output error")

    monkeypatch.setattr(bridge, "_peek", fail)

    for cursor in (0, 1):
        with pytest.raises(BridgeError, match="input/output error"):
            await service.get_metrics(operation_id, cursor)


async def test_metrics_keep_their_indices_across_the_end(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    for number in range(1, 6):
        writer.epoch(number)
    before, cursor = await service.get_metrics(operation_id, 2)
    writer.epoch(6)

    await service.complete_operation(operation_id, {"answer": 42})

    assert [metric["epoch"] for metric in before] == [3, 4, 5]
    assert cursor == 5
    after, new_cursor = await service.get_metrics(operation_id, cursor)
    assert [metric["epoch"] for metric in after] == [6]
    assert new_cursor == 6
    assert (await service.get_metrics(operation_id, 2))[0][:3] == before
    assert await service.get_metrics(operation_id, 1, limit=2) == (
        before[:0] + (await _all(service, operation_id))[1:3],
        3,
    )


async def _all(service: OperationsService, operation_id: str) -> list[dict[str, object]]:
    return (await service.get_metrics(operation_id))[0]


@pytest.mark.parametrize("cursor", [-1, 3])
async def test_a_cursor_outside_is_refused_with_the_valid_range(
    service: OperationsService, start: Start, cursor: int
) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    writer.epoch(2)

    with pytest.raises(CursorError, match="within 0 and 2") as refused:
        await service.get_metrics(operation_id, cursor)

    assert refused.value.context["valid_range"] == [0, 2]


async def test_completion_is_exactly_one_hundred_percent_and_final(
    service: OperationsService, store: InMemoryOperationStore, start: Start
) -> None:
    operation_id, writer = await start(service)
    writer.epoch(10)
    assert (await service.get_operation(operation_id)).progress["percentage"] < 100

    completed = await service.complete_operation(operation_id, {"a": 1}, {"final_epoch": 10})

    assert completed.progress["percentage"] == 100.0
    assert completed.completed_at is not None
    assert completed.metadata == {"symbols": ["AAPL"], "final_epoch": 10}
    assert await service.get_results(operation_id) == {"status": "success", "a": 1}
    assert await store.get(operation_id) == completed
    with pytest.raises(OperationTerminal, match="COMPLETED"):
        await service.fail_operation(operation_id, {"detail": "late"})


async def test_what_belonged_to_the_run_is_forgotten_together(service: OperationsService, start: Start) -> None:
    operation_id, _ = await start(service)
    await service.get_operation(operation_id)
    assert operation_id in service._local_bridges

    await service.cancel_operation(operation_id)

    for kept in (service._local_bridges, service._metrics_cursors, service._last_refresh):
        assert operation_id not in kept


async def test_terminal_operations_never_refresh(
    service: OperationsService, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    operation_id, _ = await start(service)
    await service.complete_operation(operation_id, {})
    caplog.set_level(logging.DEBUG, "ktrdr")

    for _ in range(3):
        await service.get_operation(operation_id, force_refresh=True)

    assert not [record for record in caplog.records if "Refreshed" in record.getMessage()]


async def test_a_failure_keeps_error_and_metrics(service: OperationsService, start: Start) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)

    failed = await service.fail_operation(operation_id, {"code": "worker_died", "detail": "SIGKILL"})

    assert failed.error == {"code": "worker_died", "detail": "SIGKILL"}
    assert (await service.get_results(operation_id))["status"] == "failed"
    assert len(await _all(service, operation_id)) == 1


async def test_results_do_not_exist_before_the_end(service: OperationsService, start: Start) -> None:
    operation_id, _ = await start(service)

    with pytest.raises(OperationNotTerminal, match="RUNNING"):
        await service.get_results(operation_id)


async def test_waiting_ends_with_the_operation(service: OperationsService, start: Start) -> None:
    operation_id, _ = await start(service)
    waiting = asyncio.create_task(service.wait_for_end(operation_id, 30.0))
    await asyncio.sleep(0)

    await service.complete_operation(operation_id, {})

    assert (await waiting).status is OperationStatus.COMPLETED
    assert (await service.wait_for_end(operation_id, 30.0)).status is OperationStatus.COMPLETED


async def test_waiting_gives_up_after_its_time(service: OperationsService, start: Start) -> None:
    operation_id, _ = await start(service)

    assert (await service.wait_for_end(operation_id, 0.01)).status is OperationStatus.RUNNING
    assert service._waiters == {}


async def test_an_unknown_operation_is_named(service: OperationsService) -> None:
    with pytest.raises(OperationNotFound, match="op_nothing"):
        await service.get_operation("op_nothing")


async def test_ended_operations_are_served_by_a_new_service(
    service: OperationsService, store: InMemoryOperationStore, start: Start
) -> None:
    operation_id, writer = await start(service)
    writer.epoch(1)
    await service.complete_operation(operation_id, {"a": 1})

    restarted = OperationsService(store)

    assert (await restarted.get_operation(operation_id)).status is OperationStatus.COMPLETED
    assert (await restarted.get_results(operation_id))["a"] == 1
    assert [metric["epoch"] for metric in await _all(restarted, operation_id)] == [1]


async def test_a_repeated_request_gets_the_first_operation(service: OperationsService) -> None:
    async def ask(what: str) -> tuple[Operation, bool]:
        payload = {"lane": "training", "what": what}
        return await service.create_operation("TRAINING", metadata={}, payload=payload, idempotency_key="k1")

    first, is_new = await ask("a")
    again, is_new_again = await ask("a")

    assert (is_new, is_new_again) == (True, False)
    assert again == first
    with pytest.raises(ConflictError, match="k1") as refused:
        await ask("b")
    assert refused.value.context["operation_id"] == first.operation_id


async def test_requests_with_the_same_key_at_once_make_one_operation(service: OperationsService) -> None:
    made = await asyncio.gather(
        *(
            service.create_operation("TRAINING", metadata={}, payload={"lane": "x"}, idempotency_key="k")
            for _ in range(10)
        )
    )

    assert len({operation.operation_id for operation, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


@pytest.mark.parametrize(
    ("finished", "running", "message"),
    [
        (0, 0, "Cancelled before the first epoch"),
        (3, 4, "Cancelled in epoch 4 of 10, 3 finished"),
        (3, 3, "Cancelled after epoch 3 of 10"),
    ],
)
async def test_a_cancelled_operation_says_how_far_it_came(
    service: OperationsService, tmp_path: Path, finished: int, running: int, message: str
) -> None:
    operation_id = (await create(service)).operation_id
    ProgressBridge.create(tmp_path / "bridge", replace(LAYOUT, step_name="epoch"))
    service.register_local_bridge(operation_id, ProgressBridge(tmp_path / "bridge"))
    await service.start_operation(operation_id, WORKER)
    with Writer(tmp_path / "bridge", writable=True) as writer:
        for epoch in range(1, finished + 1):
            writer.epoch(epoch)
        if running:
            writer._update_state(1, running, int(running == finished), 1, 0)

        cancelled = await service.cancel_operation(operation_id)

    assert cancelled.progress["message"] == message


async def test_an_operation_that_is_cancelled_in_the_queue_never_began(service: OperationsService) -> None:
    cancelled = await service.cancel_operation((await create(service)).operation_id)

    assert cancelled.progress["message"] == "Cancelled while it waited"


@pytest.mark.parametrize("offset_s", [-3600, 0, 3600])
async def test_an_operation_ended_when_its_outcome_says_but_within_its_time(
    service: OperationsService, offset_s: float
) -> None:
    operation_id = (await create(service)).operation_id
    started = await service.start_operation(operation_id, None)
    assert started.started_at
    began = datetime.now(UTC)

    ended = await service.complete_operation(operation_id, {}, ended_at=began + timedelta(seconds=offset_s))

    assert ended.completed_at
    if offset_s < 0:
        assert ended.completed_at == started.started_at
    elif offset_s == 0:
        assert ended.completed_at == began
    else:
        assert began <= ended.completed_at <= datetime.now(UTC)
