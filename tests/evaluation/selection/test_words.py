from __future__ import annotations

from typing import Any

import pytest

from ktrdr.evaluation.performance_verdict import describe_performance
from ktrdr.evaluation.selection.words import describe_selection
from ktrdr.payloads.backtest import Performance, RandomEntries
from ktrdr.payloads.evaluation import Lead
from ktrdr.payloads.selection import BacktestSelection, LuckiestTry, SelectionVerdict


def selection(**changes: Any) -> SelectionVerdict:
    found = SelectionVerdict(
        tries=43,
        without_series=0,
        over="majority",
        lead=0.031,
        rank=1,
        single_p_value=0.004,
        p_value=0.09,
        level=0.025,
        beats_baselines=False,
        luckiest=LuckiestTry(median=0.02, upper=0.034, quantiles=()),
        verdict="",
    )
    return found.model_copy(update=changes)


LUCKIEST = "43 models were evaluated on these rows, and the luckiest of 43 that know nothing would be ahead by up to"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            "It is ahead of the majority baseline by 3.1 points (single-run p = 0.004); but "
            f"{LUCKIEST} 3.4: p = 0.09 over all tries.",
        ),
        (
            {"p_value": 0.006, "beats_baselines": True, "lead": 0.051},
            f"It is ahead of the majority baseline by 5.1 points (single-run p = 0.004); {LUCKIEST} 3.4: "
            "p = 0.006 over all tries.",
        ),
        (
            {"lead": 0.051},
            "It is ahead of the majority baseline by 5.1 points (single-run p = 0.004); but 43 models were evaluated "
            "on these rows, and its timing may be luck: p = 0.09 over all tries.",
        ),
        (
            {"tries": 1, "p_value": 0.004, "beats_baselines": True},
            "It is ahead of the majority baseline by 3.1 points: p = 0.004. Nothing else was tried on these rows.",
        ),
        (
            {"lead": -0.01, "without_series": 3},
            "It is not ahead of the majority baseline; 43 models were tried on these rows, 3 of them without a result.",
        ),
    ],
)
def test_a_lead_beside_all_tries(changes: dict[str, Any], words: str) -> None:
    assert describe_selection(selection(**changes), is_regression=False) == words


def test_a_regression_is_ahead_by_training_variances() -> None:
    words = describe_selection(selection(over="mean"), is_regression=True)

    assert words.startswith("It is ahead of the mean baseline by 0.0310 training variances (single-run")
    assert "ahead by up to 0.0340: p = 0.09" in words


def returned(zero: float, holding: float, tries: int | None = None, **changes: Any) -> str:
    """The words on a backtest whose single run's tests have p-values of 0.004."""
    model = Performance(
        total_return=0.3,
        annual_return=0.3,
        annual_volatility=0.1,
        sharpe=1.5,
        sharpe_standard_error=0.5,
        max_drawdown=-0.1,
        turnover=3,
        trades=4,
        costs_paid=0.01,
    )
    chance = RandomEntries(draws=0, low=None, median=None, high=None, percentile=None, look_back=9)
    alone = Lead(lead=0.1, standard_error=0.03, p_value=0.004)
    beside = None
    if tries:
        beside = BacktestSelection(
            tries=tries,
            without_series=0,
            zero_p_value=zero,
            holding_p_value=holding,
            effective_trials=12.4,
            expected_sharpe=1.1,
            deflated_sharpe=0.61,
        ).model_copy(update=changes)
    return describe_performance(model, model, chance, alone, alone, beside)


def test_the_tests_of_returns_over_all_tries_decide() -> None:
    words = returned(0.3, 0.4, tries=43)

    assert "by chance alone it could gain as much (p = 0.30), and lead holding by as much (p = 0.40)." in words
    assert "That counts all 43 tries on these rows; by itself the run has p = 0.004 and p = 0.004." in words
    assert "Its Sharpe ratio, 1.50 ± 0.50, is not distinguishable from zero" in words
    assert words.endswith(
        "The best of all tries, which are worth 12 independent ones, can expect 1.10 by luck; the probability that "
        "this one is better than that is 61.0% (deflated Sharpe ratio)."
    )


def test_a_backtest_without_other_tries_is_described_as_ever() -> None:
    assert returned(0.004, 0.004, tries=1) == returned(0.004, 0.004)
    assert "that is more than holding, beyond chance (p = 0.004)." in returned(0.004, 0.004)


def test_returns_that_never_vary_have_no_ratio_to_deflate() -> None:
    assert "deflated" not in returned(0.3, 0.4, tries=43, deflated_sharpe=None)
