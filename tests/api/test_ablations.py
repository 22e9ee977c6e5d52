"""A model trained again without each indicator, as an operation that is cancelled, resumed and refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from ktrdr.market.store import BarStore
from tests.api.conftest import Wait
from tests.api.test_analysis import done, store
from tests.api.test_app import API, assert_problem
from tests.api.test_training import START

__all__ = ["store"]

pytestmark = pytest.mark.anyio

STRATEGY = """
name: Probe
model: {type: mlp, layers: 1, hidden_size: 4, sequence_length: 3}
training: {epochs: 2, batch_size: 128}
indicators: [{name: rsi, period: 14, as: fast}, {name: sma, period: 5}]
controls: {shuffled_labels: none}
validation: {type: walk_forward, folds: 2, test: 0.1}
"""


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    return (await client.get(f"{API}/{path}", params=query)).json()


def unnamed(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [each | {"operation_id": ""} for each in results["indicators"]]


async def test_it_comes_to_the_same_table_whether_or_not_it_is_cancelled_and_resumed(
    client: httpx.AsyncClient, store: BarStore, wait: Wait, tmp_path: Path
) -> None:
    end = str(store.read("AAPL", "1d")["timestamp"][350].date())
    trained, folds = await done(client, wait, "/training/start", START | {"strategy": STRATEGY, "end_date": end})
    path = f"/models/{trained['operation_id']}/explain"

    ended, results = await done(client, wait, path, {"drop_one": True})

    assert (ended["operation_type"], ended["metadata"]["trials"]) == ("ABLATION", 3)
    assert (results["kind"], results["model"]) == ("ablation", trained["operation_id"])
    assert {each["name"] for each in results["indicators"]} == {"returns", "fast", "indicators[1]"}
    assert results["samples"] <= folds["folds"][-1]["validation_samples"]
    assert (
        results["val_loss"]
        == (await get(client, f"operations/{folds['folds'][-1]['operation_id']}/results"))["final_metrics"][
            "best_val_loss"
        ]
    )
    plot = await client.get(f"{API}/operations/{ended['operation_id']}/artifacts/ablation_plot")
    assert plot.headers["content-type"] == "image/png"
    listed = (await get(client, "operations"))["operations"]
    assert [each["operation_type"] for each in listed if each["operation_type"] == "TRIAL"] == []

    cancelled = (await client.post(f"{API}{path}", json={"drop_one": True})).json()["operation_id"]
    while not (await get(client, "operations", parent=cancelled, status="COMPLETED"))["operations"]:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0.01)
    await client.post(f"{API}/operations/{cancelled}/cancel")
    assert (await wait(cancelled))["status"] == "CANCELLED"
    partial = await get(client, f"operations/{cancelled}/results")
    resumed = (await client.post(f"{API}/operations/{cancelled}/resume")).json()["operation_id"]
    assert (await wait(resumed))["status"] == "COMPLETED"

    assert partial["kind"] == "unfinished_ablation"
    assert len((await get(client, "operations", parent=resumed))["operations"]) < 3
    assert unnamed(await get(client, f"operations/{resumed}/results")) == unnamed(results)
    assert list((tmp_path / "home" / "models").glob("*/checkpoints")) == []

    changed = store.read("AAPL", "1d").with_columns(pl.col("close") * 1.001)
    store.merge("AAPL", "1d", changed, "synthetic")
    refused = assert_problem(await client.post(f"{API}{path}", json={"drop_one": True}), 409, "conflict")
    assert "not those that model" in refused["detail"]
