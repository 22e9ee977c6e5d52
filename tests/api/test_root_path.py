"""The server below a path of its own, in this process."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from pydantic import SecretStr

from ktrdr.bootstrap import build_lanes, build_server, build_services
from ktrdr.errors import InputError
from ktrdr.executors.inline import InlineExecutor
from ktrdr.settings import Settings, read_settings
from tests.api.live import LOAD

pytestmark = pytest.mark.anyio

ROOT = "/ktrdr"
TOKEN = "a token of sorts"
KEY = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(ktrdr_home=tmp_path, ktrdr_root_path=ROOT, ktrdr_api_token=SecretStr(TOKEN))
    services = build_services(settings, InlineExecutor(build_lanes(settings)))
    app: Any = build_server(settings, services).app
    await services.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://trader.example") as client:
        yield client
    await services.close()


@pytest.mark.parametrize("cut", [True, False])
async def test_a_proxy_may_leave_the_path_or_cut_it_off(client: httpx.AsyncClient, cut: bool) -> None:
    base = "" if cut else ROOT

    assert (await client.get(f"{base}/api/v1/health")).json() == {"status": "ok"}
    assert (await client.get(f"{base}/api/v1/operations")).status_code == 401
    assert (await client.get(f"{base}/metrics")).status_code == 401
    assert (await client.get(f"{base}/api/v1/nothing", headers=KEY)).json()["code"] == "not_found"
    started = await client.post(f"{base}/api/v1/data/load", json=LOAD, headers=KEY)
    location = started.headers["location"]
    assert location == f"{ROOT}/api/v1/operations/{started.json()['operation_id']}"
    assert (await client.get(location, headers=KEY)).json()["operation_id"] == started.json()["operation_id"]
    assert (await client.get(f"{base}/docs/", headers=KEY)).headers["location"] == "https://trader.example/ktrdr/docs"


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_all_that_a_page_names_is_below_the_path(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(ROOT + path, headers=KEY)

    named = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(named) >= 4
    for name in named:
        address = urljoin(f"{ROOT}{path}", name)
        assert address.startswith(f"{ROOT}/")
        assert (await client.get(address, headers=KEY)).status_code == 200


async def test_the_path_without_its_slash_leads_to_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get(ROOT, headers=KEY)

    assert (answer.status_code, answer.headers["location"]) == (307, "https://trader.example/ktrdr/")


async def test_programs_learn_the_path_from_the_document(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{ROOT}/openapi.json", headers=KEY)).json()["servers"] == [{"url": ROOT}]


async def test_requests_are_counted_under_their_route(client: httpx.AsyncClient) -> None:
    await client.get(f"{ROOT}/api/v1/health")
    await client.get(f"{ROOT}/metrics", headers=KEY)

    counted = (await client.get(f"{ROOT}/metrics", headers=KEY)).text

    assert 'route="/health"' in counted
    assert 'route="/metrics"' in counted
    assert "/ktrdr" not in counted


@pytest.mark.parametrize(("given", "root"), [("", ""), ("/", ""), ("/ktrdr/", "/ktrdr"), ("/a/b-c", "/a/b-c")])
def test_a_root_path_is_read(given: str, root: str) -> None:
    assert Settings(ktrdr_root_path=given).ktrdr_root_path == root


@pytest.mark.parametrize("given", ["ktrdr", "/k trdr", "//x", "/../x", "/ktrdr?x", "https://x/ktrdr", "/api", "/web/x"])
def test_what_is_no_root_path_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="KTRDR_ROOT_PATH is "):
        read_settings(ktrdr_root_path=given)


@pytest.mark.parametrize("given", ["proxy.example", "10.0.0.1/8", "127.0.0.1;10.0.0.1"])
def test_what_is_no_address_is_no_trusted_proxy(given: str) -> None:
    with pytest.raises(InputError, match="KTRDR_TRUSTED_PROXIES is "):
        read_settings(ktrdr_trusted_proxies=given)


def test_addresses_and_networks_are_trusted_proxies() -> None:
    given = "127.0.0.1, 10.0.0.0/8,::1"
    assert read_settings(ktrdr_trusted_proxies=given).ktrdr_trusted_proxies == given
