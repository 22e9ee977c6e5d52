from __future__ import annotations

from typing import Any

import pytest

from ktrdr.cli.outcome import print_results
from tests.cli.conftest import results

MONEY = {
    "part": "validation",
    "fee_bps": 1.0,
    "slippage_bps": 2.0,
    "model": {
        "total_return": -0.123,
        "annual_return": None,
        "sharpe": -0.5,
        "sharpe_standard_error": 0.93,
        "max_drawdown": -0.2,
        "trades": 1234,
        "costs_paid": 0.04,
    },
    "buy_and_hold": {
        "total_return": 0.5,
        "annual_return": 0.4,
        "sharpe": None,
        "sharpe_standard_error": None,
        "max_drawdown": -0.1,
        "trades": 2,
        "costs_paid": 0.0006,
    },
    "random_entries": {"draws": 500, "low": -0.3, "median": -0.08, "high": 0.2, "percentile": 30.0},
    "verdict": "After costs the model returned -12.3%.",
}


def shown(capsys: pytest.CaptureFixture[str], changes: dict[str, Any]) -> tuple[list[list[str]], list[str]]:
    """Words of each line on stdout, and lines on stderr."""
    print_results("TRAINING", results() | changes)
    captured = capsys.readouterr()
    return [line.split() for line in captured.out.splitlines()], captured.err.splitlines()


def test_an_evaluation_shows_every_rival_and_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"accuracy": 0.55, "balanced_accuracy": 0.5, "mcc": 0.1, "log_loss": 0.69}
    names = ("logistic_regression", "majority", "persistence")
    evaluation = {
        "part": "validation",
        "validation_samples": 1234,
        **row,
        "baselines": dict.fromkeys(names, row) | {"persistence": row | {"log_loss": None}},
        "verdict": "The model is ahead.",
    }
    test = evaluation | {"part": "test", "validation_samples": 99, "verdict": "Nothing was chosen by these rows."}

    lines, told = shown(capsys, {"evaluation": evaluation, "test_evaluation": test, "money": MONEY})

    assert lines[0] == ["On", "1,234", "validation", "samples"]
    assert lines[1] == ["accuracy", "balanced", "accuracy", "MCC", "log-loss"]
    assert [line[0] for line in lines[2:6]] == ["model", "majority", "persistence", "logistic"]
    assert lines[4] == ["persistence", "0.5500", "0.5000", "0.1000", "-"]
    assert ["On", "99", "test", "samples"] in lines
    assert ["model", "-12.3%", "-", "-0.50", "±", "0.93", "-20.0%", "1,234", "-4.0%"] in lines
    assert ["buy", "and", "hold", "+50.0%", "+40.0%", "-", "-10.0%", "2", "-0.1%"] in lines
    assert told == [
        "note: The model is ahead.",
        "note: Nothing was chosen by these rows.",
        "note: After costs the model returned -12.3%.",
    ]


def test_a_regression_shows_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"mse": 0.99, "r2": 0.01, "ic": 0.1, "rank_ic": 0.09, "accuracy": 0.52}
    baselines = {"mean": row | {"ic": None, "rank_ic": None}, "persistence": row}
    evaluation = {"part": "validation", "validation_samples": 50, **row, "baselines": baselines, "verdict": "So it is."}

    lines, told = shown(capsys, {"evaluation": evaluation})

    assert lines[1] == ["squared", "error", "R²", "IC", "rank", "IC", "accuracy"]
    assert lines[3] == ["mean", "0.9900", "0.0100", "-", "-", "0.5200"]
    assert told == ["note: So it is."]


def test_folds_are_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    fold = {"fold": 1, "from": "2020-01-01T00:00:00Z", "to": "2020-06-30T00:00:00Z", "validation_samples": 120}
    scores = {"accuracy": 0.55, "baseline_accuracy": 0.52, "lead": 0.03}

    lines, told = shown(capsys, {"evaluation": None, "folds": [fold | scores], "verdict": "No more than chance."})

    assert ["1", "2020-01-01", "2020-06-30", "120", "0.5500", "0.5200", "0.0300"] in lines
    assert told == ["note: No more than chance."]
