"""A home of version 0.1.0 behind the server of this version."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from ktrdr.cli import main
from tests.api.live import LOAD, START, Live, live
from tests.refusals import check_problem
from tests.registry import old_registry


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A home whose model was trained, and whose registry is then one of 0.1.0: a training and a load that failed."""
    home = tmp_path_factory.mktemp("old")
    with live(home) as server:
        server.complete("/data/load", LOAD)
        trained = server.complete("/training/start", START)
    with closing(sqlite3.connect(home / "registry.sqlite")) as database:
        (results,) = database.execute(f"SELECT results FROM operations WHERE operation_id='{trained}'").fetchone()
    (home / "registry.sqlite").unlink()
    training = {
        "lane": "training", "strategy": START["strategy"], "strategy_name": "two", "symbols": ["AAPL"],
        "timeframes": ["1d"], "start": None, "end": None, "fold": 0, "bars": "/gone/bars", "models": "/gone/models",
    }  # fmt: skip
    load = {**LOAD, "lane": "data", "bars": "/gone/bars", "replace": False, "clip": False, "start": None, "end": None}
    old_registry.write(
        home / "registry.sqlite",
        old_registry.insert(trained, "TRAINING", "COMPLETED", training, json.loads(results)),
        old_registry.insert("op_data_load_old", "DATA_LOAD", "FAILED", load, {"status": "failed"}),
        old_registry.insert("op_training_odd", "TRAINING", "PAUSED", training, {"status": "paused"}),
    )
    with live(home) as server:
        server.training, server.load = trained, "op_data_load_old"
        yield server


def test_the_operations_of_0_1_0_are_listed(served: Live) -> None:
    page = served.get("/operations").json()

    assert {operation["operation_id"] for operation in page["operations"]} >= {served.training, served.load}
    assert served.get(f"/operations/{served.training}").json()["completed_at"].startswith("2026-11-24T07:28:21")


def test_a_training_of_0_1_0_is_a_run(served: Live) -> None:
    table = served.get("/runs", columns="id,name,kind,epochs,training.epochs", where=f"id={served.training}").json()

    assert table["rows"][0]["values"] == [served.training, "two", "training", 2, 2]


def test_a_model_of_0_1_0_predicts(served: Live) -> None:
    prediction = served.complete(
        f"/models/{served.training}/predictions", {"symbol": "AAPL", "timeframe": "1d", "last": 3}
    )

    assert served.get(f"/operations/{prediction}/results").json()["status"] == "success"


def test_what_failed_in_0_1_0_is_resumed(served: Live) -> None:
    resumed = served.complete(f"/operations/{served.load}/resume", {})

    assert served.get(f"/operations/{resumed}").json()["parent_id"] == served.load


def test_a_record_that_cannot_be_read_is_listed_as_such(served: Live, capsys: pytest.CaptureFixture[str]) -> None:
    page = served.get("/operations").json()
    assert served.training in {operation["operation_id"] for operation in page["operations"]}
    (unreadable,) = page["unreadable"]
    assert unreadable["operation_id"] == "op_training_odd"
    assert "its status is 'PAUSED'" in unreadable["reason"]
    check_problem(served.get("/operations/op_training_odd"), 503, "storage_failed", "'PAUSED'")
    assert served.get("/operations", page_token="op_training_odd").status_code == 200
    assert main(["--api-url", served.url, "operations", "list"]) == 0
    assert "op_training_odd is unreadable: its status is 'PAUSED'" in "".join(capsys.readouterr())
