"""What trading on the predictions would have earned after costs, compared with holding and with random entries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.bars_per_year import bars_per_year
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.books import open_book, rate_of
from ktrdr.evaluation.performance_verdict import describe_performance
from ktrdr.evaluation.positions.words import describe_rules
from ktrdr.evaluation.returns import mean_return, sharpe_error
from ktrdr.evaluation.signals import Signals, model_signals
from ktrdr.evaluation.sleeves import Sleeve, SleeveResult, hold
from ktrdr.payloads.backtest import BacktestResult, EquityCurve, Performance
from ktrdr.payloads.selection import BacktestSelection
from ktrdr.payloads.trading_rules import Costs, Positions

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Strategy

Floats = NDArray[np.float64]

CURVE_POINTS = 400
DEFAULT_POSITIONS = Positions()


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """A backtest in figures, and its returns.

    opens: [periods], the instants at which periods begin (us, UTC)
    returns: [periods], simple returns of the portfolio after costs
    held: [periods], those of holding
    """

    result: BacktestResult
    opens: NDArray[np.datetime64]
    returns: Floats
    held: Floats

    def beside(self, selection: BacktestSelection | None) -> Backtest:
        """The same, with its returns beside those of all tries at the same rows."""
        result = self.result
        assert result.against_holding is not None  # results of 0.1.0 alone have none
        assert result.against_zero is not None
        verdict = describe_performance(
            result.model,
            result.buy_and_hold,
            result.random_entries,
            result.against_holding,
            result.against_zero,
            selection,
        )
        return replace(self, result=result.model_copy(update={"selection": selection, "verdict": verdict}))


def backtest(
    guess: Guess, part: Part, dataset: Dataset, bars: Mapping[str, pl.DataFrame], strategy: Strategy
) -> Backtest:
    """Trade a model's `guess` for `part`; `bars` maps each symbol to its bars of the base timeframe.

    A prediction at the close of a bar is filled at the next bar's open and held until the next fill. Each symbol
    trades an equal share of the capital. Unless the strategy's positions or costs depend on the path, a position is
    rebalanced at each open without a charge. At a hole in the bars it is closed at the last close before, and nothing
    is held until the first fill after it.
    """
    return trade_signals(model_signals(guess, part, dataset, bars, strategy), bars, strategy.costs, strategy.positions)


def trade_signals(
    signals: Signals, bars: Mapping[str, pl.DataFrame], costs: Costs, rules: Positions = DEFAULT_POSITIONS
) -> Backtest:
    """Trade the positions of one model, or of several that each predicted other rows; `rules` made the positions.

    Raises InputError where a limit by volume meets bars without any.
    """
    rate = rate_of(costs)
    book = open_book(signals, bars, costs)
    sleeves = book.sleeves
    instants = _merge([one.opens for one in sleeves])
    clocks = [signals.clocks[number] for number in signals.present]
    per_year = bars_per_year(instants, clocks, bridges_holes=signals.bridges_holes)
    runs = book.trade(rate)
    held_runs = [hold(sleeve.returns, rate) for sleeve in sleeves]
    equity, held_equity = _portfolios(sleeves, [runs, held_runs], instants)
    returns, held_returns = _returns(equity), _returns(held_equity)
    model, held = _performance(returns, runs, per_year), _performance(held_returns, held_runs, per_year)
    chance = book.random_entries(rate, signals.look_back, model.total_return)
    over_holding, over_zero = mean_return(returns - held_returns, per_year), mean_return(returns, per_year)
    result = BacktestResult(
        part=signals.part,
        bars=len(instants),
        bars_per_year=per_year,
        fee_bps=costs.fee_bps,
        slippage_bps=costs.slippage_bps,
        positions=rules,
        costs=costs,
        rules=describe_rules(rules, costs),
        model=model,
        buy_and_hold=held,
        random_entries=chance,
        against_holding=over_holding,
        against_zero=over_zero,
        equity=_curve(instants, equity, held_equity),
        verdict=describe_performance(model, held, chance, over_holding, over_zero),
    )
    return Backtest(result, instants, returns, held_returns)


def _merge(series: Sequence[NDArray[np.datetime64]]) -> NDArray[np.datetime64]:
    """The distinct instants of all series, in order; a stable sort is fast on series that are sorted themselves."""
    instants = series[0] if len(series) == 1 else np.sort(np.concatenate(series), kind="stable")
    is_new = np.append(True, instants[1:] != instants[:-1])
    return instants if is_new.all() else np.asarray(instants[is_new], instants.dtype)


def _portfolios(
    sleeves: Sequence[Sleeve], results: Sequence[Sequence[SleeveResult]], instants: NDArray[np.datetime64]
) -> list[Floats]:
    """Of each list of results the mean equity [instants]. A sleeve without a bar at an instant keeps its last value."""
    if len(sleeves) == 1 and len(sleeves[0].opens) == len(instants):
        return [runs[0].equity for runs in results]
    totals = np.zeros((len(results), len(instants)))
    for number, sleeve in enumerate(sleeves):
        known = None
        if not np.array_equal(sleeve.opens, instants):
            known = np.searchsorted(sleeve.opens, instants, side="right")
        for place, runs in enumerate(results):
            equity = runs[number].equity
            totals[place] += equity if known is None else np.append(1.0, equity)[known]
    return list(totals / len(sleeves))


def _returns(equity: Floats) -> Floats:
    """Simple returns [periods] of an equity [periods] that begins with 1; zero once nothing is left."""
    ratios = equity.copy()
    with np.errstate(invalid="ignore"):
        ratios[1:] /= equity[:-1]
    if equity[-1] == 0:
        ratios[1:][equity[:-1] == 0] = 1
    ratios -= 1
    return ratios


def _performance(returns: Floats, runs: Sequence[SleeveResult], per_year: float) -> Performance:
    import empyrical

    # Sharpe ratio = mean / standard deviation (ddof = 1) of returns by bar, times sqrt(bars a year); no risk-free rate.
    with np.errstate(all="ignore"):
        sharpe = empyrical.sharpe_ratio(returns, annualization=per_year)
        volatility = empyrical.annual_volatility(returns, annualization=per_year)
        growth = 1 + returns
        end = growth.prod()
        annual_return = end ** (1 / (len(returns) / per_year)) - 1
    error = sharpe_error(returns, per_year)
    return Performance(
        total_return=float(end - 1),
        annual_return=_finite(annual_return),
        annual_volatility=_finite(volatility),
        sharpe=_finite(sharpe),
        sharpe_standard_error=error.standard_error if error else None,
        sharpe_interval=error.interval if error else None,
        max_drawdown=_max_drawdown(growth),
        turnover=sum(run.traded for run in runs) / len(runs),
        trades=sum(run.trades for run in runs),
        costs_paid=sum(run.costs for run in runs) / len(runs),
    )


def _max_drawdown(growth: Floats) -> float:
    """The deepest fall below the highest value before, the start's 100 included, as a share of that; 0 or below.

    `growth` are the factors of the value [periods].
    """
    values = np.cumprod(growth)
    values *= 100
    highest = np.maximum.accumulate(values)
    np.maximum(highest, 100, out=highest)
    values -= highest
    values /= highest
    return float(values.min())


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _curve(instants: NDArray[np.datetime64], model: Floats, held: Floats) -> EquityCurve:
    places = np.unique(np.linspace(0, len(instants) - 1, min(CURVE_POINTS, len(instants))).round().astype(np.int64))
    return EquityCurve(
        timestamps=instants[places].astype("datetime64[s]").tolist(),
        model=tuple(round(float(value), 6) for value in model[places]),
        buy_and_hold=tuple(round(float(value), 6) for value in held[places]),
    )
