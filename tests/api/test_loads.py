"""Loads through the real client library, from a local server that answers as Yahoo does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yfinance

from ktrdr.settings import Settings
from tests.api.conftest import client_of
from tests.api.test_app import API, assert_problem
from tests.market.exchange_server import Answer, Chart, Source, yahoo, yahoo_minutes

pytestmark = pytest.mark.anyio

MINUTES = {"symbol": "AAPL", "timeframe": "1m", "provider": "yahoo"}
A_PAGE = 70


class Market:
    """Yahoo, whose mood a test may change."""

    chart: Chart = staticmethod(yahoo_minutes)
    source: Source

    def answer(self, query: dict[str, str]) -> Answer:
        return self.chart(query)

    @property
    def starts(self) -> list[int]:
        return [int(query["period1"]) for _, query in self.source.asked if "period1" in query]


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
async def client(tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    yfinance.set_tz_cache_location(str(tmp_path))
    with yahoo(market.answer) as market.source:
        # Workers read them there.
        monkeypatch.setenv("KTRDR_YAHOO_URL", market.source.url)
        monkeypatch.setenv("KTRDR_IB_PORT", "1")
        settings = Settings(ktrdr_home=tmp_path / "home")
        async with client_of(settings) as client:
            yield client


async def start(client: httpx.AsyncClient, load: dict[str, Any]) -> str:
    answer = await client.post(f"{API}/data/load", json=load)
    assert answer.status_code == 202, answer.text
    operation_id: str = answer.json()["operation_id"]
    return operation_id


async def ended(client: httpx.AsyncClient, operation_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The operation once it has ended, and its results."""
    operation = (await client.get(f"{API}/operations/{operation_id}", params={"wait": 60})).json()
    assert operation["completed_at"], operation
    return operation, (await client.get(f"{API}/operations/{operation_id}/results")).json()


def days_ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)


async def test_a_load_shows_its_pages_rows_and_range(client: httpx.AsyncClient) -> None:
    load = MINUTES | {"start_date": days_ago(20).isoformat(), "end_date": days_ago(7).isoformat()}

    operation, results = await ended(client, operation_id := await start(client, load))

    progress = operation["progress"]
    assert (operation["status"], progress["pages"], progress["items_processed"]) == ("COMPLETED", 2, 2 * A_PAGE)
    pages = (await client.get(f"{API}/operations/{operation_id}/metrics")).json()["metrics"]
    assert [(page["page"], page["rows"]) for page in pages] == [(1, A_PAGE), (2, A_PAGE)]
    assert datetime.fromtimestamp(pages[0]["first"], UTC).date() == days_ago(20)
    assert (results["rows_new"], results["pages"]) == (2 * A_PAGE, 2)
    assert results["quality"]["rows"] == 2 * A_PAGE


async def test_a_cancelled_load_keeps_what_came_and_a_resumed_one_asks_for_the_rest(
    client: httpx.AsyncClient, market: Market
) -> None:
    # The first page comes at once; the next ones leave time enough to cancel between them, on a busy machine too.
    market.chart = lambda query: replace(yahoo_minutes(query), slow_s=3.0 if market.starts[1:] else 0.0)
    load = MINUTES | {"start_date": days_ago(28).isoformat(), "end_date": days_ago(7).isoformat()}
    operation_id = await start(client, load)
    for _ in range(300):
        await asyncio.sleep(0.1)
        if (await client.get(f"{API}/operations/{operation_id}/metrics")).json()["metrics"]:
            break

    await client.post(f"{API}/operations/{operation_id}/cancel")
    operation, kept = await ended(client, operation_id)

    assert (operation["status"], kept["status"]) == ("CANCELLED", "cancelled")
    assert kept["rows_new"] in (A_PAGE, 2 * A_PAGE)
    assert (await client.get(f"{API}/data/AAPL/1m")).json()["total"] == kept["rows_new"]

    market.chart = yahoo_minutes
    asked_before = len(market.starts)
    answer = await client.post(f"{API}/operations/{operation_id}/resume")
    resumed, results = await ended(client, answer.json()["operation_id"])

    assert (resumed["status"], resumed["parent_id"]) == ("COMPLETED", operation_id)
    assert results["rows_new"] == 22 * 10 - kept["rows_new"]
    assert min(market.starts[asked_before:]) >= datetime.fromisoformat(kept["last"]).timestamp() - 600


