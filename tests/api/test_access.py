"""Who may call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ktrdr.api.app import create_app
from ktrdr.bootstrap import build_services
from ktrdr.settings import Settings
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

TOKEN = "a token of sorts"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    services = build_services(Settings(ktrdr_home=tmp_path, ktrdr_standby_workers=0))
    app = create_app(services, version="0", token=TOKEN, allowed_hosts=[])
    await services.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://anything") as client:
        yield client
    await services.close()


@pytest.mark.parametrize("path", ["/api/v1/operations", "/api/v1/operations/op_x", "/api/v1/data", "/metrics", "/docs"])
@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", TOKEN, f"bearer {TOKEN}"])
async def test_without_the_token_nothing_is_answered(guarded: httpx.AsyncClient, path: str, given: str | None) -> None:
    answer = await guarded.get(path, headers={"authorization": given} if given else {})

    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_with_the_token_all_is(guarded: httpx.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}

    assert (await guarded.get(f"{API}/operations", headers=headers)).status_code == 200
    assert (await guarded.get("/metrics", headers=headers)).status_code == 200


async def test_health_asks_nobody(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get(f"{API}/health")).json() == {"status": "ok"}


@pytest.mark.parametrize("host", ["evil.example", "ktrdr.evil.example", "", "127.0.0.2", "[", "ktrdr@evil.example"])
async def test_a_foreign_host_is_refused(client: httpx.AsyncClient, host: str) -> None:
    assert_problem(await client.get(f"{API}/operations", headers={"host": host}), 421, "unknown_host")


@pytest.mark.parametrize("host", ["ktrdr", "KTRDR:8000"])
async def test_an_allowed_host_is_answered_on_any_port(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get(f"{API}/operations", headers={"host": host})).status_code == 200


async def test_a_page_of_another_site_changes_nothing(client: httpx.AsyncClient) -> None:
    foreign = await client.post(f"{API}/operations/op_x/cancel", headers={"origin": "http://evil.example"})
    own = await client.post(f"{API}/operations/op_x/cancel", headers={"origin": "http://ktrdr:8000"})

    assert_problem(foreign, 403, "foreign_origin")
    assert_problem(own, 404, "operation_not_found")
    assert "access-control-allow-origin" not in foreign.headers
