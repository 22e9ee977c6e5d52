"""A backtest as an operation: started, refused, ended, and its files."""

from __future__ import annotations

import httpx
import pytest

from ktrdr.market.store import BarStore
from tests.api.conftest import Wait
from tests.api.test_analysis import done, store
from tests.api.test_app import API, assert_problem
from tests.api.test_training import START, STRATEGY

__all__ = ["store"]

pytestmark = pytest.mark.anyio


async def test_a_backtest_of_a_model_and_of_folds(client: httpx.AsyncClient, store: BarStore, wait: Wait) -> None:
    stored = store.read("AAPL", "1d")["timestamp"]
    end, later = (str(stored[row].date()) for row in (500, 501))
    strategy = STRATEGY + "controls: {shuffled_labels: none}\n"
    trained, _ = await done(client, wait, "/training/start", START | {"strategy": strategy, "end_date": end})
    path = f"/models/{trained['operation_id']}/backtest"

    ended, results = await done(client, wait, path, {})

    assert (ended["operation_type"], ended["progress"]["percentage"]) == ("BACKTEST", 100.0)
    assert ended["metadata"]["model"] == results["model"] == trained["operation_id"]
    assert results["from"].startswith(later) or results["from"] > end
    assert (results["trained_samples"], results["warnings"], results["money"]["part"]) == (0, [], "other")
    artifacts = f"{API}/operations/{ended['operation_id']}/artifacts"
    report = await client.get(f"{artifacts}/report")
    assert (report.status_code, report.text.startswith("<!doctype html>")) == (200, True)
    assert (await client.get(f"{artifacts}/trades_csv")).text.startswith("symbol,side,entered_at")
    account = (await client.get(f"{API}/ledger/{ended['operation_id']}")).json()
    assert [look["kind"] for look in account["entries"]] == ["backtest"]

    _, long = await done(client, wait, path, {"set": {"positions.direction": "long"}})
    assert (long["money"]["positions"]["direction"], long["money"]["rules"]) == ("long", "long only")
    epochs = await client.post(f"{API}{path}", json={"set": {"training.epochs": 5}})
    assert "keys of positions and costs" in assert_problem(epochs, 422, "invalid_strategy")["detail"]
    refused = await client.post(f"{API}{path}", json={"start_date": "2024-02-01", "end_date": "2024-01-01"})
    assert "exchange the two" in assert_problem(refused, 422, "invalid_input")["hint"]
    assert_problem(await client.post(f"{API}{path}", json={"symbols": ["NONE"]}), 409, "conflict")
    overlapping = await client.post(f"{API}{path}", json={"start_date": str(stored[100].date())})
    failed = await wait(overlapping.json()["operation_id"])
    assert (failed["status"], failed["error"]["code"]) == ("FAILED", "invalid_input")
    assert "--allow-overlap" in failed["error"]["hint"]

    resumed = await client.post(f"{API}/operations/{failed['operation_id']}/resume")
    assert resumed.status_code == 202, resumed.text
    again = await wait(resumed.json()["operation_id"])
    assert (again["operation_type"], again["error"]) == ("BACKTEST", failed["error"])

    folded = strategy + "validation: {type: walk_forward, folds: 2}\n"
    whole, trained_in_folds = await done(client, wait, "/training/start", START | {"strategy": folded, "end_date": end})
    first, last = (trained_in_folds["folds"][number][name] for number, name in ((0, "from"), (1, "to")))
    body = {"start_date": first[:10], "end_date": last[:10]}
    _, joined = await done(client, wait, f"/models/{whole['operation_id']}/backtest", body)
    assert [fold["samples"] for fold in joined["folds"]] == [
        fold["validation_samples"] for fold in trained_in_folds["folds"]
    ]
    assert joined["money"]["model"] == trained_in_folds["money"]["model"]
