"""The ledger of a server: what trainings, predictions and removals leave in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.live import START, STRATEGY, Live, with_a_year

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with with_a_year(tmp_path_factory.mktemp("home")) as server:
        assert server.get("/ledger").json() == {"accounts": [], "total": 0}
        server.training = server.complete("/training/start", START)
        yield server


def account(server: Live, name: str) -> dict[str, Any]:
    answer = server.get(f"/ledger/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def predict(server: Live, last: int) -> str:
    body = {"symbol": "AAPL", "timeframe": "1d", "last": last}
    return server.complete(f"/models/{server.training}/predictions", body)


def test_a_training_is_a_look_with_the_figures_of_its_results(server: Live) -> None:
    found = account(server, server.training)

    look = found["entries"][0]
    evaluation = server.get(f"/operations/{server.training}/results").json()["evaluation"]
    assert (look["operation_id"], look["door"], look["kind"]) == (server.training, "server", "training")
    assert look["figures"]["accuracy"] == evaluation["accuracy"]
    assert look["samples"] == found["bars"] == evaluation["validation_samples"]
    assert account(server, look["look_id"]) == found
    listed = server.get("/ledger").json()
    assert {key: found[key] for key in listed["accounts"][0]} in listed["accounts"]


def test_a_reproduction_is_a_look_and_no_other_try_and_stays_when_it_is_removed(server: Live) -> None:
    before = account(server, server.training)

    again = server.complete(f"/models/{server.training}/reproduce", {})

    after = account(server, server.training)
    assert (after["looks"], after["tries"]) == (before["looks"] + 1, before["tries"])
    assert server.http.delete(f"/api/v1/operations/{again}").status_code == 200
    assert account(server, again) == after


def test_predictions_on_known_history_are_looks_outside_of_the_training_part(server: Live) -> None:
    evaluation = server.get(f"/operations/{server.training}/results").json()["evaluation"]
    before = account(server, server.training)

    every = predict(server, 200)

    after = account(server, server.training)
    look = after["entries"][-1]
    assert (look["operation_id"], look["kind"]) == (every, "prediction")
    # The bar between the two parts is purged from both.
    assert look["samples"] == evaluation["validation_samples"] + 1
    assert after["tries"] == before["tries"]


def test_a_prediction_without_an_outcome_is_no_look(server: Live) -> None:
    newest = predict(server, 1)

    answer = server.get(f"/ledger/{newest}")

    assert answer.status_code == 404
    assert answer.json()["detail"] == f"the ledger has no look {newest}"


def test_a_verdict_counts_the_tries_of_today(server: Live) -> None:
    results = server.get(f"/operations/{server.training}/results").json()
    look = account(server, server.training)["entries"][0]["look_id"]

    before = server.get(f"/ledger/{look}/verdict").json()
    server.complete("/training/start", START | {"strategy": STRATEGY.replace("period: 14", "period: 7")})
    after = server.get(f"/ledger/{look}/verdict").json()

    assert results["evaluation"]["selection"]["tries"] == results["money"]["selection"]["tries"] == 1
    assert after["selection"]["tries"] == before["selection"]["tries"] + 1
    assert after["selection"]["single_p_value"] == results["evaluation"]["selection"]["single_p_value"]
    assert after["selection"]["p_value"] >= after["selection"]["single_p_value"]
    assert after["backtest"]["tries"] == after["selection"]["tries"]
    assert server.get(f"/ledger/{server.training}/verdict").json() == after


def test_there_is_no_verdict_on_predictions(server: Live) -> None:
    every = predict(server, 200)

    answer = server.get(f"/ledger/{every}/verdict")

    assert answer.status_code == 409
    assert "has no tests to compare with other tries" in answer.json()["detail"]
