"""The summary of a search: what decided the scores, and what makes them doubtful."""

from __future__ import annotations

import math
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest

from ktrdr.experiments.parameter_importance import MIN_TRIALS, measure_importance
from ktrdr.experiments.search import EndedSearch, summarise
from ktrdr.payloads.reading import parse_results
from ktrdr.payloads.search import Objective, Parameters, SearchResults, SearchWinner, TrialResult
from tests.sample_results import training

RATE, SIZE, KIND = "training.learning_rate", "model.hidden_size", "model.type"


def chosen(count: int) -> list[Parameters]:
    draw = np.random.default_rng(3)
    return [
        {RATE: float(draw.uniform()), SIZE: int(draw.integers(4, 64)), KIND: str(draw.choice(["mlp", "lstm"]))}
        for _ in range(count)
    ]


def number(value: Any) -> float:
    return float(value)


def trial(index: int, score: float | None, **changes: Any) -> TrialResult:
    status: Any = "failed" if score is None else "completed"
    reason = "the loss is nan" if score is None else ""
    fields = {"parameters": {RATE: 0.1}, "epochs": 4, "reason": reason} | changes
    return TrialResult(trial=index, operation_id=f"op_{index}", status=status, score=score, **fields)


def search(trials: list[TrialResult], folder: Path, *, identical: bool = True, others: tuple[int, ...] = ()) -> Any:
    best = min((each for each in trials if each.score is not None), key=lambda each: each.score or 0.0)
    winner = SearchWinner(
        trial=best.trial,
        operation_id="op_full",
        score=best.score or 0.0,
        identical=identical,
        differences=() if identical else ("weights out: 3 of 9 differ",),
    )
    ended = EndedSearch("probe", Objective.VAL_LOSS, trials, winner, training(), 16, others)
    return summarise(ended, folder, PurePath("models/op_search"))


def test_importance_finds_what_decides_the_score() -> None:
    parameters = chosen(60)

    found = measure_importance(parameters, [abs(number(each[RATE]) - 0.2) for each in parameters])

    assert found[0].parameter == RATE
    assert {each.parameter for each in found} == {RATE, SIZE, KIND}
    assert found[0].importance > 0.5
    assert all(0 <= each.importance < 0.2 for each in found[1:])
    assert all(0 < each.standard_error < 0.2 for each in found)


def test_importance_is_the_same_however_scores_are_scaled() -> None:
    parameters = chosen(40)
    scores = [number(each[SIZE]) for each in parameters]

    assert measure_importance(parameters, scores) == measure_importance(
        parameters, [math.exp(score) for score in scores]
    )


def test_a_choice_of_words_explains_all_where_nothing_else_matters() -> None:
    parameters = chosen(40)

    first, *_ = measure_importance(parameters, [float(each[KIND] == "mlp") for each in parameters])

    assert (first.parameter, first.importance) == (KIND, 1.0)


def test_few_trials_and_equal_scores_say_nothing_of_importance() -> None:
    parameters = chosen(MIN_TRIALS)

    assert measure_importance(parameters[1:], [0.5] * (MIN_TRIALS - 1)) == ()
    assert [each.importance for each in measure_importance(parameters, [0.5] * MIN_TRIALS)] == [0.0] * 3


def test_the_summary_has_the_winner_the_best_so_far_and_the_spread(tmp_path: Path) -> None:
    results = search([trial(0, 0.7), trial(1, None), trial(2, 0.6, rung=2), trial(3, 0.65)], tmp_path)

    assert results.best_so_far == (0.7, 0.7, 0.6, 0.6)
    assert (results.spread.mean, results.spread.min, results.spread.max) == (pytest.approx(0.65), 0.6, 0.7)
    assert results.verdict.startswith("The model is ahead. It is trial 2, the best of 3 trials by val_loss: 0.6")
    assert results.warnings == ("1 trial failed, the first of them trial 1: the loss is nan",)
    text = (tmp_path / "summary.txt").read_text(encoding="utf-8")
    assert "trained again in full as op_full, the same bits as its trial" in text
    assert parse_results(results.model_dump(mode="json")) == results


def test_a_winner_that_is_not_its_trial_is_warned_of_first(tmp_path: Path) -> None:
    results: SearchResults = search([trial(0, 0.7), trial(1, None)], tmp_path, identical=False)

    assert results.warnings[0].startswith("THE WINNER IS NOT ITS TRIAL: the full training op_full")
    assert "weights out: 3 of 9 differ" in results.warnings[0]
    assert "NOT the bits of its trial" in (tmp_path / "summary.txt").read_text(encoding="utf-8")


def test_bars_that_changed_while_the_search_ran_are_named(tmp_path: Path) -> None:
    results: SearchResults = search([trial(0, 0.7), trial(1, 0.8)], tmp_path, others=(1,))

    assert results.warnings == (
        "1 trial met other bars than the winner, the first of them trial 1: bars were loaded while the search ran, "
        "and the scores do not compare. Start the search again.",
    )
