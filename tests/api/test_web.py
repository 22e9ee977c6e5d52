"""GET / and what belongs to it: headers, caching, and who may have it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ktrdr.api.app import create_app
from ktrdr.bootstrap import build_services
from ktrdr.settings import Settings
from ktrdr.web.site import load_site

pytestmark = pytest.mark.anyio


def file(name: str) -> str:
    return f"/web/{load_site().release}/{name}"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A server with a token, and a client without it."""
    app = create_app(build_services(Settings(ktrdr_home=tmp_path)), version="0", token="secret", allowed_hosts=[])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ktrdr") as client:
        yield client


async def test_the_page_lets_nothing_foreign_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")

    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert "style=" not in answer.text


async def test_files_are_kept_for_ever_and_the_page_is_asked_for_again(client: httpx.AsyncClient) -> None:
    page, script = await client.get("/"), await client.get(file("js/app.js"))

    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    for path, answer in (("/", page), (file("js/app.js"), script)):
        again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_files_travel_compressed_to_who_can_read_that(client: httpx.AsyncClient) -> None:
    packed = await client.get(file("app.css"), headers={"accept-encoding": "gzip"})
    plain = await client.get(file("app.css"), headers={"accept-encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


async def test_the_reference_and_all_that_it_names_are_served(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")

    named = re.findall('(?:src|href)="([^"]+)"', page.text)
    assert len(named) >= 4
    assert [path for path in named if (await client.get(path)).status_code != 200] == []
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert (await client.get("/reference/x/invented")).status_code == 404
    assert "invented" not in (await client.get("/metrics")).text


@pytest.mark.parametrize("path", ["/web/old/js/app.js", file("nothing.js"), file("%2e%2e/site.py")])
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_the_page_needs_no_token_and_the_api_does(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/")).status_code == 200
    assert (await guarded.get(file("js/app.js"))).status_code == 200
    for path in ("/api/v1/operations", "/api/v1/system", "/metrics", "/docs", "/reference/x/y", "/web", "/webs/x"):
        assert (await guarded.get(path)).status_code == 401, path
    assert (await guarded.post("/")).status_code == 401


async def test_the_page_is_not_for_other_hosts(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"host": "evil.example"})

    assert answer.status_code == 421
