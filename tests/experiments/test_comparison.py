"""Models are compared by a paired test on the rows that all have predicted, by the measure that they are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.evaluation.evaluated_rows import EvaluatedRows, join_folds
from ktrdr.experiments.comparison import ComparedModel, PartName, compare
from ktrdr.strategy.settings import settings_by_path
from tests.made_rows import rows

NAIVE = {"majority": 1, "persistence": 0}
RANDOM = np.random.default_rng(5)
UPS = RANDOM.integers(0, 2, 2000)


def model(
    name: str,
    validation: EvaluatedRows | None = None,
    test: EvaluatedRows | None = None,
    timeframe: str = "1d",
    **inputs: Any,
) -> ComparedModel:
    parts: dict[PartName, EvaluatedRows | None] = {"validation": validation, "test": test}
    known = {part: own for part, own in parts.items() if own is not None}
    return ComparedModel(f"op_{name}", name, dict(settings_by_path(inputs)), timeframe, known)


def right(share: float, labels: NDArray[Any] = UPS, **changes: Any) -> EvaluatedRows:
    """A model that is right on the first `share` of the rows, in an order of its own that all models share."""
    order = np.random.default_rng(6).permutation(len(labels))
    hits = np.zeros(len(labels), bool)
    hits[order[: round(share * len(labels))]] = True
    return rows(labels, np.where(hits, labels, 1 - labels), NAIVE, **changes)


def test_a_lead_on_the_same_rows_counts_although_the_intervals_overlap() -> None:
    found = compare([model("one", right(0.56)), model("other", right(0.58))])

    assert found.rows is not None
    assert (found.rows.part, found.rows.measure, found.rows.samples) == ("validation", "accuracy", 2000)
    assert found.rows.scores == (0.56, 0.58)
    assert found.winner == "op_other"
    assert found.verdict.startswith(
        "other is ahead of one beyond chance in accuracy on the same 2,000 validation rows: 58.0% against 56.0% "
        "(p = less than 0.001, at a significance level of 2.5%)."
    )
    assert "Each model's best epoch was selected on its validation rows" in found.verdict


def test_a_difference_that_may_be_chance_has_no_winner() -> None:
    ups = UPS[:60]

    found = compare([model("one", right(0.5, ups)), model("other", right(0.55, ups))])

    assert found.winner is None
    assert "other is ahead of one in accuracy" in found.verdict
    assert "but the difference may be chance" in found.verdict
    assert "are level" in compare([model("one", right(0.5)), model("other", right(0.5))]).verdict


def test_the_test_part_decides_where_all_have_opened_it_and_else_the_validation_part() -> None:
    opened = right(0.6, part="test", first=5000)

    both = compare([model("one", right(0.7), opened), model("other", right(0.5), right(0.65, part="test", first=5000))])
    only_one = compare([model("one", right(0.7), opened), model("other", right(0.5))])

    assert both.rows is not None
    assert only_one.rows is not None
    assert (both.rows.part, both.rows.level, both.winner) == ("test", 0.05, "op_other")
    assert (only_one.rows.part, only_one.rows.level, only_one.winner) == ("validation", 0.025, "op_one")


def test_regressions_are_compared_by_squared_error_and_not_by_signs() -> None:
    moves = RANDOM.normal(0, 0.02, 800)
    naive = {"mean": 0.0, "persistence": np.roll(moves, 1)}
    careful = rows(moves, 0.3 * moves + RANDOM.normal(0, 0.012, 800), naive, classes=())
    absurd = rows(moves, 9 * moves, naive, classes=())

    found = compare([model("absurd", absurd), model("careful", careful)])

    assert found.rows is not None
    assert (found.rows.measure, found.winner) == ("mse", "op_careful")
    assert found.rows.scores[0] == pytest.approx(64, rel=0.05)
    assert "careful is ahead of absurd beyond chance in squared error" in found.verdict


def test_a_whole_and_one_of_its_folds_share_the_fold_s_rows() -> None:
    first, second = right(0.6, UPS[:500]), right(0.55, UPS[500:1000], first=500)

    found = compare([model("whole", join_folds([first, second])), model("fold", second, fold=2)])

    assert found.rows is not None
    assert (found.rows.samples, found.rows.scores) == (500, (0.55, 0.55))
    assert "whole and fold are level in accuracy on the same 500 validation rows" in found.verdict
    assert [(each.name, each.values) for each in found.inputs] == [("fold", (None, 2))]


def test_rows_are_matched_by_symbol_and_instant_in_whatever_order_they_are_stored() -> None:
    one = join_folds([right(0.6, UPS[:400]), right(0.6, UPS[400:800], symbol="DOWN")])
    order = RANDOM.permutation(len(one))

    found = compare([model("one", one), model("other", one.take(order[:700]))])

    assert found.rows is not None
    assert found.rows.samples == 700
    assert found.rows.tests[0].test.standard_error == 0


def test_rows_whose_labels_differ_are_left_out_and_counted() -> None:
    others = UPS.copy()
    others[:30] = 1 - others[:30]

    found = compare([model("one", right(0.6)), model("other", right(0.6, others))])

    assert found.rows is not None
    assert (found.rows.samples, found.rows.unlike) == (1970, 30)
    assert "30 more rows are left out" in found.verdict


def test_the_best_of_several_must_be_ahead_of_all_at_a_shared_level() -> None:
    close = [model("a", right(0.6)), model("b", right(0.61)), model("c", right(0.5))]

    found = compare([*close, model("d", right(0.7))])

    assert found.winner == "op_d"
    assert found.rows is not None
    assert found.rows.level == pytest.approx(0.025 / 6)
    assert [pair.first for pair in found.rows.tests] == ["op_d"] * 3
    assert "d is ahead of all others beyond chance in accuracy" in found.verdict
    assert "70.0% against 61.0% of b, the nearest (p = " in found.verdict


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (model("other"), "other has no stored predictions"),
        (model("other", right(0.6, first=9000)), "The models share no evaluated rows"),
        (model("other", right(0.6, symbol="DOWN")), "The models share no evaluated rows"),
        (model("other", right(0.6, span=3)), "The models share no evaluated rows"),
        (model("other", right(0.6), timeframe="1h"), "other timeframes: one 1d, other 1h"),
        (model("other", rows(UPS, UPS, {"mean": 0.0, "persistence": 0.0}, classes=())), "other predicts a number"),
        (model("other", right(0.6), labels={"threshold": 0.02}), "not predict the same labels: labels.threshold"),
    ],
)
def test_what_shares_no_rows_or_labels_is_not_compared(other: ComparedModel, reason: str) -> None:
    found = compare([model("one", right(0.6)), other])

    assert (found.rows, found.winner) == (None, None)
    assert reason in found.verdict


def test_what_differs_is_listed_key_by_key_and_nothing_else() -> None:
    one: dict[str, Any] = {
        "model": {"type": "mlp", "layers": 1},
        "indicators": [{"name": "rsi", "period": 14}, {"name": "atr"}],
    }
    other: dict[str, Any] = {"model": {"type": "mlp", "layers": 2}, "indicators": [{"name": "rsi", "period": 7}]}

    found = compare([model("one", right(0.6), **one), model("other", right(0.6), **other)])

    assert [(each.name, each.values) for each in found.inputs] == [
        ("model.layers", (1, 2)),
        ("indicators[0].period", (14, 7)),
        ("indicators[1].name", ("atr", None)),
    ]
