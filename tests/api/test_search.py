"""POST /search: a search from its start to its winner, over folds too, and one that was cancelled and resumed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

API = "/api/v1"
STRATEGY = """
name: Probe
model: {{type: mlp, layers: 1, hidden_size: 4, sequence_length: 3}}
training: {{epochs: 3, batch_size: 128, learning_rate: {{log: [0.0001, 0.1]}}}}
indicators: [{{name: rsi, period: {{int: [5, 30]}}}}]
search: {{trials: {trials}, seed: 1{more}}}
controls: {{shuffled_labels: none}}
{validation}
"""


def search(trials: int, more: str = "", validation: str = "") -> dict[str, Any]:
    text = STRATEGY.format(trials=trials, more=more, validation=validation)
    return {"strategy": text, "symbols": ["AAPL"], "timeframes": ["1d"], "start_date": "2023-10-01"}


async def start(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await client.post(f"{API}/search", json=body)
    assert answer.status_code == 202, answer.text
    name: str = answer.json()["operation_id"]
    assert answer.headers["location"].endswith(name)
    return name


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    return (await client.get(f"{API}/{path}", params=query)).json()


async def end_of(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    """The operation once it has ended, however long the machine takes for so many trainings."""
    while not (ended := await get(client, f"operations/{name}", wait=60))["completed_at"]:
        pass
    operation: dict[str, Any] = ended
    return operation


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models"


async def test_a_search_comes_to_the_same_winner_whether_or_not_it_is_cancelled_and_resumed(
    client: httpx.AsyncClient, loaded: dict[str, Any], models: Path
) -> None:
    # One trial after the other, so that some are still to come when the first has ended.
    body = search(3, ", sampler: tpe, lag: 0, halving: {factor: 3, min_epochs: 1}")
    whole = await start(client, body)
    ended = await end_of(client, whole)
    cancelled = await start(client, body)
    while not (await get(client, "operations", parent=cancelled, status="COMPLETED"))["operations"]:  # noqa: ASYNC110 (no event tells)
        await asyncio.sleep(0.01)
    await client.post(f"{API}/operations/{cancelled}/cancel")
    assert (await end_of(client, cancelled))["status"] == "CANCELLED"

    resumed = (await client.post(f"{API}/operations/{cancelled}/resume")).json()["operation_id"]
    await end_of(client, resumed)

    first, partial, again = [await get(client, f"operations/{each}/results") for each in (whole, cancelled, resumed)]
    assert (ended["status"], ended["progress"]["percentage"]) == ("COMPLETED", 100.0)
    # Three trials to one epoch, and the best of them to three.
    assert first["epochs_trained"] == 3 * 1 + 1 * 2
    assert sorted(trial["epochs"] for trial in first["trials"]) == [1, 1, 3]
    assert (first["winner"]["identical"], first["winner"]["differences"], first["warnings"]) == (True, [], [])
    unnamed = [[trial | {"operation_id": ""} for trial in each["trials"]] for each in (first, again)]
    assert unnamed[0] == unnamed[1]
    assert partial["kind"] == "unfinished_search"
    assert partial["trials"]
    trained_again = (await get(client, "operations", parent=resumed, type="TRIAL"))["operations"]
    assert len(trained_again) < 4
    trial = first["trials"][first["winner"]["trial"]]
    names = [each["operation_id"] for each in (first["winner"], trial, again["winner"])]
    assert len({(models / each / "model.safetensors").read_bytes() for each in names}) == 1
    await check_plots(client, trial=trial["operation_id"], full=names[0])
    await check_lists(client, whole, [again["winner"]["operation_id"], names[0]])
    await check_no_checkpoints(models)


async def check_plots(client: httpx.AsyncClient, *, trial: str, full: str) -> None:
    """A trial is saved without plots; they are drawn when somebody asks, and are those of its full training."""
    stored = (await get(client, f"operations/{trial}/results"))["artifacts"]
    assert not {"metrics_plot", "equity_plot"} & stored.keys()
    for plot in ("metrics_plot", "equity_plot"):
        drawn, saved = [await client.get(f"{API}/operations/{each}/artifacts/{plot}") for each in (trial, full)]
        assert drawn.headers["content-type"] == "image/png"
        assert drawn.content == saved.content
    assert (await get(client, f"operations/{trial}/results"))["artifacts"] == stored


async def check_lists(client: httpx.AsyncClient, name: str, winners: list[str]) -> None:
    """Trials are listed where somebody asks for them."""
    every = (await get(client, "operations"))["operations"]
    assert {each["operation_type"] for each in every} == {"TRAINING", "SEARCH", "DATA_LOAD"}
    parts = (await get(client, "operations", parent=name))["operations"]
    assert [each["operation_type"] for each in parts] == ["TRAINING"] + ["TRIAL"] * 4
    assert [model["operation_id"] for model in (await get(client, "models"))["models"]] == winners
    rows = (await get(client, f"operations/{name}/metrics"))["metrics"]
    assert [(row["rung"], row["epochs"]) for row in rows] == [(1, 1)] * 3 + [(2, 3)]
    assert (await client.get(f"{API}/operations/{name}/artifacts/search_summary")).text.startswith("Search: probe")


async def test_over_a_walk_forward_every_trial_is_a_training_in_folds(
    client: httpx.AsyncClient, loaded: dict[str, Any], models: Path
) -> None:
    validation = "validation: {type: walk_forward, folds: 2}"
    name = await start(client, search(2, ", objective: accuracy, halving: {factor: 2, min_epochs: 1}", validation))

    await end_of(client, name)

    results = await get(client, f"operations/{name}/results")
    assert (results["winner"]["identical"], results["winner"]["differences"]) == (True, [])
    assert results["epochs_trained"] == 2 * (2 * 1 + 2)  # in each of two folds
    full = await get(client, f"operations/{results['winner']['operation_id']}/results")
    assert (full["kind"], len(full["folds"])) == ("folds", 2)
    assert full["evaluation"]["accuracy"] == results["winner"]["score"]
    await check_no_checkpoints(models)
    removed = (await client.delete(f"{API}/operations/{name}")).json()
    assert len(removed["operations"]) == 1 + 3 * 3 + 3
    assert list(models.iterdir()) == []


async def check_no_checkpoints(models: Path) -> None:
    """They go once the end is recorded, which is when clients see it."""
    for _ in range(1000):
        if not list(models.glob("*/checkpoints")):
            return
        await asyncio.sleep(0.01)
    pytest.fail("checkpoints are left")


async def test_a_strategy_without_ranges_is_refused_in_words(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    body = search(2) | {"strategy": "name: x\nmodel: {type: mlp}\n"}

    answer = await client.post(f"{API}/search", json=body)

    assert answer.status_code == 422
    assert "search: {trials: 20}" in answer.text
