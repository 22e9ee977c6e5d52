"""No name in a request leads anywhere on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.api.conftest import AAPL, Wait
from tests.api.test_app import API, assert_problem
from tests.api.test_data import CSV
from tests.api.test_training import START

pytestmark = pytest.mark.anyio

NAMES = [
    "..",
    "../../../../etc/passwd",
    "..\\..\\registry.sqlite",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "C:\\",
    "\\\\server\\share",
    "%2e%2e%2fregistry.sqlite",
    "..%00",
    "AAPL\0",
    "AAPL\n",
    ".hidden",
    "~",
    "A" * 5000,
    "АAPL",  # a Cyrillic letter first
    "．．／x",  # full-width dots and slash
    "AAPL\u202e",
    "file:///etc/passwd",
]


GIVEN = {"operation_id": "op_x", "name": "x", "symbol": "AAPL", "timeframe": "1d"}


def files_below(folder: Path) -> set[Path]:
    """What bars, models, operations and uploads hold; the registry's own files come and go."""
    return {path for path in folder.rglob("*") if "registry.sqlite" not in path.name}


async def test_no_route_takes_a_name_for_a_path(
    client: httpx.AsyncClient, loaded: dict[str, Any], tmp_path: Path
) -> None:
    document = (await client.get("/openapi.json")).json()
    before = files_below(tmp_path)

    for path, methods in document["paths"].items():
        for parameter in (key for key in GIVEN if f"{{{key}}}" in path):
            for name in NAMES:
                # A client of its own accord follows dots that are not encoded.
                encoded = quote(name, safe="").replace(".", "%2E")
                filled = path.format(**GIVEN | {parameter: encoded})
                for method in methods:
                    params = {"filename": "a.csv"} if path.endswith("/import") else {}
                    answer = await client.request(method.upper(), filled, params=params, content=b"")
                    assert answer.status_code in {404, 405, 422}, f"{method} {filled}: {answer.text}"
                    assert answer.headers["content-type"] == "application/problem+json"

    assert files_below(tmp_path) == before


async def test_no_symbol_or_timeframe_in_a_body_is_one(
    client: httpx.AsyncClient, loaded: dict[str, Any], tmp_path: Path
) -> None:
    before = files_below(tmp_path)

    for name in NAMES:
        for path, body in (
            ("data/load", AAPL | {"symbol": name}),
            ("data/load", AAPL | {"timeframe": name}),
            ("data/load", AAPL | {"provider": name}),
            ("training/start", START | {"symbols": [name]}),
            ("training/start", START | {"timeframes": [name]}),
        ):
            assert_problem(await client.post(f"{API}/{path}", json=body), 422, "invalid_input")

    assert files_below(tmp_path) == before


async def test_an_uploaded_file_lies_under_a_name_of_ours(
    client: httpx.AsyncClient, wait: Wait, tmp_path: Path
) -> None:
    path, home = f"{API}/data/ACME/1d/import", tmp_path / "home"

    started = [await client.post(path, params={"filename": f"{name[:200]}.csv"}, content=CSV) for name in NAMES]
    ended = [await wait(answer.json()["operation_id"]) for answer in started]

    assert [operation["error"] for operation in ended if operation["status"] != "COMPLETED"] == []
    assert list(tmp_path.iterdir()) == [home]
    assert {found.name for found in home.iterdir()} - {"logs"} <= {
        "bars", "operations", "uploads", "home.id", "registry.sqlite", "registry.sqlite-shm", "registry.sqlite-wal"
    }  # fmt: skip
    assert [found.name for found in (home / "bars" / "ACME").glob("*.parquet")] == ["1d.parquet"]


async def test_a_file_must_end_as_one_of_bars(client: httpx.AsyncClient) -> None:
    for filename in ("a.csv/..", ".csv", "a.csv\0", "a.CSV.exe", "..", "", "csv", "a.csv ", "a.csv:stream"):
        answer = await client.post(f"{API}/data/ACME/1d/import", params={"filename": filename}, content=CSV)
        assert_problem(answer, 422, "invalid_input")
