"""GET /api/v1/meta: what clients need no list of their own of."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ktrdr.jobs.kinds import KINDS
from ktrdr.operations.status import OperationStatus
from ktrdr.timeframe import Timeframe

pytestmark = pytest.mark.anyio


@pytest.fixture
async def meta(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/v1/meta")
    assert answer.status_code == 200
    content: dict[str, Any] = answer.json()
    return content


async def test_states_are_all_and_final_ones_are_those_without_a_way_out(meta: dict[str, Any]) -> None:
    assert meta["states"] == [str(status) for status in OperationStatus]
    assert meta["terminal_states"] == ["COMPLETED", "FAILED", "CANCELLED"]


async def test_timeframes_go_from_the_shortest_to_the_longest(meta: dict[str, Any]) -> None:
    lengths = [timeframe["seconds"] for timeframe in meta["timeframes"]]

    assert [timeframe["name"] for timeframe in meta["timeframes"]] == list(Timeframe)
    assert lengths == sorted(lengths)
    assert {"name": "1d", "seconds": 86400} in meta["timeframes"]


async def test_each_type_of_operation_is_there_once(meta: dict[str, Any]) -> None:
    kinds = {kind["operation_type"]: kind for kind in meta["kinds"]}

    assert len(kinds) == len(meta["kinds"])
    assert kinds.keys() == {"TRIAL"} | {kind.operation_type for kind in KINDS.values()}
    assert {name for name, kind in kinds.items() if kind["is_resumable"]} == {
        *("TRAINING", "SEARCH", "ABLATION", "DATA_LOAD", "BACKTEST", "EXPLANATION")
    }
    assert {name for name, kind in kinds.items() if kind["makes_model"]} == {"TRAINING", "TRIAL"}
