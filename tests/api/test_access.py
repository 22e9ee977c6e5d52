"""Who may call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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


PAGE = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FRAME = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://ktrdr:8000",
        "https://ktrdr",
        "http://ktrdr.evil.example",
        "http://evil.example/ktrdr",
        "http://evil.example@ktrdr:81",
        "http://localhost",
        "null",
        "",
        "ktrdr",
        "http://",
        "http://[",
        "http://ktrdr:99999",
        "http://ktrdr:\u00b2",
        "\u00ff\u00fe",
    ],
)
async def test_a_page_of_another_origin_is_answered_nothing(client: httpx.AsyncClient, origin: str) -> None:
    headers = {b"origin": origin.encode("latin-1")}

    for answer in (
        await client.post(f"{API}/operations/op_x/cancel", headers=headers),
        await client.get(f"{API}/operations", headers=headers),
    ):
        assert_problem(answer, 403, "foreign_origin")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "origin"),
    [("ktrdr", "http://ktrdr"), ("ktrdr:80", "http://KTRDR"), ("ktrdr:8000", "http://ktrdr:8000"), ("ktrdr", None)],
)
async def test_the_servers_own_pages_and_programs_may_ask(
    client: httpx.AsyncClient, host: str, origin: str | None
) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})

    answer = await client.post(f"{API}/operations/op_x/cancel", headers=headers)

    assert_problem(answer, 404, "operation_not_found")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "https://ktrdr"}, 200),  # a proxy ended the TLS
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site", **LINK}, 200),
        ({"sec-fetch-site": "cross-site", **FRAME}, 403),
        ({"sec-fetch-site": "cross-site", **PAGE}, 403),
        ({"sec-fetch-site": "same-site", **PAGE}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://ktrdr"}, 403),
        ({"sec-fetch-site": "nonsense"}, 403),
    ],
)
async def test_a_browser_compares_the_origins_itself(
    client: httpx.AsyncClient, sent: dict[str, str], status: int
) -> None:
    assert (await client.get(f"{API}/operations", headers=sent)).status_code == status


async def test_a_form_of_another_page_is_no_link(client: httpx.AsyncClient) -> None:
    sent = {"sec-fetch-site": "cross-site", **LINK}

    assert_problem(await client.post(f"{API}/operations/op_x/cancel", headers=sent), 403, "foreign_origin")


@pytest.mark.parametrize("host", ["[", "", "a b", "\u00ff", "ktrdr:99999999"])
@pytest.mark.parametrize("path", ["/nowhere", f"{API}/operations/op_x", f"{API}/operations/op_x?x=\u00ff"])
async def test_a_malformed_host_breaks_nothing_where_any_is_allowed(
    guarded: httpx.AsyncClient, host: str, path: str
) -> None:
    sent = {b"host": host.encode("latin-1"), b"authorization": f"Bearer {TOKEN}".encode()}

    assert (await guarded.get(path, headers=sent)).status_code == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("range", "bytes="),
        ("range", "bytes=--1"),
        ("range", "rows=\u00ff"),
        ("range", "bytes=" + "9" * 5000 + "-"),
        ("accept", "*/*;q=\u00ff"),
        ("accept", "\u0000"),
        ("forwarded", 'for="['),
        ("x-forwarded-proto", "gopher"),
        ("idempotency-key", "\u00ff"),
        ("idempotency-key", "k" * 129),
        ("content-type", "application/json; charset=nope"),
        ("content-type", "multipart/form-data"),
        ("x-request-id", "\u00ff"),
    ],
)
async def test_a_malformed_header_is_no_fault_of_the_server(
    client: httpx.AsyncClient, loaded: dict[str, Any], name: str, value: str
) -> None:
    headers = {name.encode(): value.encode("latin-1")}

    read = await client.get(f"{API}/operations/{loaded['operation_id']}", headers=headers)
    started = await client.post(f"{API}/data/load", json={"symbol": "A", "timeframe": "1x"}, headers=headers)

    assert read.status_code == 200
    assert started.status_code == 422
