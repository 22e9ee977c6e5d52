"""An operation may be named by any ending that only its id has, or as the last one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ktrdr.api.services.reference_service import ReferenceService
from ktrdr.errors import ConflictError, OperationNotFound
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore
from tests.api.conftest import AAPL, Wait
from tests.api.test_app import API

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


async def references(*operations: tuple[str, str, OperationStatus]) -> ReferenceService:
    """Over operations with these types, endings and states, oldest first."""
    store = InMemoryOperationStore()
    for minutes, (kind, ending, status) in enumerate(operations):
        instant = NOON + timedelta(minutes=minutes)
        operation_id = f"op_{kind.lower()}_20261129_{ending}"
        await store.add(Operation(operation_id, kind, status, instant, instant, {}, INITIAL_PROGRESS))
    return ReferenceService(OperationsService(store))


async def test_what_no_single_operation_is_meant_by_is_refused() -> None:
    found = await references(
        ("TRAINING", "x7k2p9", OperationStatus.COMPLETED), ("TRAINING", "q1k2p9", OperationStatus.COMPLETED)
    )

    with pytest.raises(ConflictError) as refused:
        await found.operation_id("k2p9")

    candidates = ["op_training_20261129_q1k2p9", "op_training_20261129_x7k2p9"]
    assert refused.value.context["operations"] == candidates
    assert all(each in refused.value.detail for each in candidates)
    assert await found.operation_id("7K2P9") == candidates[1]
    assert await found.operation_id("x7k2p9_") == "x7k2p9_"


async def test_the_last_model_is_the_newest_operation_that_has_one() -> None:
    found = await references(
        ("TRAINING", "aaaaaa", OperationStatus.COMPLETED),
        ("TRAINING", "bbbbbb", OperationStatus.FAILED),
        ("DATA_LOAD", "cccccc", OperationStatus.COMPLETED),
    )

    assert await found.operation_ids(["last", "bbbb"]) == [
        "op_data_load_20261129_cccccc",
        "op_training_20261129_bbbbbb",
    ]
    assert await found.model_ids(["last"]) == ["op_training_20261129_aaaaaa"]
    with pytest.raises(OperationNotFound, match="no model yet"):
        await (await references()).model_id("last")


async def test_routes_take_endings_and_last(client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait) -> None:
    first = loaded["operation_id"]
    second = (await client.post(f"{API}/data/load", json=AAPL)).json()["operation_id"]
    await wait(second)

    assert (await client.get(f"{API}/operations/{first[-6:]}")).json() == loaded
    assert (await client.get(f"{API}/operations/{first[-6:].upper()}/results")).json()["status"] == "success"
    assert (await client.get(f"{API}/operations/last")).json()["operation_id"] == second
    assert (await client.get(f"{API}/operations/nosuch")).json()["detail"] == "there is no operation 'nosuch'"
    gone = (await client.request("DELETE", f"{API}/operations", params={"id": [second[-6:]]})).json()
    assert [each["operation_id"] for each in gone["operations"]] == [second]
    assert (await client.get(f"{API}/operations/last")).json()["operation_id"] == first
