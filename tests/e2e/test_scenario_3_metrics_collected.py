"""Scenario 3: every epoch's metrics are stored, and read by cursor."""

from __future__ import annotations

import json
import statistics
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.conftest import Watched
from tests.e2e.system import System, needs_shell

FIELDS = {
    "epoch": int,
    "train_loss": float,
    "train_accuracy": float,
    "val_loss": float,
    "val_accuracy": float,
    "learning_rate": float,
    "duration": float,
    "timestamp": str,
}


@pytest.fixture(scope="module")
def page(backend: System, completed: dict[str, Any]) -> dict[str, Any]:
    return backend.metrics(completed["operation_id"])


def test_every_epoch_has_its_metrics(page: dict[str, Any]) -> None:
    assert page.keys() == {"metrics", "new_cursor"}
    assert [metric["epoch"] for metric in page["metrics"]] == list(range(1, 11))
    assert page["new_cursor"] == 10
    for metric in page["metrics"]:
        assert {name: type(value) for name, value in metric.items()} == FIELDS


def test_the_numbers_are_possible(page: dict[str, Any]) -> None:
    for metric in page["metrics"]:
        assert 0 <= metric["train_accuracy"] <= 1
        assert 0 <= metric["val_accuracy"] <= 1
        assert metric["train_loss"] > 0
        assert metric["val_loss"] > 0
        assert metric["learning_rate"] == 0.001
        assert metric["duration"] > 0
    instants = [datetime.fromisoformat(metric["timestamp"]) for metric in page["metrics"]]
    assert instants == sorted(instants)
    assert all(metric["timestamp"].endswith("Z") for metric in page["metrics"])


def test_without_a_cursor_all_are_returned(backend: System, completed: dict[str, Any], page: dict[str, Any]) -> None:
    assert backend.get(f"/operations/{completed['operation_id']}/metrics").json() == page


def test_a_cursor_skips_what_came_before_it(backend: System, completed: dict[str, Any], page: dict[str, Any]) -> None:
    newer = backend.metrics(completed["operation_id"], cursor=5)

    assert newer == {"metrics": page["metrics"][5:], "new_cursor": 10}


def test_the_last_cursor_returns_nothing_new(backend: System, completed: dict[str, Any]) -> None:
    assert backend.metrics(completed["operation_id"], cursor=10) == {"metrics": [], "new_cursor": 10}


def test_metrics_are_visible_while_the_training_runs(watched: Watched) -> None:
    during = [page for page, view in zip(watched.pages, watched.views, strict=False) if view["status"] == "RUNNING"]

    assert during[0]["metrics"]
    assert sum(bool(page["metrics"]) for page in during) >= 3


def test_pages_read_during_the_training_hold_each_epoch_once(backend: System, watched: Watched) -> None:
    pulled = [metric for page in watched.pages for metric in page["metrics"]]

    assert [metric["epoch"] for metric in pulled] == list(range(1, len(pulled) + 1))
    assert pulled == backend.metrics(watched.operation_id)["metrics"]


def test_the_training_learns(backend: System, watched: Watched) -> None:
    losses = [metric["train_loss"] for metric in backend.metrics(watched.operation_id)["metrics"]]
    third = len(losses) // 3

    assert statistics.mean(losses[-third:]) < statistics.mean(losses[:third])


@needs_shell
def test_the_guides_commands_work(backend: System, completed: dict[str, Any]) -> None:
    url = f"http://localhost:8000/api/v1/operations/{completed['operation_id']}/metrics"

    everything = backend.bash(f"curl -s {url} | jq '.'")
    incremental = backend.bash(f"curl -s \"{url}?cursor=5\" | jq '.'")

    assert json.loads(everything)["new_cursor"] == 10
    assert [metric["epoch"] for metric in json.loads(incremental)["metrics"]] == [6, 7, 8, 9, 10]