async def test_a_load_that_fails_midway_says_what_it_kept_and_how_to_go_on(
    client: httpx.AsyncClient, market: Market
) -> None:
    border = datetime.combine(days_ago(15), datetime.min.time(), UTC).timestamp()
    gone = Answer.of({"chart": {"result": None, "error": {"code": "Not Found", "description": "it is gone"}}}, 404)
    market.chart = lambda query: yahoo_minutes(query) if int(query.get("period1", 0)) < border else gone
    load = MINUTES | {"start_date": days_ago(28).isoformat(), "end_date": days_ago(7).isoformat()}

    failed, results = await ended(client, operation_id := await start(client, load))

    assert failed["status"] == "FAILED"
    assert failed["error"]["detail"].endswith("it is gone; 140 new rows that came before are stored")
    assert failed["error"]["hint"].endswith(f"ktrdr operations resume {operation_id}")
    assert (results["rows_new"], results["rows_total"]) == (140, 140)

    market.chart = yahoo_minutes
    answer = await client.post(f"{API}/operations/{operation_id}/resume")
    _, results = await ended(client, answer.json()["operation_id"])
    assert (results["rows_new"], results["rows_total"]) == (80, 220)
    assert_problem(await client.post(f"{API}/operations/{answer.json()['operation_id']}/resume"), 409, "conflict")


async def test_what_the_provider_no_longer_has_is_refused_or_clipped(client: httpx.AsyncClient) -> None:
    load = MINUTES | {"start_date": days_ago(3000).isoformat(), "end_date": days_ago(20).isoformat()}

    problem = assert_problem(await client.post(f"{API}/data/load", json=load), 422, "invalid_input")
    _, results = await ended(client, await start(client, load | {"clip": True}))

    assert "yahoo has 1m bars of the last 30 days only" in problem["detail"]
    assert datetime.fromisoformat(results["first"]).date() in (days_ago(29), days_ago(30))


async def test_no_gateway_is_said_plainly(client: httpx.AsyncClient) -> None:
    failed, _ = await ended(client, await start(client, {"symbol": "AAPL", "timeframe": "1d", "provider": "ib"}))

    assert failed["error"]["code"] == "provider_unreachable"
    assert "no TWS or IB Gateway answers at 127.0.0.1:1" in failed["error"]["detail"]


async def test_an_imported_file_is_mapped_and_cannot_be_resumed(client: httpx.AsyncClient) -> None:
    content = b"Time,Open,High,Low,Last,Volume\n2024-01-02 09:30,10,11,9,10,5\n2024-01-02 09:35,10,11,9,10,5\n"
    query = {"filename": "a.csv", "column": ["close=Last"], "timezone": "America/New_York"}

    answer = await client.post(f"{API}/data/ACME/5m/import", params=query, content=content)
    await ended(client, answer.json()["operation_id"])
    refused = await client.post(f"{API}/data/ACME/5m/import", params=query | {"column": "Last"}, content=content)
    twisted = content.replace(b",11,9,10", b",1,9,10")
    failed = await client.post(f"{API}/data/BAD/5m/import", params=query, content=twisted)
    await ended(client, failed.json()["operation_id"])

    (bar, _) = (await client.get(f"{API}/data/ACME/5m")).json()["bars"]
    assert (bar["timestamp"], bar["close"]) == ("2024-01-02T14:30:00Z", 10.0)
    assert "close=Last" in assert_problem(refused, 422, "invalid_input")["detail"]
    resumed = await client.post(f"{API}/operations/{failed.json()['operation_id']}/resume")
    assert "is not kept" in assert_problem(resumed, 409, "conflict")["detail"]


async def test_providers_tell_what_they_can(client: httpx.AsyncClient) -> None:
    every = (await client.get(f"{API}/data/providers")).json()["providers"]
    (kraken,) = (await client.get(f"{API}/data/providers", params={"name": "ccxt:kraken"})).json()["providers"]

    assert [each["name"] for each in every] == ["auto", "yahoo", "ib", "sample", "synthetic", "ccxt:EXCHANGE"]
    assert every[1]["history_days"]["1m"] == 30
    assert "4h" in kraken["timeframes"]
    assert_problem(await client.get(f"{API}/data/providers", params={"name": "yaho"}), 422, "invalid_input")
