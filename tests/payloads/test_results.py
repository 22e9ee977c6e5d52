"""The JSON of results: the keys that 0.1.0 had, records of 0.1.0 and of a newer version, paths in any home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from pydantic import ValidationError

import ktrdr
from ktrdr.errors import StorageError
from ktrdr.payloads.reading import parse_results
from ktrdr.payloads.results import FileResults, OtherResults
from ktrdr.payloads.training import FoldsResults, TrainingResults, UnfinishedFoldsResults
from ktrdr.saved_models.unsealed import with_opening
from tests.sample_results import classification, folds, leak_gate, preflight_report, regression, training

HERE = Path(__file__).parent
STRATEGY = """
name: Small
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 5}
training: {epochs: 2}
indicators: [{name: rsi, period: 14}]
"""
NEW = (
    *("version: ", "kind: ", "restored_epochs: ", "preflight.folds: ", "preflight.left_out: ", "preflight.by_fold[]."),
    "artifacts.evaluated_rows: ",
    *("preflight.symbols[].holes: ", "preflight.symbols[].calendar.", "sealed"),
)
"""What results have had since 0.1.0."""
NEW_WITHIN = (
    *(".interval[]: ", ".timing.", ".breakdown.", ".log_loss_lead.", ".sharpe_interval", ".against_holding."),
    *(".against_zero.", ".random_entries.p_value: ", ".random_entries.look_back: ", "parts[].resolution_in: "),
    *("parts[].effective_samples: ", ".selection", ".random_entries.reason: ", "money.positions.", "money.costs."),
    "money.rules: ",
)
"""Fields of evaluations, backtests and preflights since 0.1.0, wherever those are."""
NEW_IN_FOLDS = (
    *("evaluation", "money", "test_evaluation: ", "test_money: ", "artifacts.equity_plot: ", "artifacts.strategy: "),
    *("lead.over: ", "folds[].total_return: ", "folds[].held_return: ", "warnings", "reproduction: "),
)
"""What those of a training in folds have had since then besides."""
VARIANTS = {
    "classification": "validation: {test: 0.2}\n",
    "regression": "labels: {type: forward_return}\nvalidation: {test: 0.2}\n",
    "folds": "validation: {type: walk_forward, folds: 2}\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    ktrdr.load("AAPL", "1d", provider="sample", start="2022-01-01", home=home)
    return home


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """`evaluation.accuracy: number` for each leaf of a JSON document."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        kinds = {bool: "boolean", int: "number", float: "number", str: "text", dict: "object", list: "list"}
        yield f"{path}: {kinds.get(type(value), 'null')}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_keys_and_types_of_json_are_those_of_0_1_0(variant: str, home: Path, tmp_path: Path) -> None:
    trained = ktrdr.train(STRATEGY + VARIANTS[variant], "AAPL", ["1d"], output=tmp_path / "model", home=home)
    assert (trained.results.test_evaluation, trained.results.test_backtest) == (None, None)
    if trained.results.sealed:
        ktrdr.unseal(trained, home=home)
    results = with_opening(trained.results)

    found = set(leaves(json.loads(results.model_dump_json())))

    warned = {"preflight.warnings: list", "preflight.warnings[]: text"}  # as there is something to warn of or not
    new = (*NEW, *NEW_IN_FOLDS) if variant == "folds" else NEW
    expected = set((HERE / f"{variant}.txt").read_text(encoding="utf-8").splitlines()) - warned
    assert expected <= found
    added = {leaf for leaf in found - expected - warned if not leaf.startswith(new)}
    assert {leaf for leaf in added if not any(part in leaf for part in NEW_WITHIN)} == set()
    assert "version: number" in found
    assert parse_results(json.loads(results.model_dump_json())) == results


def test_results_of_0_1_0_are_read_with_their_instants_and_without_a_version() -> None:
    stored = json.loads(training(preflight=preflight_report(), leak_gate=leak_gate()).model_dump_json())
    del stored["version"], stored["kind"]
    stored["preflight"]["symbols"][0]["first"] = "2023-01-03T01:00:00+01:00"

    found = parse_results(stored)

    assert isinstance(found, TrainingResults)
    assert found.version == 1
    assert json.loads(found.model_dump_json())["preflight"]["symbols"][0]["first"] == "2023-01-03T00:00:00Z"


def test_results_of_a_newer_version_are_refused_in_words() -> None:
    stored = json.loads(training().model_dump_json()) | {"version": 2, "ending": {"reason": "all epochs"}}

    with pytest.raises(StorageError, match=r"written by a newer ktrdr \(version 2; this one reads 1\)"):
        parse_results(stored)


def test_damage_is_no_results_of_another_kind() -> None:
    stored = json.loads(training().model_dump_json())
    stored["final_metrics"]["total_epochs"] = "many"

    with pytest.raises(ValidationError, match=r"final_metrics\.total_epochs"):
        parse_results(stored)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (json.loads(folds().model_dump_json()), FoldsResults),
        ({"status": "cancelled", "folds": []}, UnfinishedFoldsResults),
        ({"status": "failed", "error": {"code": "x", "detail": "y", "hint": ""}}, OtherResults),
    ],
)
def test_what_results_hold_tells_their_kind(document: dict[str, Any], kind: type[Any]) -> None:
    assert type(parse_results(document)) is kind


def test_the_kind_of_an_evaluation_is_kept() -> None:
    for evaluation in (classification(), regression()):
        document = json.loads(training(evaluation=evaluation).model_dump_json())

        found = parse_results(document)

        assert isinstance(found, TrainingResults)
        assert found.evaluation == evaluation


def test_what_is_not_finite_is_null() -> None:
    document = json.loads(training(evaluation=classification(float("nan"))).model_dump_json())

    assert document["evaluation"]["accuracy"] is None


@pytest.mark.parametrize(
    ("stored", "served"),
    [
        ("models/op_1/metrics.png", "/here/models/op_1/metrics.png"),
        ("/old/place/models/op_1/metrics.png", "/here/models/op_1/metrics.png"),
        ("/old/operations/op_9/place/operations/op_1/model.onnx", "/here/operations/op_1/model.onnx"),
        ("C:\\ktrdr\\models\\op_1\\metrics.png", "/here/models/op_1/metrics.png"),
    ],
)
def test_a_file_lies_in_this_home_wherever_it_was_made(stored: str, served: str) -> None:
    results = FileResults(artifacts={"file": stored}).under(PurePosixPath("/here"))

    assert results.artifacts == {"file": served}
    assert results.under(PurePosixPath("/moved")).artifacts == {"file": served.replace("/here", "/moved", 1)}


def test_where_there_is_no_model_there_is_no_path() -> None:
    assert training(model_path="").under(PurePosixPath("/here")).model_path == ""
