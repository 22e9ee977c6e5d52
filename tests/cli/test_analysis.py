from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import TRAINING, operation, problem, results, started
from tests.cli.test_models import train
from tests.sample_results import leak_gate, preflight_report

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

DONE = "op_analysis_20230630_abc123"

PREDICTIONS = {
    "status": "success",
    "model": TRAINING,
    "symbol": "MSFT",
    "timeframe": "1d",
    "class_names": ["down", "up"],
    "label": {"type": "direction", "horizon": 1},
    "trained_on_symbol": False,
    "predictions": [
        {
            "timestamp": "2023-06-30T00:00:00Z",
            "close": 340.54,
            "probability_down": 0.25,
            "probability_up": 0.75,
            "predicted": "up",
        }
    ],
}
PREFLIGHT = {"status": "success", **preflight_report().model_dump(mode="json"), "folds": 1}
CHECKS = leak_gate().checks.model_dump(mode="json")
LEAK = {
    "symbol": "AAPL",
    "column": "sma_3",
    "instant": "2023-03-01T00:00:00Z",
    "kind": "look-ahead",
    "whole": 0.5,
    "known": None,
    "message": "look-ahead: sma_3 of AAPL",
}


def ends(
    server: FakeServer, path: str, kind: str, found: dict[str, Any], status: str = "COMPLETED", **changes: Any
) -> None:
    """The request to `path` starts an operation that has ended with `found`."""
    shown = {"percentage": 100.0, "message": "Done", "current_step": 3, "items_processed": 1}
    about = operation(status, operation_id=DONE, operation_type=kind, progress=shown, **changes)
    server.on("POST", path, started(DONE))
    server.on("GET", f"/operations/{DONE}", about)
    server.on("GET", f"/operations/{DONE}/metrics", {"metrics": [], "new_cursor": 0})
    server.on("GET", f"/operations/{DONE}/results", found)


def test_predictions_are_a_row_for_each_bar(server: FakeServer, ktrdr: Run) -> None:
    ends(server, f"/models/{TRAINING}/predictions", "PREDICTION", PREDICTIONS)

    ran = ktrdr("models", "predict", TRAINING, "MSFT", "1d", "--last", "1")

    assert ran.code == 0
    heading, row = ran.out.splitlines()
    assert heading.split() == ["bar", "close", "down", "up", "predicted"]
    assert row.split() == ["2023-06-30", "340.540", "0.2500", "0.7500", "up"]
    assert "not trained on MSFT" in ran.err
    assert server.asked[0].json == {"symbol": "MSFT", "timeframe": "1d", "last": 1}
    assert ktrdr("models", "predict", TRAINING, "MSFT", "1d", "--json").json == {
        "operation_id": DONE,
        "kind": "prediction",
        **PREDICTIONS,
    }


def test_a_regression_predicts_a_number(server: FakeServer, ktrdr: Run) -> None:
    row = {"timestamp": "2023-06-30T14:00:00Z", "close": 340.54, "predicted": -0.00125}
    found = {**PREDICTIONS, "timeframe": "1h", "class_names": [], "predictions": [row]}
    ends(server, f"/models/{TRAINING}/predictions", "PREDICTION", found)

    ran = ktrdr("models", "predict", TRAINING, "MSFT", "1h")

    assert ran.out.splitlines()[1].split() == ["2023-06-30", "14:00", "340.540", "-0.001250"]


