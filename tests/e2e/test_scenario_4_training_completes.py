"""Scenario 4: a training ends, its operation is COMPLETED and its results are there."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Watched
from tests.e2e.system import System, needs_shell


@pytest.fixture(scope="module")
def results(backend: System, completed: dict[str, Any]) -> dict[str, Any]:
    return backend.results(completed["operation_id"])


def test_the_operation_is_completed(completed: dict[str, Any]) -> None:
    assert completed["status"] == "COMPLETED"
    assert completed["operation_type"] == "TRAINING"
    assert completed["error"] is None
    assert completed["completed_at"]
    assert completed["created_at"] <= completed["updated_at"] <= completed["completed_at"]


def test_its_progress_is_whole(completed: dict[str, Any]) -> None:
    progress = completed["progress"]

    assert progress["percentage"] == 100.0
    assert progress["message"] == "Training completed"
    assert progress["current_step"] == progress["epoch_index"] == progress["total_epochs"] == 10
    assert progress["items_processed"] > 0
    assert progress["items_processed"] % 10 == 0


def test_only_a_completed_operation_shows_a_hundred_percent(watched: Watched) -> None:
    for view in watched.views:
        assert (view["progress"]["percentage"] == 100.0) == (view["status"] == "COMPLETED")


def test_its_metadata_tell_the_outcome(completed: dict[str, Any], results: dict[str, Any]) -> None:
    assert completed["metadata"]["symbols"] == ["AAPL"]
    assert completed["metadata"]["final_epoch"] == 10
    assert completed["metadata"]["best_val_loss"] == results["final_metrics"]["best_val_loss"]


def test_the_results_agree_with_the_metrics(
    backend: System, completed: dict[str, Any], results: dict[str, Any]
) -> None:
    metrics = backend.metrics(completed["operation_id"])["metrics"]
    best = min(metrics, key=lambda metric: metric["val_loss"])
    final = results["final_metrics"]

    assert results["status"] == "success"
    assert final["best_epoch"] == best["epoch"]
    assert final["best_val_loss"] == pytest.approx(best["val_loss"])
    assert final["best_val_accuracy"] == pytest.approx(best["val_accuracy"])
    assert final["final_train_loss"] == pytest.approx(metrics[-1]["train_loss"])
    assert final["final_val_loss"] == pytest.approx(metrics[-1]["val_loss"])
    assert final["total_epochs"] == 10
    assert final["training_duration_seconds"] == pytest.approx(sum(metric["duration"] for metric in metrics))


def test_the_model_stands_beside_its_baselines(results: dict[str, Any]) -> None:
    evaluation = results["evaluation"]

    assert {"accuracy", "balanced_accuracy", "f1", "confusion", "class_names"} <= evaluation.keys()
    assert evaluation["baselines"].keys() == {"majority", "persistence", "logistic_regression", "shuffled_control"}
    assert evaluation["verdict"]
    assert results["leak_gate"]["passed"]
    assert results["money"]["model"]["costs_paid"] >= 0
    assert sum(map(sum, evaluation["confusion"])) == evaluation["validation_samples"]


def test_model_and_artifacts_are_files(backend: System, completed: dict[str, Any], results: dict[str, Any]) -> None:
    assert Path(results["model_path"]).stat().st_size > 0
    assert {"metrics_plot", "model_summary"} <= results["artifacts"].keys()
    for name, path in results["artifacts"].items():
        served = backend.get(f"/operations/{completed['operation_id']}/artifacts/{name}")
        assert served.content == Path(path).read_bytes()
    assert Path(results["artifacts"]["metrics_plot"]).read_bytes().startswith(b"\x89PNG")
    assert "AAPL" in Path(results["artifacts"]["model_summary"]).read_text(encoding="utf-8")


def test_its_end_is_logged_in_order(backend: System, completed: dict[str, Any]) -> None:
    operation_id = completed["operation_id"]
    expected = (
        rf"INFO Training completed successfully \[{operation_id}\]",
        rf"DEBUG Refreshed operation {operation_id} from bridge \(cursor \d+ → 10\)",
        rf"INFO Completed operation {operation_id} with results",
    )

    log = backend.log()
    found = [max(log.find(line) for line in backend.lines(pattern)) for pattern in expected]

    assert all(before < now for before, now in pairwise(found))


def test_a_completed_operation_is_never_refreshed_again(backend: System, completed: dict[str, Any]) -> None:
    seen = backend.mark()

    views = [backend.operation(completed["operation_id"]) for _ in range(5)]
    forced = backend.operation(completed["operation_id"], force_refresh=True)

    assert all(view == completed for view in [*views, forced])
    assert backend.lines(f"Refreshed operation.*{completed['operation_id']}", seen) == []


def test_the_command_line_shows_results_and_model(backend: System, completed: dict[str, Any]) -> None:
    shown = backend.ktrdr("operations", "results", completed["operation_id"])
    listed = backend.ktrdr("models", "list")

    assert shown.code == 0
    assert "majority" in shown.out
    assert "persistence" in shown.out
    assert listed.code == 0
    assert completed["operation_id"] in listed.out


@needs_shell
def test_the_waiting_script_ends(watched: Watched) -> None:
    said = watched.waiting_script.splitlines()

    assert said[-2:] == ["Status: COMPLETED", "Training completed!"]
    assert set(said[:-2]) == {"Status: RUNNING"}
