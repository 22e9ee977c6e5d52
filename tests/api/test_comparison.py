"""Trainings are compared on the server: wholes with wholes, and a whole with its fold."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import AAPL, Wait
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

COMPARE = f"{API}/models/compare"
FOLDS = """
name: Folds
model: {{type: gradient_boosting, leaves: 3}}
training: {{epochs: 3}}
indicators: [{{name: rsi, period: {period}}}]
controls: {{shuffled_labels: none}}
validation: {{type: walk_forward, folds: 2, test: 0.1}}
"""


async def train(client: httpx.AsyncClient, wait: Wait, period: int) -> str:
    request = {"strategy": FOLDS.format(period=period), "symbols": ["AAPL"], "timeframes": ["1d"]}
    started = (await client.post(f"{API}/training/start", json=request)).json()
    ended = await wait(started["operation_id"])
    assert ended["status"] == "COMPLETED", ended["error"]
    return str(started["operation_id"])


async def test_wholes_and_folds_are_compared(client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait) -> None:
    one, other = await train(client, wait, 7), await train(client, wait, 14)
    folds = (await client.get(f"{API}/operations", params={"parent": one})).json()["operations"]
    second, first = (fold["operation_id"] for fold in folds)

    sealed = (await client.get(COMPARE, params={"id": [one, other]})).json()
    for each in (one, other):
        await wait((await client.post(f"{API}/models/{each}/unseal", json={})).json()["operation_id"])
    wholes = (await client.get(COMPARE, params={"id": [one, other]})).json()
    with_fold = (await client.get(COMPARE, params={"id": [one, first]})).json()

    assert sealed["rows"]["part"] == "validation"
    assert wholes["models"] == [one, other]
    assert wholes["inputs"] == [{"name": "indicators[0].timeperiod", "values": [7, 14]}]
    tested = (await client.get(f"{API}/operations/{one}/results")).json()["test_evaluation"]
    # The longer indicator has a longer warm-up, and so other borders.
    assert wholes["rows"]["part"] == "test"
    assert tested["validation_samples"] - 2 <= wholes["rows"]["samples"] <= tested["validation_samples"]
    assert wholes["rows"]["scores"][0] == pytest.approx(tested["accuracy"], abs=0.02)
    assert wholes["rows"]["tests"][0]["test"]["interval"][0] <= wholes["rows"]["tests"][0]["test"]["difference"]
    # The first fold has not opened the test part, so its validation rows are shared.
    own = (await client.get(f"{API}/operations/{first}/results")).json()["evaluation"]
    assert [each["name"] for each in with_fold["inputs"]] == ["fold"]
    assert (with_fold["rows"]["part"], with_fold["rows"]["samples"]) == ("validation", own["validation_samples"])
    assert "are level" in with_fold["verdict"]
    listed = {model["operation_id"]: model for model in (await client.get(f"{API}/models")).json()["models"]}
    alone = (await client.get(COMPARE, params={"id": [one]})).json()
    assert (alone["models"], [each["name"] for each in alone["inputs"]]) == ([first, second], ["fold"])
    assert (listed[one]["fold"], listed[first]["fold"], listed[second]["fold"]) == (None, 1, 2)


async def test_what_cannot_be_compared_is_refused(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    load, again = loaded["operation_id"], (await client.post(f"{API}/data/load", json=AAPL)).json()["operation_id"]

    unknown = await client.get(COMPARE, params={"id": [load, "op_training_20260101_zzzzzz"]})
    no_training = await client.get(COMPARE, params={"id": [load, again]})

    assert_problem(unknown, 404, "operation_not_found")
    assert "is no training" in assert_problem(no_training, 404, "not_found")["detail"]
    assert_problem(await client.get(COMPARE, params={"id": [load, load]}), 422, "invalid_input")
    assert_problem(await client.get(COMPARE, params={"id": [load]}), 404, "not_found")
    assert_problem(await client.get(COMPARE), 422, "invalid_request")
