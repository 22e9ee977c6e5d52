"""One suite for every store of operations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ktrdr.operations.operation import INITIAL_PROGRESS, Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import EndedOperation, InMemoryOperationStore, OperationStore
from ktrdr.registry.store import SqlOperationStore
from tests.postgres import Cluster

pytestmark = pytest.mark.anyio

NOON = datetime(2025, 1, 23, 12, 0, 0, 123456, tzinfo=UTC)


POSTGRES = pytest.param("postgres", marks=pytest.mark.processes)


@pytest.fixture(params=["memory", "sqlite", POSTGRES])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OperationStore]:
    if request.param == "memory":
        yield InMemoryOperationStore()
        return
    sql = SqlOperationStore(_url(request, tmp_path))
    await sql.open()
    yield sql
    await sql.close()


def _url(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{folder / 'registry.sqlite'}"
    postgres: Cluster = request.getfixturevalue("postgres")
    return postgres.new_database()


def operation(name: str = "a", *, minutes: int = 0, kind: str = "TRAINING") -> Operation:
    instant = NOON + timedelta(minutes=minutes)
    return Operation(
        operation_id=f"op_{name}",
        operation_type=kind,
        status=OperationStatus.PENDING,
        created_at=instant,
        updated_at=instant,
        metadata={"symbols": ["AAPL"], "threshold": 0.5},
        progress=INITIAL_PROGRESS,
        payload={"lane": "training", "strategy": "name: ü"},
    )


async def ids(store: OperationStore, **query: Any) -> list[str]:
    page = await store.list(**query)
    assert page.total == len(page.operations)
    return [found.operation_id for found in page.operations]


async def test_what_is_added_comes_back_equal(store: OperationStore) -> None:
    running = replace(
        operation(),
        status=OperationStatus.RUNNING,
        started_at=NOON,
        worker=WorkerIdentity(4711, 1234.5678),
        parent_id="op_parent",
        error={"code": "x", "detail": "y"},
    )

    assert await store.add(running)

    assert await store.get("op_a") == running


async def test_an_id_is_given_once(store: OperationStore) -> None:
    assert await store.add(operation())

    assert not await store.add(replace(operation(), metadata={"other": True}))

    kept = await store.get("op_a")
    assert kept is not None
    assert kept.metadata == operation().metadata


async def test_unknown_operations_are_none(store: OperationStore) -> None:
    assert await store.get("op_none") is None
    assert await store.results("op_none") is None
    assert await store.metrics("op_none", 0, 10) == []


async def test_finish_keeps_record_results_and_metrics(store: OperationStore) -> None:
    await store.add(operation())
    ended = replace(operation(), status=OperationStatus.COMPLETED, completed_at=NOON)
    metrics = [{"epoch": epoch, "val_loss": 1 / epoch} for epoch in range(1, 8)]

    await store.finish(ended, {"status": "success", "nested": {"a": [1, None]}}, metrics)

    assert await store.get("op_a") == ended
    assert await store.results("op_a") == {"status": "success", "nested": {"a": [1, None]}}
    assert await store.count_metrics("op_a") == 7
    assert await store.metrics("op_a", 0, 100) == metrics
    assert await store.metrics("op_a", 5, 100) == metrics[5:]
    assert await store.metrics("op_a", 2, 3) == metrics[2:5]


async def test_results_survive_a_later_update(store: OperationStore) -> None:
    await store.add(operation())
    ended = replace(operation(), status=OperationStatus.FAILED)
    await store.finish(ended, {"status": "failed"}, [{"epoch": 1}])

    await store.update(replace(ended, metadata={"note": "kept"}))

    assert await store.results("op_a") == {"status": "failed"}
    assert await store.count_metrics("op_a") == 1


async def test_list_pages_newest_first_without_gaps(store: OperationStore) -> None:
    for minute in range(5):
        await store.add(operation(f"{minute}", minutes=minute))
        await store.add(operation(f"{minute}_same_instant", minutes=minute))

    seen: list[str] = []
    before = None
    while True:
        page = await store.list(limit=3, before=before)
        assert page.total == 10
        seen += [found.operation_id for found in page.operations]
        if page.last_id is None:
            break
        assert page.last_id == seen[-1]
        before = page.last_id

    assert len(seen) == len(set(seen)) == 10
    assert [name[3] for name in seen] == list("4433221100")


async def test_list_filters_by_status_type_and_parent(store: OperationStore) -> None:
    await store.add(operation("train"))
    await store.add(operation("load", kind="DATA_LOAD"))
    await store.add(replace(operation("fold"), parent_id="op_whole"))
    await store.update(replace(operation("train"), status=OperationStatus.RUNNING))

    assert await ids(store, status=OperationStatus.RUNNING) == ["op_train"]
    assert await ids(store, operation_type="DATA_LOAD") == ["op_load"]
    assert await ids(store, parent_id="op_whole") == ["op_fold"]


async def test_ids_are_found_by_their_ending_newest_first(store: OperationStore) -> None:
    for minutes, name in enumerate(("b_x7k2p9", "a_q1k2p9", "c_x7_2p9")):
        await store.add(operation(name, minutes=minutes))

    assert list(await store.ids_ending_with("k2p9", 5)) == ["op_a_q1k2p9", "op_b_x7k2p9"]
    assert list(await store.ids_ending_with("k2p9", 1)) == ["op_a_q1k2p9"]
    assert list(await store.ids_ending_with("x7_2p9", 5)) == ["op_c_x7_2p9"]
    assert list(await store.ids_ending_with("none", 5)) == []


async def test_it_answers(store: OperationStore) -> None:
    await store.ping()


async def test_an_idempotency_key_is_given_once_and_found_again(store: OperationStore) -> None:
    first = replace(operation("a"), idempotency_key="k")
    assert await store.add(first)

    assert not await store.add(replace(operation("b"), idempotency_key="k"))
    assert await store.add(operation("c"))
    assert await store.add(operation("d"))
    assert await store.find_by_key("k") == first
    assert await store.find_by_key("other") is None


async def test_what_is_removed_is_gone_with_results_and_metrics(store: OperationStore) -> None:
    for name in ("a", "b"):
        await store.add(replace(operation(name), idempotency_key=name))
        await store.finish(
            replace(operation(name), status=OperationStatus.COMPLETED, idempotency_key=name),
            {"status": "success"},
            [{"epoch": 1}],
        )

    await store.remove("op_a")
    await store.remove("op_a")

    assert await store.get("op_a") is None
    assert await store.results("op_a") is None
    assert await store.count_metrics("op_a") == 0
    assert await store.find_by_key("a") is None
    assert (await store.results("op_b"), await store.count_metrics("op_b")) == ({"status": "success"}, 1)
    assert await ids(store) == ["op_b"]


async def test_operations_that_ended_elsewhere_are_added_all_or_none(store: OperationStore) -> None:
    def ended(name: str) -> EndedOperation:
        completed = replace(operation(name), status=OperationStatus.COMPLETED, completed_at=NOON)
        return EndedOperation(completed, {"of": name}, [{"epoch": 1}, {"epoch": 2}])

    assert await store.add_ended([ended("a"), ended("b")])

    assert await store.get("op_a") == ended("a").operation
    assert await store.results("op_b") == {"of": "b"}
    assert await store.metrics("op_b", 1, 10) == [{"epoch": 2}]
    assert not await store.add_ended([ended("c"), ended("a")])
    assert await store.get("op_c") is None
    assert await store.metrics("op_a", 0, 10) == [{"epoch": 1}, {"epoch": 2}]
