"""The poll path, which answers ahead of the routes, says what the routes say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

API = "/api/v1/operations"


async def test_a_plain_poll_answers_like_the_route_behind_it(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    path = f"{API}/{loaded['operation_id']}"
    polled = await client.get(path)
    routed = await client.get(path, params={"force_refresh": True})
    assert polled.json() == routed.json() == loaded
    assert polled.headers["content-type"] == routed.headers["content-type"] == "application/json"
    assert int(polled.headers["content-length"]) == len(polled.content)
    assert polled.headers["x-request-id"]


async def test_what_lies_below_an_operation_is_routed(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    results = await client.get(f"{API}/{loaded['operation_id']}/results")
    assert results.json()["status"] == "success"


async def test_an_unknown_operation_is_a_problem(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answer = await client.get(f"{API}/op_none")
    assert (answer.status_code, answer.json()["code"]) == (404, "operation_not_found")


async def test_polls_are_counted_under_their_route(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    for _ in range(3):
        await client.get(f"{API}/{loaded['operation_id']}")
    text = (await client.get("/metrics")).text
    assert 'ktrdr_http_requests_total{method="GET",route="/operations/{operation_id}",status="200"} 4.0' in text
