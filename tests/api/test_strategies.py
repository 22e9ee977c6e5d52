from __future__ import annotations

import httpx
import pytest

from tests.api.test_app import API, assert_problem
from tests.api.test_training import STRATEGY

pytestmark = pytest.mark.anyio


async def test_a_valid_strategy_comes_back_with_its_defaults(client: httpx.AsyncClient) -> None:
    verdict = (await client.post(f"{API}/strategies/validate", json={"strategy": STRATEGY})).json()

    assert (verdict["valid"], verdict["faults"]) == (True, [])
    assert verdict["strategy"]["training"]["learning_rate"] == 0.001
    assert verdict["strategy"]["indicators"][0]["timeperiod"] == 14


async def test_every_fault_is_told_at_once(client: httpx.AsyncClient) -> None:
    wrong = STRATEGY.replace("mlp", "mpl").replace("epochs: 2", "epochs: -1").replace("name: rsi", "name: rsii")

    verdict = (await client.post(f"{API}/strategies/validate", json={"strategy": wrong})).json()

    assert verdict["valid"] is False
    found = {fault["path"]: fault for fault in verdict["faults"]}
    assert found["training.epochs"]["value"] == -1
    assert found["model.type"]["suggestion"] == "mlp"
    assert any(fault["suggestion"] == "rsi" for path, fault in found.items() if path.startswith("indicators[0]"))
    assert all(fault["line"] for fault in verdict["faults"])


async def test_a_search_comes_back_with_what_it_varies(client: httpx.AsyncClient) -> None:
    ranges = STRATEGY.replace("period: 14", "period: {int: [5, 9]}") + "search: {trials: 3, sampler: tpe}\n"

    verdict = (await client.post(f"{API}/strategies/validate", json={"strategy": ranges})).json()
    wrong = (await client.post(f"{API}/strategies/validate", json={"strategy": ranges.replace("9]", "0]")})).json()

    assert verdict["search"] == {
        "trials": 3,
        "different": 5,
        "sampler": "tpe",
        "objective": "val_loss",
        "keys": [{"path": "indicators[0].period", "range": {"int": [5, 9]}}],
    }
    assert [fault["path"] for fault in wrong["faults"]] == ["indicators[0].period.int"]


async def test_the_schema_is_a_json_schema(client: httpx.AsyncClient) -> None:
    schema = (await client.get(f"{API}/strategies/schema")).json()

    assert schema["type"] == "object"
    assert {"name", "model", "training", "indicators"} <= set(schema["properties"])


async def test_indicators_are_listed_and_shown(client: httpx.AsyncClient) -> None:
    indicators = (await client.get(f"{API}/indicators")).json()["indicators"]
    names = (await client.get(f"{API}/indicators")).json()["expression_names"]
    macd = (await client.get(f"{API}/indicators/macd")).json()

    assert len(indicators) > 150
    assert {"volume", "mean(x, n)", "lag(x, n=1)"} <= {each["call"] for each in names}
    assert macd["outputs"] == ["macd", "macdsignal", "macdhist"]
    assert macd["warmup"] == 33
    missing = assert_problem(await client.get(f"{API}/indicators/macdd"), 404, "indicator_not_found")
    assert "macd" in missing["hint"].lower()
