"""What is done with models and strategies beside training them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from ktrdr.api.services import analysis_service
from ktrdr.market.store import BarStore
from tests.api.conftest import Wait
from tests.api.test_app import API, assert_problem
from tests.api.test_training import START, STRATEGY
from tests.features.series import made_bars

pytestmark = pytest.mark.anyio

REGRESSION = STRATEGY + "labels: {type: forward_return}\n"


async def done(
    client: httpx.AsyncClient, wait: Wait, path: str, body: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The operation that a request starts, and its results."""
    answer = await client.post(f"{API}{path}", json=body)
    assert answer.status_code == 202, answer.text
    started = answer.json()
    assert answer.headers["location"] == f"{API}/operations/{started['operation_id']}"
    ended = await wait(started["operation_id"])
    assert ended["status"] == "COMPLETED", ended
    results = (await client.get(f"{API}/operations/{started['operation_id']}/results")).json()
    return ended, results


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    """With bars of AAPL in it."""
    store = BarStore(tmp_path / "home" / "bars")
    store.merge("AAPL", "1d", made_bars(800), "synthetic")
    return store


@pytest.mark.slow
async def test_what_is_done_with_a_model(
    client: httpx.AsyncClient, store: BarStore, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, _ = await done(client, wait, "/training/start", START)
    model = trained["operation_id"]

    await check_predictions(client, wait, model)
    await check_export(client, wait, model)
    await check_reproduction(client, wait, model)
    await check_bars(client, store, model)
    monkeypatch.setattr(analysis_service, "EXPORT_PACKAGES", ("onnx", "onnx_that_is_absent"))
    absent = assert_problem(await client.post(f"{API}/models/{model}/exports", json={}), 409, "conflict")
    assert ("onnx_that_is_absent" in absent["detail"], "ktrdr[onnx]" in absent["hint"]) == (True, True)


async def check_predictions(client: httpx.AsyncClient, wait: Wait, model: str) -> None:
    """They are those of the training, to the bit."""
    path = f"/models/{model}/predictions"
    operation, results = await done(client, wait, path, {"symbol": "AAPL", "timeframe": "1d", "last": 150})
    assert (operation["operation_type"], operation["metadata"]["model"]) == ("PREDICTION", model)
    assert operation["progress"]["message"] == "Predicted 150 bars"
    content = (await client.get(f"{API}/operations/{model}/artifacts/predictions")).content
    then = pl.read_parquet(content).with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    said = {row["timestamp"]: row["probability_up"] for row in then.to_dicts()}
    rows = results["predictions"]
    both = [(row["probability_up"], said[row["timestamp"]]) for row in rows if row["timestamp"] in said]
    assert (len(rows), len(both)) == (150, 149)
    assert all(now == before for now, before in both)

    hours = await client.post(f"{API}{path}", json={"symbol": "AAPL", "timeframe": "1h"})
    assert "1d" in assert_problem(hours, 422, "invalid_input")["detail"]
    missing = await client.post(f"{API}{path}", json={"symbol": "MSFT", "timeframe": "1d"})
    assert "ktrdr data load MSFT 1d" in assert_problem(missing, 409, "conflict")["hint"]


async def check_export(client: httpx.AsyncClient, wait: Wait, model: str) -> None:
    operation, results = await done(client, wait, f"/models/{model}/exports", {"format": "onnx"})
    file = await client.get(f"{API}/operations/{operation['operation_id']}/artifacts/onnx")
    assert len(file.content) == results["size_bytes"]
    assert results["largest_difference"] < 1e-5


async def check_reproduction(client: httpx.AsyncClient, wait: Wait, model: str) -> None:
    again, results = await done(client, wait, f"/models/{model}/reproduce")
    assert (again["operation_type"], again["parent_id"]) == ("TRAINING", model)
    found = results["reproduction"]
    assert (found["of"], found["identical"], found["differences"]) == (model, True, [])


async def check_bars(client: httpx.AsyncClient, store: BarStore, model: str) -> None:
    async def changed() -> bool | None:
        found: bool | None = (await client.get(f"{API}/models/{model}")).json()["bars_changed"]
        return found

    assert await changed() is False
    last = store.read("AAPL", "1d").tail(1)
    store.merge("AAPL", "1d", last.with_columns(pl.col("timestamp").dt.offset_by("7d")), "synthetic")
    assert await changed() is False, "bars that came later are none of the training's"
    store.merge("AAPL", "1d", last.with_columns(volume=pl.col("volume") + 1), "synthetic")
    assert await changed() is True
    (store.root.parent / "models" / model / "model.json").unlink()
    assert await changed() is None


async def test_what_is_done_with_a_strategy(client: httpx.AsyncClient, store: BarStore, wait: Wait) -> None:
    operation, results = await done(client, wait, "/training/preflight", {**START, "strategy": REGRESSION})
    assert operation["operation_type"] == "PREFLIGHT"
    assert [part["part"] for part in results["parts"]] == ["train", "validation"]
    assert results["parameters"] > 100
    assert results["epoch_seconds"] > 0
    assert [fold["fold"] for fold in results["by_fold"]] == [1]
    assert results["errors"] == []
    few = await client.post(f"{API}/training/preflight", json={**START, "start_date": "2022-02-20"})
    assert_problem(few, 422, "training_data")

    body = {"strategy": STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"], "start_date": "2021-06-01"}
    operation, results = await done(client, wait, "/strategies/audit", body)
    assert operation["operation_type"] == "AUDIT"
    assert (results["passed"], results["leaks"]) == (True, [])

    asked = {"predictions": {"symbol": "AAPL", "timeframe": "1d"}, "exports": {"format": "onnx"}, "reproduce": None}
    for path, request in asked.items():
        assert_problem(await client.post(f"{API}/models/op_none/{path}", json=request), 404, "operation_not_found")
        answer = await client.post(f"{API}/models/{operation['operation_id']}/{path}", json=request)
        assert answer.status_code in (404, 409)
        assert "AUDIT" in answer.json()["detail"]