def test_an_export_is_saved_where_it_was_asked_for(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    found = {
        "status": "success",
        "model": TRAINING,
        "format": "onnx",
        "compared_on": "AAPL",
        "artifacts": {"onnx": "/home/models/x.onnx"},
        "size_bytes": 3,
        "windows_compared": 256,
        "largest_difference": 1e-9,
        "inputs": {"features": "float64"},
        "outputs": {"probabilities": "float64"},
    }
    ends(server, f"/models/{TRAINING}/exports", "EXPORT", found)
    server.on("GET", f"/operations/{DONE}/artifacts/onnx", b"123")

    ran = ktrdr("models", "export", TRAINING, "-o", str(tmp_path / "m.onnx"))

    assert ran.code == 0
    assert (tmp_path / "m.onnx").read_bytes() == b"123"
    assert "x.onnx" in ran.out


def test_the_plots_of_a_model_are_saved_in_a_folder_that_is_made(
    server: FakeServer, ktrdr: Run, tmp_path: Path
) -> None:
    server.on("GET", f"/operations/{TRAINING}", operation("COMPLETED", operation_id=TRAINING))
    for plot in ("metrics_plot", "equity_plot"):
        server.on("GET", f"/operations/{TRAINING}/artifacts/{plot}", plot.encode())

    ran = ktrdr("models", "plot", TRAINING, "-o", str(tmp_path / "new" / "plots"))

    assert ran.code == 0
    saved = {path.name: path.read_bytes() for path in (tmp_path / "new" / "plots").iterdir()}
    assert saved == {f"{TRAINING}_metrics.png": b"metrics_plot", f"{TRAINING}_equity.png": b"equity_plot"}


def test_another_format_is_refused_here(server: FakeServer, ktrdr: Run) -> None:
    assert ktrdr("models", "export", TRAINING, "--format", "pickle").code == 2
    assert server.asked == []


def test_a_missing_package_comes_with_the_line_that_installs_it(server: FakeServer, ktrdr: Run) -> None:
    line = "install it there with: pip install 'ktrdr[onnx]'"
    server.on("POST", f"/models/{TRAINING}/exports", problem(409, "conflict", "an export needs onnx", line))

    ran = ktrdr("models", "export", TRAINING)

    assert (ran.code, ran.err) == (2, f"error: an export needs onnx\nhint: {line}\n")


def test_a_dry_run_tells_what_the_training_would_meet(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    ends(server, "/training/preflight", "PREFLIGHT", PREFLIGHT)

    ran = ktrdr(*train(strategy, "--dry-run"))

    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == ["AAPL", "124", "19", "67", "17", "0", "1", "2023-01-03", "2023-06-30"]
    assert "50,000 (746.3 for each training sample)" in ran.out
    assert "warning: 17 validation samples are few" in ran.err
    assert server.paths("POST") == ["/training/preflight"]


def fold(number: int, train: int, left_out: list[dict[str, Any]], seconds: float | None = 40.0) -> dict[str, Any]:
    dates = {"first": "2020-02-11T00:00:00Z", "last": "2021-02-04T00:00:00Z"}
    rest = {**dates, "shares": {"down": 0.4, "up": 0.6}, "resolution": 0.1}
    parts = [{"part": "train", "samples": train, **rest}, {"part": "validation", "samples": 498, **rest}]
    return {
        "fold": number,
        "parts": parts if train else [],
        "left_out": left_out,
        "epoch_seconds": None if seconds is None else seconds / 10,
        "total_seconds": seconds,
        "errors": [] if train else ["it has 0 training samples"],
        "warnings": [],
    }


def test_a_dry_run_of_folds_has_a_row_for_each_and_the_time_of_all(
    server: FakeServer, ktrdr: Run, strategy: Path
) -> None:
    about = {"first": "2020-01-02T00:00:00Z", "last": "2021-01-24T00:00:00Z", "reason": "it has too few bars"}
    young = {"symbol": "YOUNG", "parts": ["train", "validation"], **about}
    gone = {"symbol": "GONE", "parts": ["validation"], **about}
    folds = [fold(1, 0, [], None), fold(2, 2996, [young]), fold(3, 3494, [gone], 100.0)]
    found = {**PREFLIGHT, "folds": 3, "by_fold": folds, "total_seconds": 140.0, "parameters": 0}
    ends(server, "/training/preflight", "PREFLIGHT", found)

    ran = ktrdr(*train(strategy, "--dry-run"))

    assert [line.split() for line in ran.out.splitlines()[:4]] == [
        ["fold", "train", "validation", "from", "to", "time", "left", "out"],
        ["1", "-", "-", "-", "-", "-", "-"],
        ["2", "2,996", "498", "2020-02-11", "2021-02-04", "40.0", "s", "YOUNG"],
        ["3", "3,494", "498", "2020-02-11", "2021-02-04", "1:40", "GONE", "(validation)"],
    ]
    assert "Fold 2" in ran.out
    assert "all 3 folds          about 2:20, one after the other" in ran.out
    assert "parameters" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_hopeless_training_is_exit_code_2(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    ends(server, "/training/preflight", "PREFLIGHT", {**PREFLIGHT, "errors": ["all 17 are up"]})

    ran = ktrdr(*train(strategy, "--dry-run"))

    assert ran.code == 2
    assert "error: all 17 are up" in ran.err


def test_bars_that_show_only_later_to_be_too_few_are_exit_code_2(
    server: FakeServer, ktrdr: Run, strategy: Path
) -> None:
    error = {"code": "training_data", "detail": "too few bars", "hint": "load more"}
    ends(server, "/training/preflight", "PREFLIGHT", {"status": "failed", "error": error}, "FAILED", error=error)

    ran = ktrdr(*train(strategy, "--dry-run"))

    assert (ran.code, ran.err.splitlines()[-2:]) == (2, ["error: too few bars", "hint: load more"])


def test_timeframes_may_be_left_to_the_strategy(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/training/start", started())

    ran = ktrdr("models", "train", "--strategy", str(strategy), "--symbols", "AAPL")

    assert ran.code == 0
    assert server.asked[0].json["timeframes"] == []


@pytest.mark.parametrize(("leaks", "code"), [([], 0), ([LEAK], 1)])
def test_an_audit_ends_with_1_where_there_is_a_leak(
    server: FakeServer, ktrdr: Run, strategy: Path, leaks: list[dict[str, Any]], code: int
) -> None:
    found = {
        "status": "success",
        "passed": not leaks,
        "verdict": "in words",
        "checks": CHECKS,
        "seconds": 1.0,
        "complete": True,
        "exhaustive": True,
        "leaks": leaks,
    }
    ends(server, "/strategies/audit", "AUDIT", found)

    ran = ktrdr("strategies", "audit", str(strategy), "--symbols", "AAPL,MSFT", "--timeframes", "1d")

    assert ran.code == code
    assert "in words" in ran.err
    assert ("look-ahead" in ran.out) is bool(leaks)
    assert server.asked[0].json["symbols"] == ["AAPL", "MSFT"]


@pytest.mark.parametrize("identical", [True, False])
def test_a_reproduction_says_whether_it_is_the_same(server: FakeServer, ktrdr: Run, identical: bool) -> None:
    differences = [] if identical else ["weights head.bias: 1 of 2 differ, by 1e-07 at most"]
    found = {"of": TRAINING, "identical": identical, "differences": differences, "inputs": []}
    ends(server, f"/models/{TRAINING}/reproduce", "TRAINING", {**results(), "reproduction": found})

    ran = ktrdr("models", "reproduce", TRAINING)

    assert ran.code == int(not identical)
    assert ran.out.splitlines() == differences
    assert ran.err.splitlines()[-1] == f"The model is {'identical to' if identical else 'not the same as'} {TRAINING}"


def test_show_tells_that_the_bars_have_changed(server: FakeServer, ktrdr: Run) -> None:
    from tests.cli.test_models import model

    server.on("GET", f"/models/{TRAINING}", model(bars_changed=True))

    ran = ktrdr("models", "show", TRAINING)

    assert "bars changed  yes" in ran.out
    assert "no longer those" in ran.err
