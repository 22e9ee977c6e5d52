from __future__ import annotations

from typing import Any

import pytest

from ktrdr.cli.outcome import print_results
from ktrdr.cli.output import note
from ktrdr.payloads.predictions import PredictionResults
from ktrdr.payloads.results import OperationError, OtherResults, Results
from ktrdr.payloads.training import FinishedFold, UnfinishedFoldsResults
from tests.sample_results import backtest, classification, final_metrics, folds, preflight_report, regression, training


def shown(capsys: pytest.CaptureFixture[str], results: Results) -> tuple[list[list[str]], list[str]]:
    """Words of each line on stdout, and lines on stderr."""
    print_results(results)
    captured = capsys.readouterr()
    return [line.split() for line in captured.out.splitlines()], captured.err.splitlines()


def test_an_evaluation_shows_every_rival_and_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    test = classification(0.55, part="test", samples=1234, verdict="Nothing was chosen by these rows.")

    lines, notes = shown(capsys, training(test_evaluation=test, backtest=backtest()))

    assert lines[0] == ["On", "20", "validation", "samples"]
    assert lines[1] == ["accuracy", "balanced", "accuracy", "MCC", "log-loss"]
    assert [line[0] for line in lines[2:6]] == ["model", "majority", "persistence", "logistic"]
    assert lines[4] == ["persistence", "0.4500", "0.4600", "0.1000", "-"]
    assert ["On", "1,234", "test", "samples"] in lines
    assert ["Backtest", "on", "the", "validation", "part,", "3", "bps", "a", "trade"] in lines
    assert ["model", "-12.3%", "-", "-0.50", "±", "0.93", "-20.0%", "1,234", "-4.0%"] in lines
    assert ["buy", "and", "hold", "+50.0%", "+40.0%", "-", "-10.0%", "2", "-0.1%"] in lines
    assert notes == [
        "note on the validation part: The model is ahead.",
        "note on the test part: Nothing was chosen by these rows.",
        "note on the backtest, validation part: After costs the model returned -12.3%.",
    ]


def test_a_regression_shows_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    lines, notes = shown(capsys, training(evaluation=regression()))

    assert lines[1] == ["squared", "error", "R²", "IC", "rank", "IC", "accuracy"]
    assert lines[3] == ["mean", "0.9900", "0.0100", "-", "-", "0.5200"]
    assert notes == ["note on the validation part: So it is."]


def test_folds_are_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    lines, notes = shown(capsys, folds())

    # Results of 0.1.0 have no backtest of a fold.
    assert ["1", "2023-01-03", "2023-06-30", "0.5500", "0.5200", "+0.0300", "-", "-"] in lines
    assert notes == ["note on the validation part: No more than chance."]


def test_folds_are_shown_together_too(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"mse": 0.9, "baseline_mse": 1.1, "lead": 0.2, "total_return": 0.123, "held_return": -0.05}
    each = tuple(fold.model_copy(update=numbers) for fold in folds().folds)
    whole = folds().model_copy(
        update={
            "folds": each,
            "evaluation": regression(),
            "backtest": backtest(),
            "test_evaluation": regression().model_copy(update={"part": "test", "verdict": "Tested once."}),
            "test_backtest": backtest("test"),
        }
    )

    lines, notes = shown(capsys, whole)

    assert ["fold", "from", "to", "error", "baseline", "lead", "return", "holding"] in lines
    assert ["1", "2023-01-03", "2023-06-30", "0.9000", "1.1000", "+0.2000", "+12.3%", "-5.0%"] in lines
    assert ["On", "50", "validation", "samples"] in lines
    assert ["On", "50", "test", "samples"] in lines
    assert ["Backtest", "on", "the", "test", "part,", "3", "bps", "a", "trade"] in lines
    assert [note.partition(":")[0] for note in notes] == [
        "note on the validation part",
        "note on the test part",
        "note on the backtest, validation part",
        "note on the backtest, test part",
    ]


def test_folds_that_were_finished_before_the_rest_was_cancelled_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    finished = FinishedFold(fold=1, operation_id="op_fold", **dict(final_metrics()))

    lines, _ = shown(capsys, UnfinishedFoldsResults(status="cancelled", folds=(finished,)))

    assert ["1", "4", "2", "0.6900"] in lines
    assert lines[-1] == ["status", "cancelled"]


def test_without_an_epoch_there_is_no_figure_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    none = final_metrics(best_epoch=None, best_val_loss=None, final_train_loss=None, total_epochs=0)
    early = training(status="cancelled", final_metrics=none, evaluation=None, model_path="", artifacts={})

    lines, notes = shown(capsys, early)

    assert lines == [["status", "cancelled"], ["epochs", "0"], ["time", "2.5", "s"]]
    assert notes == []


def test_what_failed_shows_its_state_and_what_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    error = OperationError(code="worker_died", detail="the worker ended")

    lines, notes = shown(capsys, OtherResults(status="failed", error=error, note="the worker was terminated"))

    assert lines == [["status", "failed"]]
    assert notes == ["note: the worker was terminated"]


def test_warnings_of_the_preflight_are_shown_with_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    warned = training(preflight=preflight_report(warnings=("AAPL lacks bars", "training.optimizer does nothing")))

    _, notes = shown(capsys, warned)

    assert notes[-2:] == ["warning: AAPL lacks bars", "warning: training.optimizer does nothing"]


def test_a_note_wraps_between_words_on_a_terminal_and_is_one_line_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = " ".join(["majority"] * 30)

    note(words, "the test part")
    assert capsys.readouterr().err == f"note on the test part: {words}\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "50")
    note(words, "the test part")
    lines = capsys.readouterr().err.splitlines()

    assert max(map(len, lines)) <= 50
    assert {line.split()[-1] for line in lines} == {"majority"}


def prediction(**changes: Any) -> PredictionResults:
    bars = [
        {"timestamp": f"2023-06-{day}T00:00:00Z", "close": 1.0, "predicted": "up", "part": part, "probability_up": 0.4}
        for day, part in ((28, "train"), (29, "test"), (30, None))
    ]
    facts = {"model": "op_1", "symbol": "AAPL", "timeframe": "1d", "class_names": ["up"], "trained_on_symbol": True}
    content = {**facts, "label": {"type": "direction", "horizon": 1}, "predictions": bars, **changes}
    return PredictionResults.model_validate(content)


def test_predictions_on_bars_of_the_training_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    lines, notes = shown(capsys, prediction())

    assert [line[-1] for line in lines] == ["part", "train", "test", "-"]
    assert notes[1:] == [
        "note: bars of the training's own time: 2 of 3; their predictions show nothing about later bars"
    ]


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ({"bars_changed": True}, "the stored bars of AAPL are no longer those"),
        ({"class_weights": [2.0, 0.5]}, "probability times class weight (2.00, 0.50)"),
        ({"has_weighted_probabilities": True}, "contain the class weights"),
        ({"trained_on_symbol": False}, "the model was not trained on AAPL"),
    ],
)
def test_what_else_is_to_be_known_of_a_prediction_is_a_note(
    fact: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, notes = shown(capsys, prediction(**fact))

    assert any(words in each for each in notes)
