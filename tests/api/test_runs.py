"""Trainings as rows: filtered, sorted, tagged, and gone with their operations."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Wait
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

STRATEGY = """
name: Boosting
model: {{type: gradient_boosting, leaves: {leaves}}}
training: {{epochs: 2, learning_rate: {rate}}}
indicators: [{{name: rsi, period: {period}, as: fast}}, {{name: roc, period: 5}}]
controls: {{shuffled_labels: none}}
"""
YEAR = {"symbols": ["AAPL"], "timeframes": ["1d"], "start_date": "2023-01-01", "end_date": "2023-12-31"}
RUNS = f"{API}/runs"


async def train(client: httpx.AsyncClient, wait: Wait, name: str, **settings: Any) -> str:
    body = {"strategy": STRATEGY.format(**settings), "strategy_name": name, **YEAR}
    operation_id = str((await client.post(f"{API}/training/start", json=body)).json()["operation_id"])
    assert (await wait(operation_id))["status"] == "COMPLETED"
    return operation_id


async def table(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(RUNS, params=query)
    assert answer.status_code == 200, answer.text
    names = [column["name"] for column in answer.json()["columns"]]
    return [dict(zip(names, row["values"], strict=True)) for row in answer.json()["rows"]]


async def test_runs_are_ranked_tagged_and_removed(
    client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait
) -> None:
    one = await train(client, wait, "slow", leaves=3, rate=0.01, period=7)
    other = await train(client, wait, "quick", leaves=3, rate=0.2, period=14)
    results = (await client.get(f"{API}/operations/{one}/results")).json()

    rows = await table(client)
    assert [row["id"] for row in rows] == [other, one]
    assert [(row["training.learning_rate"], row["fast.period"]) for row in rows] == [(0.2, 14), (0.01, 7)]
    assert "model.leaves" not in rows[0]
    assert "indicators[1].period" not in rows[0]
    assert [row["id"] for row in await table(client, sort="training.learning_rate")] == [one, other]
    assert [row["id"] for row in await table(client, where="indicators[0].period<10")] == [one]
    assert [row["id"] for row in await table(client, q="QUICK")] == [other]
    measures = (await table(client, where="name=slow", columns="val_loss,accuracy,lead,epochs,kind,symbols"))[0]
    assert measures["val_loss"] == results["final_metrics"]["best_val_loss"]
    assert measures["accuracy"] == results["evaluation"]["accuracy"]
    assert measures["lead"] in [each["lead"] for each in results["evaluation"]["significance"]["against"].values()]
    assert (measures["epochs"], measures["kind"], measures["symbols"]) == (2, "training", ["AAPL"])

    tagged = await client.patch(RUNS, json={"operation_ids": [one[-6:]], "add": ["baseline"], "note": "=1+1"})
    assert [(run["tags"], run["note"]) for run in tagged.json()["runs"]] == [(["baseline"], "=1+1")]
    assert [row["id"] for row in await table(client, where="tags=baseline")] == [one]
    assert (await client.get(f"{RUNS}/{one}")).json()["parameters"]["fast.period"] == 7
    text = (await client.get(RUNS, params={"format": "csv", "columns": "name,tags,note"})).text
    assert text == "name,tags,note\nquick,,\nslow,baseline,'=1+1\n"

    many = {"operation_ids": ["last", one], "add": [f"t{number}" for number in range(20)]}
    refused = assert_problem(await client.patch(RUNS, json=many), 422, "invalid_input")
    assert "would have 21 tags" in refused["detail"]
    assert (await client.get(f"{RUNS}/{other}")).json()["tags"] == []

    await client.request("DELETE", f"{API}/operations/{one}")
    assert [row["id"] for row in await table(client)] == [other]
    assert_problem(await client.get(f"{RUNS}/{one}"), 404, "operation_not_found")


async def test_wrong_queries_are_refused_in_words(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    load = loaded["operation_id"]

    unknown = assert_problem(await client.get(RUNS, params={"sort": "-leed"}), 422, "invalid_input")
    assert (unknown["detail"], unknown["hint"]) == ("there is no column 'leed'", "did you mean lead?")
    assert (
        "is no condition"
        in assert_problem(await client.get(RUNS, params={"where": "lead"}), 422, "invalid_input")["detail"]
    )
    assert_problem(await client.patch(RUNS, json={"operation_ids": [load], "add": ["x"]}), 404, "not_found")
    assert_problem(await client.patch(RUNS, json={"operation_ids": ["last"]}), 422, "invalid_request")
    assert_problem(await client.get(RUNS, params={"wher": "x"}), 422, "invalid_request")
