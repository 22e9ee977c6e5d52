"""No file of a model and no route gives a prediction of a sealed instant; once opened, they do."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from ktrdr.market.store import BarStore
from tests.api.conftest import Wait
from tests.api.test_app import API, assert_problem
from tests.features.series import made_bars

pytestmark = pytest.mark.anyio

STRATEGY = """
name: Sealed
model: {type: mlp, layers: 1, hidden_size: 4, sequence_length: 4}
training: {epochs: 1, seed: %d}
indicators: [{name: rsi, period: 5}]
controls: {shuffled_labels: none}
validation: {test: 0.2}
"""
ABOUT_PREDICTIONS = ("predict", "equity", "evaluation", "money")


@dataclass(frozen=True)
class Sealed:
    """The time of a sealed test part."""

    first: datetime
    last: datetime

    def holds(self, value: Any) -> bool:
        try:
            instant = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else datetime.fromisoformat(value)
        except (TypeError, ValueError, OverflowError, OSError):
            return False
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return self.first <= aware <= self.last


@dataclass(frozen=True)
class Server:
    """A server with a model whose test part is sealed, a rival on the same bars, and a copy of them by another name."""

    client: httpx.AsyncClient
    wait: Wait
    home: Path
    model: str
    rival: str

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(f"{API}{path}", params=query)

    async def run(self, path: str, body: Any) -> dict[str, Any]:
        """The results of the operation that a request starts."""
        answer = await self.client.post(f"{API}{path}", json=body)
        assert answer.status_code == 202, answer.text
        ended = await self.wait(answer.json()["operation_id"])
        assert ended["status"] == "COMPLETED", ended
        results = await self.get(f"/operations/{ended['operation_id']}/results")
        return {"operation_id": ended["operation_id"], **results.json()}

    async def sealed(self) -> Sealed:
        part = (await self.get(f"/models/{self.model}")).json()["results"]["sealed"]
        return Sealed(datetime.fromisoformat(part["from"]), datetime.fromisoformat(part["to"]))


@pytest.fixture
async def server(client: httpx.AsyncClient, wait: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    for picture in ("plot_metrics", "plot_equity", "plot_test_equity"):  # drawing takes half of the time
        monkeypatch.setattr(f"ktrdr.reports.{picture}", lambda *_: b"a picture")
    home = tmp_path / "home"
    store, bars = BarStore(home / "bars"), made_bars(220)
    for symbol in ("AAPL", "COPY"):
        store.merge(symbol, "1d", bars, "synthetic")
    ids = []
    for seed in (1, 2):
        request = {"strategy": STRATEGY % seed, "symbols": ["AAPL"], "timeframes": ["1d"]}
        answer = await client.post(f"{API}/training/start", json=request)
        ids.append((await wait(answer.json()["operation_id"]))["operation_id"])
    return Server(client, wait, home, *ids)


async def test_nothing_predicts_a_sealed_instant_until_it_is_opened(server: Server) -> None:
    sealed = await server.sealed()

    assert [where async for where in predictions_at(server, sealed)] == []

    await server.run(f"/models/{server.model}/unseal", {})

    opened = {where.split(" ")[0] async for where in predictions_at(server, sealed)}
    assert opened == {
        "unsealed/predictions.parquet",
        "unsealed/evaluated_rows.parquet",
        "unsealed/unsealing.json",
        f"/operations/{server.model}/results",
        f"/models/{server.model}",
        f"/models/{server.model}/bundle",
        "/models",
        "/charts",
        "/predictions/AAPL",
        "/predictions/COPY",
    }


async def predictions_at(server: Server, sealed: Sealed) -> AsyncIterator[str]:
    """Every place where something says what the model predicted at a sealed instant."""
    folder = server.home / "models" / server.model
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        for where in found_in(path.name, path.read_bytes(), sealed):
            yield f"{path.relative_to(folder)} {where}"
    for route in await paths_of(server):
        for where in found_in("", (await server.get(route)).content, sealed):
            yield f"{route} {where}"
    chart = await server.get("/charts/AAPL/1d", training=server.model)
    for where in found_in("", chart.content, sealed):
        yield f"/charts {where}"
    compared = await server.get("/models/compare", id=[server.model, server.rival])
    if compared.json()["rows"]["part"] != "validation":
        yield "/compare"
    for symbol in ("AAPL", "COPY"):
        body = {"symbol": symbol, "timeframe": "1d", "last": 100}
        for where in found_in("", await server.run(f"/models/{server.model}/predictions", body), sealed):
            yield f"/predictions/{symbol} {where}"


async def paths_of(server: Server) -> list[str]:
    """Every path that can be read of the model, and the list of models."""
    document = (await server.client.get("/openapi.json")).json()
    routes = [path.removeprefix(API) for path, methods in document["paths"].items() if "get" in methods]
    own = [path.replace("{operation_id}", server.model) for path in routes if "{operation_id}" in path]
    artifacts = (await server.get(f"/operations/{server.model}/results")).json()["artifacts"]
    named = [path.replace("{name}", name) for path in own if "{name}" in path for name in artifacts]
    return ["/models", *(path for path in own if "{" not in path), *named]


def found_in(name: str, content: Any, sealed: Sealed) -> Iterator[str]:
    """What `content`, JSON or a file of some kind, says of sealed instants."""
    if not isinstance(content, bytes):
        yield from found_in_json(content, sealed, name)
    elif content.startswith(b"PAR1"):
        table = pl.read_parquet(content)
        if {"predicted", "model"} & {*table.columns} and any(map(sealed.holds, map(str, table["timestamp"]))):
            yield f"{name} rows"
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive.getmembers():
                file = archive.extractfile(member)
                yield from found_in(member.name, file.read() if file else b"", sealed)
    elif content[:1] in b"{[" and content:
        yield from found_in_json(json.loads(content), sealed, name)


def found_in_json(value: Any, sealed: Sealed, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from found_in_json(item, sealed, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from found_in_json(item, sealed, path)
    elif any(word in path for word in ABOUT_PREDICTIONS) and sealed.holds(value):
        yield path


async def test_an_opening_is_served_with_the_model_and_counted_once(server: Server) -> None:
    body = {"symbol": "AAPL", "timeframe": "1d", "last": 5}
    before = await server.run(f"/models/{server.model}/predictions", body)
    first = await server.run(f"/models/{server.model}/unseal", {"by": "Ada"})
    again = await server.run(f"/models/{server.model}/unseal", {})
    second = await server.run(f"/models/{server.rival}/unseal", {})

    # The newest bar is a forecast, whose label nobody knows.
    assert (before["sealed_bars"], [each["part"] for each in before["predictions"]]) == (4, [None])
    assert (first["opening"]["number"], first["opening"]["level"], first["opening"]["by"]) == (1, 0.025, "Ada")
    assert {**again, "operation_id": ""} == {**first, "operation_id": ""}
    assert (second["opening"]["number"], second["opening"]["level"]) == (2, 0.0125)
    assert second["opening"]["by"] == "client 127.0.0.1"
    served = (await server.get(f"/operations/{server.model}/results")).json()
    assert served["sealed"]["opening"] == first["opening"]
    assert (served["test_evaluation"], served["test_money"]) == (first["evaluation"], first["money"])
    assert (await server.get(f"/models/{server.model}")).json()["results"] == served
    summary = await server.get(f"/operations/{first['operation_id']}/artifacts/model_summary")
    assert "was opened by Ada" in " ".join(summary.text.split())
    account = (await server.get(f"/ledger/{first['opening']['look_id']}")).json()
    assert [opening["by"] for opening in account["openings"]] == ["Ada", "client 127.0.0.1"]
    compared = (await server.get("/models/compare", id=[server.model, server.rival])).json()
    assert compared["rows"]["part"] == "test"


async def test_what_cannot_be_opened_is_refused(server: Server) -> None:
    request = {"strategy": STRATEGY % 1 + "\n", "symbols": ["AAPL"], "timeframes": ["1d"]}
    request["strategy"] = str(request["strategy"]).replace("validation: {test: 0.2}\n", "")
    answer = await server.client.post(f"{API}/training/start", json=request)
    unsplit = (await server.wait(answer.json()["operation_id"]))["operation_id"]

    refused = await server.client.post(f"{API}/models/{unsplit}/unseal", json={})
    too_long = await server.client.post(f"{API}/models/{server.model}/unseal", json={"by": "x" * 201})

    assert "has no sealed test part" in assert_problem(refused, 409, "conflict")["detail"]
    assert_problem(too_long, 422, "invalid_request")
