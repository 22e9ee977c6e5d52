"""Evaluations and backtests as plain text: the model beside its rivals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from ktrdr.formatting import (
    correlation,
    count,
    gain,
    percentage,
    points,
    score,
    signed_points,
    signed_score,
    with_error,
)
from ktrdr.payloads.evaluation import Classification, Regression
from ktrdr.reports.breakdown_rows import breakdown_rows
from ktrdr.reports.text import table, wrap

if TYPE_CHECKING:
    from ktrdr.payloads.backtest import BacktestResult, Performance
    from ktrdr.payloads.evaluation import Calibration, ClassScores, Evaluation, Lead, NumberScores


def evaluation_lines(evaluation: Evaluation | None) -> Iterator[str]:
    if evaluation is None:
        return
    yield f"{count(evaluation.samples)} samples, {_minute(evaluation.first)} to {_minute(evaluation.last)}"
    yield ""
    if isinstance(evaluation, Classification):
        yield from _classification(evaluation)
    else:
        yield from _regression(evaluation)


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M}"


def _classification(evaluation: Classification) -> Iterator[str]:
    low, high = map(percentage, evaluation.accuracy_interval)
    leads = evaluation.significance.against

    def row(name: str, scores: Classification | ClassScores, interval: str = "") -> list[str]:
        return [
            name.replace("_", " "),
            percentage(scores.accuracy),
            interval,
            percentage(scores.balanced_accuracy),
            correlation(scores.mcc),
            score(scores.log_loss),
        ]

    yield from table(
        ["", "accuracy", "95% interval", "balanced", "MCC", "log-loss", "lead, points", "p"],
        [
            [*row("this model", evaluation, f"{low} to {high}"), "", ""],
            *([*row(name, scores), *_points(leads[name])] for name, scores in evaluation.baselines.items()),
        ],
    )
    yield from _breakdown(evaluation, _points)
    yield ""
    yield from _confusion(evaluation)
    yield ""
    yield from _calibration(evaluation.calibration)


def _breakdown(evaluation: Classification | Regression, lead_cells: Callable[[Lead], list[str]]) -> Iterator[str]:
    if evaluation.breakdown and (rows := breakdown_rows(evaluation.breakdown, lead_cells)):
        yield ""
        yield from table(rows[0], rows[1:])


def _points(lead: Lead) -> list[str]:
    return [f"{signed_points(lead.lead)} ± {points(lead.standard_error)}", f"{lead.p_value:.3f}"]


def _confusion(evaluation: Classification) -> Iterator[str]:
    names = evaluation.class_names
    yield from table(
        ["true class", *(f"predicted {name}" for name in names), "F1"],
        [
            [name, *map(count, counts), f"{evaluation.f1[name]:.3f}"]
            for name, counts in zip(names, evaluation.confusion, strict=True)
        ],
    )


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield from wrap(
        f"Calibration: on average the model's confidence is {points(calibration.expected_error)} points off; with "
        f"so few samples a perfectly calibrated model would seem {points(calibration.error_by_chance)} off."
    )
    bins = calibration.bins
    yield from table(
        ["confidence", *(percentage(one.confidence) for one in bins)],
        [
            ["right", *(percentage(one.accuracy) for one in bins)],
            ["samples", *(count(one.samples) for one in bins)],
        ],
    )


def _regression(evaluation: Regression) -> Iterator[str]:
    low, high = map(percentage, evaluation.accuracy_interval)
    leads = evaluation.significance.against

    def row(name: str, scores: Regression | NumberScores) -> list[str]:
        return [
            name.replace("_", " "),
            score(scores.mse),
            signed_score(scores.r2),
            correlation(scores.ic),
            correlation(scores.rank_ic),
            percentage(scores.accuracy),
        ]

    yield from table(
        ["", "squared error", "R²", "IC", "rank IC", "right signs", "lead", "p"],
        [
            [*row("this model", evaluation), "", ""],
            *([*row(name, scores), *_variances(leads[name])] for name, scores in evaluation.baselines.items()),
        ],
    )
    yield from _breakdown(evaluation, _variances)
    yield ""
    t_values = {"IC": evaluation.ic_t, "rank IC": evaluation.rank_ic_t}
    known = ", ".join(f"{name} t = {value:.2f}" for name, value in t_values.items() if value is not None)
    yield from wrap(
        f"Errors in training variances. {known or 'The predictions do not vary: there is no IC'}. "
        f"Right signs {low} to {high}, with 95% confidence."
    )


def _variances(lead: Lead) -> list[str]:
    return [f"{signed_score(lead.lead)} ± {score(lead.standard_error)}", f"{lead.p_value:.3f}"]


def backtest_lines(backtest: BacktestResult | None) -> Iterator[str]:
    if backtest is None:
        return
    chance, model, held = backtest.random_entries, backtest.model, backtest.buy_and_hold
    yield from wrap(
        "Signals at a bar's close are filled at the next open. "
        f"A trade costs {backtest.costs_percent:g}% of its value. "
        f"{count(backtest.bars)} bars, {backtest.bars_per_year:,.0f} a year."
    )
    if backtest.rules:
        yield from wrap(f"Positions: {backtest.rules}.")
    yield ""
    by_chance = [gain(chance.low), gain(chance.median), gain(chance.high)]
    yield from table(
        ["", "model", "buy and hold", "random: 5%", "median", "95%"],
        [
            ["total return", gain(model.total_return), gain(held.total_return), *by_chance],
            *([name, figure(model), figure(held), "", "", ""] for name, figure in _FIGURES.items()),
        ],
    )


_FIGURES: dict[str, Callable[[Performance], str]] = {
    "annual return": lambda performance: gain(performance.annual_return),
    "annual volatility": lambda performance: gain(performance.annual_volatility).removeprefix("+"),
    "Sharpe ratio": lambda performance: with_error(performance.sharpe, performance.sharpe_standard_error),
    "deepest drawdown": lambda performance: percentage(performance.max_drawdown),
    "turnover": lambda performance: f"{performance.turnover:,.1f}×",
    "trades": lambda performance: count(performance.trades),
    "costs paid": lambda performance: percentage(performance.costs_paid),
}
