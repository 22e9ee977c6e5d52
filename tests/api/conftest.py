"""The whole application in this process; operations run in threads of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.api.app import create_app
from ktrdr.bootstrap import build_lanes, build_services
from ktrdr.executors.executor import Executor
from ktrdr.executors.inline import InlineExecutor
from ktrdr.settings import Settings

AAPL = {"symbol": "AAPL", "timeframe": "1d", "provider": "sample"}


@asynccontextmanager
async def client_of(settings: Settings, executor: Executor | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with these settings."""
    services = build_services(settings, executor or InlineExecutor(build_lanes(settings)))
    app = create_app(services, version="0.0.0", token="", allowed_hosts=["ktrdr"])
    await services.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ktrdr") as client:
        yield client
    await services.close()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(Settings(ktrdr_home=tmp_path / "home", ktrdr_max_concurrent=1)) as client:
        yield client


Wait = Callable[[str], Awaitable[dict[str, Any]]]


@pytest.fixture
def wait(client: httpx.AsyncClient) -> Wait:
    """The operation once it has ended."""

    async def wait(operation_id: str) -> dict[str, Any]:
        answer = await client.get(f"/api/v1/operations/{operation_id}", params={"wait": 60})
        ended: dict[str, Any] = answer.json()
        assert ended["completed_at"], ended
        return ended

    return wait


@pytest.fixture
async def loaded(client: httpx.AsyncClient, wait: Wait) -> dict[str, Any]:
    """The load of AAPL's sample bars, ended."""
    answer = await client.post("/api/v1/data/load", json=AAPL)
    return await wait(answer.json()["operation_id"])
