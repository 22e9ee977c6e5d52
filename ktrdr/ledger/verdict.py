"""The verdict on one look over its account: what its lead and its returns are worth beside all other tries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import ConflictError
from ktrdr.evaluation.returns import over_time
from ktrdr.evaluation.selection.deflated_sharpe import (
    ReturnMoments,
    deflated_sharpe,
    effective_trials,
    expected_greatest,
)
from ktrdr.evaluation.selection.joint_test import JointTest, Tries, joint_test
from ktrdr.evaluation.selection.overfitting import overfitting_probability
from ktrdr.evaluation.selection.words import describe_selection
from ktrdr.evaluation.significance import VALIDATION_LEVEL
from ktrdr.ledger.account import Account, align
from ktrdr.ledger.series import Instants, LookSeries, Singles
from ktrdr.ledger.store import Ledger
from ktrdr.payloads.looks import TIMING, Look, LookFigures
from ktrdr.payloads.selection import BacktestSelection, LookVerdict, LuckiestTry, SelectionVerdict

Floats = NDArray[np.float64]

# What a classification's constant guess is to a regression, and the other way round.
_COUNTERPARTS = {"majority": "mean", "mean": "majority"}
# Twice the distance over which labels overlap, or over which returns may be correlated.
_BLOCKS_OVER_SPAN = 2.0
_PROBABILITIES = np.linspace(0, 1, 21)


def verdict_today(name: str, ledger: Ledger) -> LookVerdict:
    """The verdict on a look, or on the newest look of an operation, over its account as it is now.

    Raises NotFoundError, ConflictError where the look came to no figures, and StorageError.
    """
    look = ledger.look(name)
    account = ledger.account_of(look.look_id)
    if verdict := verdict_on(look.look_id, account, _level(look, account)):
        return verdict
    raise ConflictError(
        f"{look.look_id} has no tests to compare with other tries: it ended without them, or is under way",
        hint=f"see what is known of it: ktrdr ledger show {look.look_id}",
    )


def _level(look: Look, account: Account) -> float:
    """Of sealed rows the level that their opening spent."""
    spent = (opening.level for opening in account.openings if opening.look_id == look.look_id)
    return next(spent, VALIDATION_LEVEL)


def verdict_on(look_id: str, account: Account, level: float) -> LookVerdict | None:
    """The verdict on the look with this id, at a significance level; None where the look came to no tests."""
    look = next((look for look in account.tries if look.look_id == look_id), None)
    if look is None or look.figures is None or look_id not in account.series:
        return None
    if not look.figures.tests.keys() - {TIMING} or look.figures.tests.keys() - {TIMING, *account.series[look_id].gains}:
        return None
    return LookVerdict(
        look_id=look_id,
        operation_id=look.operation_id,
        strategy_name=look.strategy_name,
        selection=_selection(account, look_id, look.figures, level),
        backtest=_backtest_selection(account, look_id, look.figures),
    )


def _selection(account: Account, look_id: str, figures: LookFigures, level: float) -> SelectionVerdict:
    own = account.series[look_id]
    tests = {name: joint_test(_tries_by_instant(account, own, name), lead) for name, lead in figures.tests.items()}
    over = max((name for name in tests if name != TIMING), key=lambda name: tests[name].p_value)
    p_value = max(test.p_value for test in tests.values())
    selection = SelectionVerdict(
        tries=len(account.tries),
        without_series=account.without_series,
        over=over,
        lead=figures.tests[over].lead,
        rank=_rank(account, own, over),
        single_p_value=max(test.p_value for test in figures.tests.values()),
        p_value=p_value,
        level=level,
        beats_baselines=p_value < level,
        luckiest=_luckiest(tests[over], level),
        overfitting=_overfitting(account, own, over),
        verdict="",
    )
    words = describe_selection(selection, is_regression=figures.ic is not None)
    return selection.model_copy(update={"verdict": words})


def _luckiest(test: JointTest, level: float) -> LuckiestTry:
    return LuckiestTry(
        median=test.luckiest_at(0.5),
        upper=test.luckiest_at(1 - level),
        quantiles=tuple(test.luckiest_at(float(share)) for share in _PROBABILITIES),
    )


def _tries_by_instant(account: Account, own: LookSeries, test: str) -> Tries:
    """All tries, as one test of the look with the series `own` sees them."""
    sums = {look_id: values for look_id, each in account.series.items() if (values := _sums(each, test)) is not None}
    series = {look_id: account.series[look_id] for look_id in sums}
    by_look = align({look_id: (each.instants, sums[look_id]) for look_id, each in series.items()})
    counts = align({look_id: (each.instants, each.samples) for look_id, each in series.items()})
    return Tries(
        by_look.values.astype(np.float64),
        counts.values.astype(np.float64),
        _BLOCKS_OVER_SPAN * own.span * _density(by_look.instants, own.instants),
        len(account.tries) - len(series),
    )


def _sums(series: LookSeries, test: str) -> Singles | None:
    if test == TIMING:
        return series.agreement
    return series.gains.get(test, series.gains.get(_COUNTERPARTS.get(test, "")))


def _density(instants: Instants, own: Instants) -> float:
    """How many of all instants there are to each one of the look's own."""
    first, last = np.searchsorted(instants, [own[0], own[-1]])
    return float(last - first + 1) / len(own)


