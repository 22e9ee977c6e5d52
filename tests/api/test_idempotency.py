"""A request that is sent again under its key starts nothing more."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.conftest import AAPL, Wait
from tests.api.test_app import API, assert_problem
from tests.api.test_data import CSV
from tests.api.test_training import START

pytestmark = pytest.mark.anyio

KEY = {"idempotency-key": "3f1c-77"}


async def test_the_same_request_gets_the_same_operation(client: httpx.AsyncClient, wait: Wait) -> None:
    first = await client.post(f"{API}/data/load", json=AAPL, headers=KEY)
    await wait(first.json()["operation_id"])
    again = await client.post(f"{API}/data/load", json=AAPL, headers=KEY)
    other_key = await client.post(f"{API}/data/load", json=AAPL, headers={"idempotency-key": "other"})

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["operation_id"] == first.json()["operation_id"] != other_key.json()["operation_id"]
    assert (again.json()["status"], again.json()["message"]) == ("completed", "Data load completed")


async def test_another_request_under_the_key_is_a_conflict(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    first = await client.post(f"{API}/data/load", json=AAPL, headers=KEY)

    for path, body in (("data/load", {**AAPL, "start_date": "2024-01-01"}), ("training/start", START)):
        problem = assert_problem(await client.post(f"{API}/{path}", json=body, headers=KEY), 409, "conflict")
        assert problem["operation_id"] == first.json()["operation_id"]


async def test_an_upload_is_the_same_by_its_content(client: httpx.AsyncClient) -> None:
    path, params = f"{API}/data/ACME/1d/import", {"filename": "acme.csv"}

    first = await client.post(path, params=params, content=CSV, headers=KEY)
    again = await client.post(path, params=params, content=CSV, headers=KEY)
    other = await client.post(path, params=params, content=CSV + b"2024-01-04,11,12,10,11,100\n", headers=KEY)

    assert again.json()["operation_id"] == first.json()["operation_id"]
    assert_problem(other, 409, "conflict")


async def test_repeats_at_the_same_time_start_one(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(client.post(f"{API}/training/start", json=START, headers=KEY) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["operation_id"] for answer in answers}) == 1
    assert (await client.get(f"{API}/operations", params={"type": "TRAINING"})).json()["total"] == 1


@pytest.mark.parametrize("key", ["", "two words", "x" * 129])
async def test_a_key_is_short_and_plain(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post(f"{API}/data/load", json=AAPL, headers={"idempotency-key": key})

    assert "idempotency-key" in assert_problem(answer, 422, "invalid_request")["detail"]
