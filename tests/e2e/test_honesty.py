"""Folds, several timeframes, the leak gate, reproduction: seen from outside, through real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.bars import csv_of, one_source
from tests.e2e.system import System, until
from tests.refusals import check_refusal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of POSIX")

WALK = """
name: Walk
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 5}
training: {epochs: EPOCHS, batch_size: 256}
validation: {type: walk_forward, folds: 3, embargo: 2}
labels: {type: triple_barrier, horizon: 5}
indicators: [{name: rsi, period: 14}]
"""

HOURS = """
name: Hours that know their days
timeframes: [1h, 1d]
calendar: XNYS
model: {type: gradient_boosting, leaves: 7}
training: {epochs: 20, learning_rate: 0.1}
validation: {test: 0.2}
labels: {type: forward_return, horizon: 2}
indicators: [{name: rsi, period: 14}, {name: atr, timeframe: 1d}]
"""


@pytest.fixture(scope="module")
def system(backend: System) -> System:
    """With four years of daily bars."""
    backend.load_sample("--start-date", "2021-01-01")
    return backend


def write(folder: Path, text: str, epochs: int = 4) -> Path:
    path = folder / "strategy.yaml"
    path.write_text(text.replace("EPOCHS", str(epochs)))
    return path


def folds_of(system: System, whole: str) -> list[dict[str, Any]]:
    children = [operation for operation in system.operations() if operation["parent_id"] == whole]
    folds = [operation for operation in children if "fold" in operation["metadata"]]
    return sorted(folds, key=lambda operation: int(operation["metadata"]["fold"]))


def test_a_walk_forward_is_the_sum_of_its_folds(system: System, tmp_path: Path) -> None:
    whole = system.train(write(tmp_path, WALK))

    system.ended(whole)

    folds, results = folds_of(system, whole), system.results(whole)
    assert [fold["status"] for fold in folds] == ["COMPLETED"] * 3
    assert [fold["operation_id"] for fold in results["folds"]] == [fold["operation_id"] for fold in folds]
    own = [system.results(fold["operation_id"])["evaluation"]["accuracy"] for fold in folds]
    assert [fold["accuracy"] for fold in results["folds"]] == own
    assert results["spread"]["accuracy"]["mean"] == pytest.approx(sum(own) / 3)
    told = results["folds"]
    assert all(earlier["to"] < later["from"] for earlier, later in pairwise(told))
    assert sorted(row["fold"] for row in system.metrics(whole)["metrics"]) == [1, 2, 3]
    assert results["verdict"].split(".")[0] in Path(results["artifacts"]["model_summary"]).read_text().replace(
        "\n", " "
    )
    assert system.get(f"/operations/{whole}/artifacts/metrics_plot").content.startswith(b"\x89PNG")
    listed = system.ktrdr("operations", "list", "--parent", whole).out
    assert all(f"fold {number}" in listed for number in (1, 2, 3))
    assert whole not in listed
    samples = [fold["validation_samples"] for fold in results["folds"]]
    pooled = sum(share * count for share, count in zip(own, samples, strict=True)) / sum(samples)
    assert results["evaluation"]["accuracy"] == pytest.approx(pooled)
    line = next(line for line in system.ktrdr("models", "list").out.splitlines() if " 3 folds " in line)
    assert f"{pooled:.4f}" in line


def test_cancelling_the_whole_cancels_its_folds(system: System, tmp_path: Path) -> None:
    whole = system.train(write(tmp_path, WALK, epochs=100_000))
    until(lambda: sum(fold["status"] == "RUNNING" for fold in folds_of(system, whole)) == 2)

    assert system.ktrdr("operations", "cancel", whole).code == 0

    system.ended(whole, "CANCELLED")
    assert [system.ended(fold["operation_id"], "CANCELLED") for fold in folds_of(system, whole)]


def test_a_fold_that_dies_fails_the_whole_and_a_resume_trains_what_is_missing(system: System, tmp_path: Path) -> None:
    whole = system.train(write(tmp_path, WALK, epochs=250))
    until(lambda: folds_of(system, whole)[2]["status"] == "RUNNING")
    last = folds_of(system, whole)[2]["operation_id"]
    os.kill(system.worker_of(last).pid, signal.SIGKILL)

    failed = system.ended(whole, "FAILED")
    assert "1 of 3 folds have no model" in failed["error"]["detail"]
    assert "was killed by SIGKILL" in failed["error"]["detail"]
    load = ("data", "load", "AAPL", "1d", "--provider", "sample", "--replace", "--start-date")
    assert system.ktrdr(*load, "2020-06-01").code == 0
    check_refusal(system.ktrdr("operations", "resume", whole), 2, "belongs to another training: bars of AAPL 1d differ")
    assert system.ktrdr(*load, "2021-01-01").code == 0
    again = json.loads(system.ktrdr("operations", "resume", whole).out)["operation_id"]

    system.ended(again)
    members = [fold["operation_id"] for fold in system.results(again)["folds"]]
    assert members[:2] == [fold["operation_id"] for fold in folds_of(system, whole)[:2]]
    assert members[2:] == [fold["operation_id"] for fold in folds_of(system, again)]


def test_hours_that_know_their_days_are_audited_trained_and_reproduced(system: System, tmp_path: Path) -> None:
    for timeframe in ("1h", "1d"):
        path = csv_of(one_source, f"SPY_{timeframe}", tmp_path, year=2019)
        assert system.ktrdr("data", "import", path, "SPY", timeframe).code == 0
    strategy = write(tmp_path, HOURS)

    audited = system.ktrdr("strategies", "audit", strategy, "--symbols", "SPY")
    assert audited.code == 0, audited.err
    trained = system.ktrdr("models", "train", "--strategy", strategy, "--symbols", "SPY", "--follow", "--json")
    assert trained.code == 0, trained.err
    results = json.loads(trained.out)

    assert results["leak_gate"]["passed"]
    assert results["evaluation"]["baselines"].keys() >= {"mean", "persistence", "ridge_regression"}
    assert (results["test_evaluation"], results["test_money"]) == (None, None)
    assert results["money"]["buy_and_hold"]["total_return"]
    model = results["operation_id"]
    again = system.ktrdr("models", "reproduce", model, "--json")
    assert json.loads(again.out)["reproduction"]["identical"] is True
    opened = json.loads(system.ktrdr("models", "unseal", model, "--yes", "--json").out)
    assert (opened["evaluation"]["part"], opened["evaluation"]["validation_samples"]) == (
        "test",
        results["sealed"]["samples"],
    )
    assert system.results(model)["test_evaluation"] == opened["evaluation"]
    predicted = system.ktrdr("models", "predict", model, "SPY", "1h", "--last", "5", "--json")
    assert len(json.loads(predicted.out)["predictions"]) == 5
    other = system.ktrdr("models", "train", "--strategy", strategy, "--symbols", "SPY", "--timeframes", "1d")
    check_refusal(other, 2, "the strategy is for the timeframes 1h, 1d; the request names 1d")
