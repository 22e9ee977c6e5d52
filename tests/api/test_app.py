"""What holds for every route: problems, limits, ids, documentation, counts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from ktrdr.api import problems
from ktrdr.api.examples import EXAMPLES, RESULTS
from ktrdr.api.middleware import RequestContext, RequestMetrics
from ktrdr.api.schemas.base import Problem
from ktrdr.api.schemas.operations import MetricsPage, Operation
from ktrdr.api.schemas.training import TrainingStart
from ktrdr.payloads.reading import parse_results
from ktrdr.payloads.training import TrainingResults

pytestmark = pytest.mark.anyio

API = "/api/v1"


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    assert problem["title"]
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/operations/op_none", 404, "operation_not_found"),
        ("GET", "/operations/op_none/metrics", 404, "operation_not_found"),
        ("GET", "/operations/op_none/results", 404, "operation_not_found"),
        ("POST", "/operations/op_none/cancel", 404, "operation_not_found"),
        ("POST", "/operations/op_none/resume", 404, "operation_not_found"),
        ("GET", "/operations?page_token=op_none", 404, "operation_not_found"),
        ("GET", "/operations/op_none?wait=1e9", 422, "invalid_request"),
        ("GET", "/operations/op_none?wait=nan", 422, "invalid_request"),
        ("GET", "/operations?limit=0", 422, "invalid_request"),
        ("GET", "/operations?status=SLEEPING", 422, "invalid_request"),
        ("GET", "/data/AAPL/1d", 404, "series_not_found"),
        ("GET", "/data/AAPL/7m", 422, "invalid_input"),
        ("GET", "/data/AAPL/1d?start=0.0", 422, "invalid_request"),
        ("GET", "/data/..%2F..%2Fx/1d", 404, "not_found"),
        ("GET", "/data/..%5Cx/1d", 422, "invalid_input"),
        ("GET", "/indicators/smaa", 404, "indicator_not_found"),
        ("GET", "/models/op_none", 404, "operation_not_found"),
        ("GET", "/nothing/here", 404, "not_found"),
        ("PATCH", "/operations", 405, "method_not_allowed"),
        ("DELETE", "/operations/op_none", 404, "operation_not_found"),
    ],
)
async def test_errors_are_problems(client: httpx.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    assert_problem(await client.request(method, API + path), status, code)


async def test_a_library_that_the_disk_did_not_give_is_named(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ImportError("numpy._core.multiarray failed to import")

    monkeypatch.setattr("ktrdr.features.talib_metadata.names", fail)

    problem = assert_problem(await client.get(f"{API}/indicators"), 503, "storage_failed")

    assert "numpy._core.multiarray" in problem["detail"]
    assert "restart the server" in problem["hint"]


async def test_a_request_that_a_stop_cuts_short_is_answered_in_words() -> None:
    began = asyncio.Event()

    async def never_ends(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await asyncio.Event().wait()

    app = RequestContext(never_ends, RequestMetrics(), problems.stopped)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        request = asyncio.create_task(client.post("/api/v1/training/start", json={}))
        await began.wait()
        request.cancel()
        answer = await request

    assert "Idempotency-Key" in assert_problem(answer, 503, "server_stopped")["hint"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON"),
        (b"[]", "body"),
        (b'{"symbol": 1, "timeframe": "1d"}', "symbol"),
        (b'{"symbol": "AAPL", "timeframe": "1d", "provder": "sample"}', "provder"),
        (b'{"symbol": "AAPL", "timeframe": "1d", "start_date": "yesterday"}', "start_date"),
        (b'{"symbol": "AAPL", "timeframe": "1d", "start_date": 86400}', "start_date"),
    ],
)
async def test_a_wrong_body_is_named(client: httpx.AsyncClient, body: bytes, says: str) -> None:
    answer = await client.post(f"{API}/data/load", content=body, headers={"content-type": "application/json"})

    assert says in assert_problem(answer, 422, "invalid_request")["detail"]


@pytest.mark.parametrize("text", ["\\ud800", "name: \\ud800", "\\u0000", "name: [\\u0007"])
async def test_text_that_is_no_text_is_a_fault(client: httpx.AsyncClient, text: str) -> None:
    headers = {"content-type": "application/json"}
    validated = await client.post(f"{API}/strategies/validate", content=f'{{"strategy": "{text}"}}', headers=headers)
    started = await client.post(
        f"{API}/training/start",
        content=f'{{"strategy": "{text}", "symbols": ["{text}"], "timeframes": ["1d"]}}',
        headers=headers,
    )

    assert validated.status_code in {200, 422}
    assert validated.status_code == 422 or not validated.json()["valid"]
    assert started.status_code == 422


@pytest.mark.parametrize("body", [b'{"strategy": "\xff"}', b"[" * 100_000])
async def test_a_body_that_cannot_be_read_is_an_invalid_request(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.post(f"{API}/strategies/validate", content=body, headers=headers)

    assert_problem(answer, 422, "invalid_request")


async def test_a_body_has_a_limit(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{API}/strategies/validate", content=b'{"strategy": "' + b"x" * 3_000_000 + b'"}')

    assert_problem(answer, 413, "body_too_large")


async def test_a_request_has_an_id_in_answer_and_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ktrdr")

    given = await client.get(f"{API}/health", headers={"x-request-id": "mine-1"})
    made = await client.get(f"{API}/health")
    refused = await client.get(f"{API}/health", headers={"x-request-id": "a b\tc"})

    assert given.headers["x-request-id"] == "mine-1"
    assert made.headers["x-request-id"].startswith("req-")
    assert refused.headers["x-request-id"].startswith("req-")
    assert any(record.getMessage().startswith(f"GET {API}/health 200 in ") for record in caplog.records)


async def test_health_and_readiness(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{API}/health")).json() == {"status": "ok"}
    ready = (await client.get(f"{API}/health/ready")).json()
    assert (ready["status"], ready["registry"], ready["store"]) == ("ready", "ok", "ok")
    assert set(ready["workers"]) == {"training", "data", "analysis"}


async def test_prometheus_counts_by_route(client: httpx.AsyncClient) -> None:
    await client.get(f"{API}/health")
    await client.get(f"{API}/operations/op_none")
    await client.get(f"{API}/data/data/1d")

    text = (await client.get("/metrics")).text

    assert 'ktrdr_http_requests_total{method="GET",route="/health",status="200"} 1.0' in text
    assert 'route="/operations/{operation_id}",status="404"} 1.0' in text
    assert 'route="/data/{symbol}/{timeframe}",status="404"} 1.0' in text
    assert 'ktrdr_operations{status="RUNNING"} 0.0' in text


async def test_every_route_is_documented(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    paths = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {
        ("GET", f"{API}/operations/{{operation_id}}"),
        ("GET", f"{API}/operations/{{operation_id}}/metrics"),
        ("GET", f"{API}/operations/{{operation_id}}/results"),
        ("POST", f"{API}/training/start"),
        ("POST", f"{API}/data/load"),
        ("GET", f"{API}/health"),
    } <= paths
    assert (await client.get("/docs")).status_code == 200


async def test_the_examples_of_the_documentation_are_valid(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()["components"]["schemas"]

    assert {TrainingStart, Operation, MetricsPage, Problem} <= EXAMPLES.keys()
    for schema, example in EXAMPLES.items():
        schema.model_validate(example)
        assert document[schema.__name__]["examples"] == [example]
    assert isinstance(parse_results(RESULTS), TrainingResults)