def _of_one_kind(account: Account, own: LookSeries) -> dict[str, LookSeries]:
    """The series that are compared with the same baselines, and so in the same unit."""
    return {name: series for name, series in account.series.items() if series.gains.keys() == own.gains.keys()}


def _rank(account: Account, own: LookSeries, baseline: str) -> int:
    """The place of the look's lead among the leads of all, from 1."""

    def lead(series: LookSeries) -> float:
        return float(series.gains[baseline].sum() / series.samples.sum())

    return 1 + sum(lead(series) > lead(own) for series in _of_one_kind(account, own).values())


def _overfitting(account: Account, own: LookSeries, baseline: str) -> float | None:
    """Of the tries that evaluated all of the look's own rows, by their gains over a baseline."""
    alike = _of_one_kind(account, own)
    gains = align({name: (series.instants, series.gains[baseline]) for name, series in alike.items()})
    rows = gains.values[np.searchsorted(gains.instants, own.instants)]
    return overfitting_probability(rows[:, ~np.isnan(rows).any(axis=0)].astype(np.float64))


def _backtest_selection(account: Account, look_id: str, figures: LookFigures) -> BacktestSelection | None:
    traded = {name: series for name, series in account.series.items() if len(series.periods)}
    over_zero, over_holding, per_year = figures.against_zero, figures.against_holding, figures.bars_per_year
    if look_id not in traded or over_zero is None or over_holding is None or per_year is None:
        return None
    without_series = len(account.tries) - len(traded)
    returns = _by_period(traded, lambda series: series.returns)
    leads = _by_period(traded, lambda series: series.returns - series.held)
    trials = effective_trials(returns) + without_series
    ratio, variance = expected_greatest(trials), _variance_of_ratios(returns)
    moments = ReturnMoments.of(traded[look_id].returns.astype(np.float64))
    return BacktestSelection(
        tries=len(account.tries),
        without_series=without_series,
        zero_p_value=joint_test(_tries_by_period(returns, without_series), over_zero).p_value,
        holding_p_value=joint_test(_tries_by_period(leads, without_series), over_holding).p_value,
        effective_trials=trials,
        expected_sharpe=ratio * math.sqrt(variance * per_year),
        deflated_sharpe=deflated_sharpe(moments, variance, trials) if moments else None,
    )


def _by_period(traded: Mapping[str, LookSeries], values: Callable[[LookSeries], Singles]) -> Floats:
    """[periods, looks]"""
    aligned = align({name: (series.periods, values(series)) for name, series in traded.items()})
    return aligned.values.astype(np.float64)


def _tries_by_period(returns: Floats, without_series: int) -> Tries:
    counts = np.where(np.isnan(returns), np.nan, 1.0)
    return Tries(returns, counts, _BLOCKS_OVER_SPAN * (1 + over_time(len(returns)).lag), without_series)


def _variance_of_ratios(returns: Floats) -> float:
    """The variance of the looks' Sharpe ratios by bar; of a single one what it has without skill."""
    deviations = np.nanstd(returns, axis=0)
    ratios = np.divide(np.nanmean(returns, axis=0), deviations, out=np.zeros_like(deviations), where=deviations > 0)
    return float(ratios.var(ddof=1)) if len(ratios) > 1 else 1 / len(returns)
