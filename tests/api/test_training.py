from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.bootstrap import build_lanes
from ktrdr.executors.inline import InlineExecutor
from ktrdr.settings import Settings
from tests.api.conftest import AAPL, Wait, client_of
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

STRATEGY = """
name: Two epochs
model: {type: mlp, layers: 1, hidden_size: 8}
training: {epochs: 2, batch_size: 64}
indicators: [{name: rsi, period: 14}]
"""
LONG = STRATEGY.replace("epochs: 2", "epochs: 100000")
START = {"strategy": STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"]}


async def test_a_training_from_start_to_artifacts(
    client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait
) -> None:
    answer = await client.post(f"{API}/training/start", json=START)

    started = answer.json()
    operation_id = started["operation_id"]
    path = f"{API}/operations/{operation_id}"
    assert (answer.status_code, answer.headers["location"]) == (202, path)
    assert (started["status"], started["message"]) == ("running", "Training started")

    ended = await wait(operation_id)
    assert ended["status"] == "COMPLETED"
    assert ended["progress"]["percentage"] == 100.0
    assert ended["progress"]["message"] == "Training completed"
    assert ended["metadata"]["strategy"] == "two_epochs"
    assert ended["metadata"]["final_epoch"] == 2

    metrics = (await client.get(f"{path}/metrics")).json()
    assert [metric["epoch"] for metric in metrics["metrics"]] == [1, 2]
    assert (await client.get(f"{path}/metrics", params={"cursor": 2})).json() == {"metrics": [], "new_cursor": 2}
    assert_problem(await client.get(f"{path}/metrics", params={"cursor": 3}), 422, "invalid_cursor")

    results = (await client.get(f"{path}/results")).json()
    assert results["status"] == "success"
    assert results["final_metrics"]["total_epochs"] == 2
    assert set(results["evaluation"]["baselines"]) >= {"majority", "persistence", "logistic_regression"}
    assert results["leak_gate"]["passed"]

    plot = await client.get(f"{path}/artifacts/metrics_plot")
    assert (plot.headers["content-type"], plot.content[:4]) == ("image/png", b"\x89PNG")
    missing = assert_problem(await client.get(f"{path}/artifacts/metric_plot"), 404, "artifact_not_found")
    assert "metrics_plot" in missing["hint"]

    (model,) = (await client.get(f"{API}/models")).json()["models"]
    assert (model["operation_id"], model["model_type"]) == (operation_id, "mlp")
    assert not (Path(results["model_path"]).parent / "checkpoints").exists(), "nothing goes on from what is complete"
    assert_problem(await client.post(f"{path}/cancel"), 409, "operation_terminal")
    assert_problem(await client.post(f"{path}/resume"), 409, "conflict")


async def test_the_strategy_with_the_values_that_were_set_is_the_one_that_is_stored(
    client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait
) -> None:
    changed = START | {"set": {"training.epochs": 1, "indicators[0].period": 9}}

    started = (await client.post(f"{API}/training/start", json=changed)).json()

    ended = await wait(started["operation_id"])
    stored = (await client.get(f"{API}/operations/{started['operation_id']}/strategy")).text
    assert ended["metadata"]["final_epoch"] == 1
    assert "epochs: 1, batch_size: 64" in stored
    assert "{name: rsi, period: 9}" in stored


async def test_a_range_belongs_to_a_search(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    ranges = START | {"set": {"model.layers": {"int": [1, 2]}}}

    refused = assert_problem(await client.post(f"{API}/training/start", json=ranges), 422, "invalid_strategy")

    assert "model.layers is a range; a training needs one value" in refused["detail"]
    assert "ktrdr search start" in refused["hint"]


async def first_epoch(client: httpx.AsyncClient, operation_id: str) -> None:
    for _ in range(600):
        if (await client.get(f"{API}/operations/{operation_id}/metrics")).json()["metrics"]:
            return
        await asyncio.sleep(0.05)
    pytest.fail("no epoch was reported within 30 s")


async def durations(client: httpx.AsyncClient, operation_id: str) -> list[tuple[int, float]]:
    page = (await client.get(f"{API}/operations/{operation_id}/metrics")).json()
    return [(metric["epoch"], metric["duration"]) for metric in page["metrics"]]


async def test_cancel_queue_and_resume(client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait) -> None:
    running = (await client.post(f"{API}/training/start", json={**START, "strategy": LONG})).json()
    waiting = (await client.post(f"{API}/training/start", json=START)).json()
    assert (running["status"], waiting["status"]) == ("running", "pending")
    shown = (await client.get(f"{API}/operations/{waiting['operation_id']}")).json()
    assert shown["progress"]["queue_position"] == 1
    assert_problem(
        await client.get(f"{API}/operations/{running['operation_id']}/results"), 409, "operation_not_terminal"
    )
    await first_epoch(client, running["operation_id"])

    assert (await client.post(f"{API}/operations/{waiting['operation_id']}/cancel")).json()["status"] == "CANCELLED"
    await client.post(f"{API}/operations/{running['operation_id']}/cancel")

    cancelled = await wait(running["operation_id"])
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["progress"]["percentage"] < 100
    results = (await client.get(f"{API}/operations/{running['operation_id']}/results")).json()
    assert results["status"] == "cancelled"
    assert results["final_metrics"]["total_epochs"] >= 1

    assert cancelled["progress"]["message"].startswith("Cancelled ")
    shown = (await client.get(f"{API}/operations/{waiting['operation_id']}")).json()
    assert shown["progress"]["message"] == "Cancelled while it waited"
    attempts = [client.post(f"{API}/operations/{running['operation_id']}/resume") for _ in range(2)]
    one, other = sorted(await asyncio.gather(*attempts), key=lambda answer: answer.status_code)
    resumed = one.json()
    refused = assert_problem(other, 409, "conflict")
    assert f"has been resumed by {resumed['operation_id']}, which is" in refused["detail"]
    child = (await client.get(f"{API}/operations/{resumed['operation_id']}")).json()
    assert child["parent_id"] == running["operation_id"]
    await first_epoch(client, resumed["operation_id"])
    await client.post(f"{API}/operations/{resumed['operation_id']}/cancel")
    await wait(resumed["operation_id"])
    before, after = [await durations(client, started["operation_id"]) for started in (running, resumed)]
    assert len(after) >= len(before)
    assert after[: len(before)] == before, "the parent's epochs stand in front, not computed again"


@pytest.mark.parametrize(
    ("change", "status", "code", "says"),
    [
        ({"symbols": ["MSFT"]}, 409, "conflict", "MSFT"),
        ({"timeframes": ["1d", "1h"]}, 409, "conflict", "1h"),
        ({"timeframes": []}, 422, "invalid_input", "timeframe"),
        ({"start_date": "2030-01-01"}, 422, "invalid_input", "2024-12-30"),
        ({"start_date": "2024-12-01"}, 422, "training_data", "too few bars"),
        ({"strategy": "name: x"}, 422, "invalid_strategy", "model"),
    ],
)
async def test_what_cannot_be_trained_is_refused_at_once(
    client: httpx.AsyncClient, loaded: dict[str, Any], change: dict[str, Any], status: int, code: str, says: str
) -> None:
    answer = await client.post(f"{API}/training/start", json={**START, **change})

    problem = assert_problem(answer, status, code)
    assert says in problem["detail"]
    trainings = (await client.get(f"{API}/operations", params={"type": "training"})).json()
    assert trainings["total"] == 0


async def test_a_training_that_diverged_is_not_resumed_to_diverge_again(
    client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait
) -> None:
    wild = """
name: Wild
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 2}
training: {epochs: 3, optimizer: sgd, learning_rate: 10}
features: {scaling: none}
labels: {type: forward_return}
indicators: [{name: sma, period: 5, source: volume}]
validation: {type: walk_forward, folds: 2}
"""
    whole = (await client.post(f"{API}/training/start", json={**START, "strategy": wild})).json()["operation_id"]
    failed = await wait(whole)
    fold = (await client.get(f"{API}/operations", params={"parent": whole})).json()["operations"][0]

    assert (failed["status"], failed["error"]["code"]) == ("FAILED", "training_diverged")
    assert "resume" not in failed["error"]["hint"]
    assert "learning_rate" in failed["error"]["hint"]
    for operation_id in (whole, fold["operation_id"]):
        refused = assert_problem(await client.post(f"{API}/operations/{operation_id}/resume"), 409, "conflict")
        assert "would fail again" in refused["detail"]
    assert "training_diverged" in (await client.get(f"{API}/meta")).json()["final_errors"]


class DyingChecks(InlineExecutor):
    """The first workers that check a training die before they have an outcome."""

    deaths = 0

    async def run_aside(self, lane: str, function: str, folder: Path) -> None:
        if self.deaths:
            self.deaths -= 1
        else:
            await super().run_aside(lane, function, folder)


@pytest.mark.parametrize(("deaths", "status", "trainings"), [(1, 202, 1), (2, 503, 0)])
async def test_a_check_whose_worker_dies_is_done_by_another(
    tmp_path: Path, deaths: int, status: int, trainings: int
) -> None:
    settings = Settings(ktrdr_home=tmp_path)
    executor = DyingChecks(build_lanes(settings))
    async with client_of(settings, executor) as client:
        load = (await client.post(f"{API}/data/load", json=AAPL)).json()
        await client.get(f"{API}/operations/{load['operation_id']}", params={"wait": 60})
        executor.deaths = deaths

        answer = await client.post(f"{API}/training/start", json=START)

        assert answer.status_code == status, answer.text
        assert (await client.get(f"{API}/operations", params={"type": "training"})).json()["total"] == trainings


async def test_limits_of_gaps_go_by_the_calendar_that_was_named_for_the_symbol(
    client: httpx.AsyncClient, loaded: dict[str, Any]
) -> None:
    strict = START | {"strategy": STRATEGY + "data: {max_gap: 0}\n"}
    await client.put(f"{API}/data/AAPL/calendar", json={"calendar": "XLON"})

    refused = await client.post(f"{API}/training/start", json=strict)
    await client.put(f"{API}/data/AAPL/calendar", json={"calendar": None})
    started = await client.post(f"{API}/training/start", json=strict)

    assert "Missing by the calendar XLON" in assert_problem(refused, 422, "training_data")["detail"]
    assert started.status_code == 202
