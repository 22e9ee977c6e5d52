"""One look beside all tries at its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.verdict import verdict_on
from ktrdr.payloads.looks import LookFigures
from ktrdr.payloads.selection import BacktestSelection, SelectionVerdict
from tests.ledger.made_accounts import PER_YEAR, look_name, made_account, made_series
from tests.recompute import selection as again

Floats = NDArray[np.float64]
ROWS, LEVEL = 400, 0.025


def guess(seed: int, skill: float = 0.0, rows: int = ROWS, first: int = 0) -> LookSeries:
    """A try whose gains have a mean of `skill`, and which is traded."""
    random = np.random.default_rng(seed)
    gains = {name: random.normal(skill, 1, rows) for name in ("majority", "persistence")}
    returns = random.normal(skill / 100, 0.01, rows)
    return made_series(gains, random.normal(skill, 1, rows), returns, np.full(rows, 0.0001), first)


def selection(series: Sequence[LookSeries | None], look: int = 0) -> SelectionVerdict:
    found = verdict_on(look_name(look), made_account(series), LEVEL)
    assert found
    return found.selection


def backtest(series: Sequence[LookSeries | None]) -> BacktestSelection:
    found = verdict_on(look_name(0), made_account(series), LEVEL)
    assert found
    assert found.backtest
    return found.backtest


def test_a_single_try_has_its_own_p_value_and_says_so() -> None:
    found = selection([guess(0, 0.2)])

    assert (found.tries, found.rank, found.overfitting) == (1, 1, None)
    assert found.p_value == found.single_p_value < LEVEL
    assert found.beats_baselines
    assert found.verdict.endswith("Nothing else was tried on these rows.")


def test_a_lead_that_is_enough_by_itself_is_not_enough_among_many() -> None:
    tries = [guess(0, 0.15), *(guess(seed) for seed in range(10, 59))]

    alone, among = selection(tries[:1]), selection(tries)

    assert alone.beats_baselines
    assert not among.beats_baselines
    assert among.single_p_value == alone.p_value < LEVEL <= among.p_value
    assert among.lead < among.luckiest.upper
    assert among.verdict.startswith(
        f"It is ahead of the {among.over} baseline by {100 * among.lead:.1f} points (single-run p = "
    )
    assert (
        "; but 50 models were evaluated on these rows, and the luckiest of 50 that know nothing would" in among.verdict
    )
    assert among.verdict.endswith("over all tries.")


def test_a_great_lead_stands_beside_all_tries() -> None:
    found = selection([guess(1, 0.5), *(guess(seed) for seed in range(10, 59))])

    assert found.beats_baselines
    assert found.rank == 1
    assert found.lead > found.luckiest.upper > found.luckiest.median > 0
    assert list(found.luckiest.quantiles) == sorted(found.luckiest.quantiles)
    assert len(found.luckiest.quantiles) == 21
    assert found.overfitting == pytest.approx(0, abs=0.02)


def test_tries_without_a_result_are_counted_and_named() -> None:
    tries: list[LookSeries | None] = [guess(3, 0.13), guess(4)]

    few, many = selection([*tries, None]), selection([*tries, *[None] * 60])

    assert (few.tries, few.without_series) == (3, 1)
    assert "3 models were tried on these rows, 1 of them without a result" in few.verdict
    assert few.p_value < many.p_value
    assert not many.beats_baselines


def test_a_weak_test_decides_however_strong_the_others_are() -> None:
    """Timing by chance alone: a lead over both baselines is not enough."""
    random = np.random.default_rng(5)
    strong = guess(1, 0.5)
    untimed = replace(strong, agreement=random.normal(0.12, 1, ROWS).astype(np.float32))

    found = selection([untimed, *(guess(seed) for seed in range(10, 59))])

    assert not found.beats_baselines
    assert found.lead > found.luckiest.upper
    assert "its timing may be luck" in found.verdict


def test_looks_at_some_of_the_rows_and_at_others_are_tries_too() -> None:
    tries = [guess(1, 0.2), guess(2, rows=200), guess(3, first=300), guess(4, rows=900, first=100)]

    found = selection(tries)

    assert found.tries == 4
    assert found.single_p_value <= found.p_value < 5 * found.single_p_value


def test_forecasts_of_numbers_are_tries_at_the_same_rows() -> None:
    """A guess of the mean is to them what a guess of the most frequent class is to classes."""
    random = np.random.default_rng(6)
    numbers = [
        made_series({name: random.normal(size=ROWS) for name in ("mean", "persistence")}, random.normal(size=ROWS))
        for _ in range(20)
    ]

    alone, among = selection([guess(2, 0.15)]), selection([guess(2, 0.15), *numbers])

    assert among.tries == 21
    assert among.p_value > 3 * alone.p_value
    assert among.rank == 1
    found = verdict_on(look_name(0), made_account(numbers, is_regression=True), LEVEL)
    assert found
    assert "training variances" in found.selection.verdict or "not ahead" in found.selection.verdict


def test_the_ratio_of_the_best_of_many_is_deflated() -> None:
    tries = [guess(1, 0.1), *(guess(seed) for seed in range(10, 59))]

    alone, among = backtest(tries[:1]), backtest(tries)

    assert (alone.effective_trials, alone.expected_sharpe) == (1, 0)
    assert among.effective_trials == pytest.approx(50, abs=3)
    assert among.expected_sharpe > 1
    assert alone.deflated_sharpe is not None
    assert among.deflated_sharpe is not None
    assert among.deflated_sharpe < alone.deflated_sharpe
    assert alone.zero_p_value < among.zero_p_value
    assert alone.holding_p_value < among.holding_p_value


def test_alike_returns_are_hardly_more_than_one_try() -> None:
    one = guess(1, 0.1)
    same = [replace(one, returns=one.returns + np.float32(1e-6) * number) for number in range(30)]

    assert backtest(same).effective_trials == pytest.approx(1, abs=0.01)


def test_there_is_no_verdict_on_a_look_without_tests() -> None:
    account = made_account([guess(1), None])
    without = replace(account, tries=(account.tries[0].model_copy(update={"figures": LookFigures()}),))

    assert verdict_on(look_name(1), account, LEVEL) is None
    assert verdict_on(look_name(7), account, LEVEL) is None
    assert verdict_on(look_name(0), without, LEVEL) is None


def test_a_look_that_was_not_traded_has_no_returns_to_compare() -> None:
    random = np.random.default_rng(7)
    untraded = made_series({"majority": random.normal(size=ROWS)}, random.normal(size=ROWS))

    found = verdict_on(look_name(0), made_account([untraded, guess(1)]), LEVEL)

    assert found
    assert found.backtest is None
    assert found.selection.tries == 2


def test_every_figure_is_the_same_by_other_code() -> None:
    missing = 5
    tries = [guess(1, 0.12), *(guess(seed, 0.05 * (seed % 3)) for seed in range(2, 13))]
    account = made_account([*tries, *[None] * missing])
    gains = {name: frame([each.gains[name] for each in tries]) for name in ("majority", "persistence")}
    sums = {**gains, "timing": frame([each.agreement for each in tries])}
    returns = frame([each.returns for each in tries])

    found = verdict_on(look_name(0), account, LEVEL)

    assert found
    assert found.backtest
    chosen, figures = found.selection, account.tries[0].figures
    assert figures
    by_chance = {name: again.luckiest(table, 2.0, missing) for name, table in sums.items()}
    p_values = {name: again.p_value(by_chance[name], figures.tests[name].p_value) for name in sums}
    over = max(gains, key=lambda name: p_values[name])
    assert chosen.over == over
    assert chosen.p_value == pytest.approx(max(p_values.values()), abs=0.03)
    assert chosen.rank == again.rank(gains[over])
    assert chosen.overfitting == pytest.approx(again.overfitting(gains[over]))
    lead = figures.tests[over]
    unit = lead.lead / norm.isf(lead.p_value)
    assert chosen.luckiest.median == pytest.approx(unit * np.median(by_chance[over]), rel=0.05)
    assert chosen.luckiest.upper == pytest.approx(unit * np.quantile(by_chance[over], 1 - LEVEL), rel=0.06)
    expected = again.deflated(returns, missing, PER_YEAR)
    assert {name: getattr(found.backtest, name) for name in expected} == pytest.approx(expected, rel=1e-4)


def frame(columns: list[NDArray[np.float32]]) -> pd.DataFrame:
    return pd.DataFrame(dict(enumerate(columns)), dtype=float)
