"""What trading on the predictions would have earned after costs, compared with holding and with random entries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.bars_per_year import bars_per_year
from ktrdr.evaluation.performance_verdict import describe_performance
from ktrdr.evaluation.random_entries import Shifts, shift_at_random
from ktrdr.evaluation.returns import mean_return, sharpe_error
from ktrdr.evaluation.signals import Signals, model_signals
from ktrdr.features.stretches import opens_of
from ktrdr.payloads.backtest import BacktestResult, EquityCurve, Performance, RandomEntries
from ktrdr.payloads.selection import BacktestSelection

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.payloads.trading_rules import Costs

Floats = NDArray[np.float64]

CURVE_POINTS = 400
# Limits the memory of random entries to some megabytes.
_PERIODS_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True)
class Sleeve:
    """The share of the capital that trades one symbol.

    Period i lasts from one bar's open to the next bar's open. The last period ends at its own bar's close.

    opens: [periods], the instants at which periods begin (us, UTC)
    returns: [periods], simple returns of the price
    positions: [periods], -1 to 1 times the sleeve's capital, decided at the close before the period
    """

    opens: NDArray[np.datetime64]
    returns: Floats
    positions: Floats


@dataclass(frozen=True, slots=True)
class SleeveResult:
    """What trading one sleeve came to.

    equity: [periods], the sleeve's value at the end of each period; it begins with 1
    traded: sum of the absolute changes of the position
    trades: how many of them there were
    costs: sum of what they cost, as a share of the capital at the start
    """

    equity: Floats
    traded: float
    trades: int
    costs: float


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
    outputs: NDArray[np.float32], part: Part, dataset: Dataset, bars: Mapping[str, pl.DataFrame], costs: Costs
) -> Backtest:
    """Trade a model's `outputs` for `part`; `bars` maps each symbol to its bars of the base timeframe.

    A prediction at the close of a bar is filled at the next bar's open and held until the next fill. Each symbol
    trades an equal share of the capital. A position always takes the whole share and is rebalanced at each open. At a
    hole in the bars it is closed at the last close before, and nothing is held until the first fill after it.
    """
    return trade_signals(model_signals(outputs, part, dataset), bars, costs)


def trade_signals(signals: Signals, bars: Mapping[str, pl.DataFrame], costs: Costs) -> Backtest:
    """Trade the positions of one model, or of several that each predicted other rows."""
    rate = (costs.fee_bps + costs.slippage_bps) / 10_000
    sleeves = sleeves_of(signals, bars)
    instants = np.unique(np.concatenate([one.opens for one in sleeves]))
    clocks = [signals.clocks[number] for number in np.unique(signals.symbols)]
    per_year = bars_per_year(instants, clocks, bridges_holes=signals.bridges_holes)
    runs = [trade(sleeve.positions, sleeve.returns, rate) for sleeve in sleeves]
    held_runs = [trade(np.ones_like(sleeve.positions), sleeve.returns, rate) for sleeve in sleeves]
    equity, held_equity = (_portfolio(sleeves, results, instants) for results in (runs, held_runs))
    returns, held_returns = _returns(equity), _returns(held_equity)
    model, held = _performance(returns, runs, per_year), _performance(held_returns, held_runs, per_year)
    chance = _random_entries(sleeves, rate, signals.look_back, model.total_return)
    over_holding, over_zero = mean_return(returns - held_returns, per_year), mean_return(returns, per_year)
    result = BacktestResult(
        part=signals.part,
        bars=len(instants),
        bars_per_year=per_year,
        fee_bps=costs.fee_bps,
        slippage_bps=costs.slippage_bps,
        model=model,
        buy_and_hold=held,
        random_entries=chance,
        against_holding=over_holding,
        against_zero=over_zero,
        equity=_curve(instants, equity, held_equity),
        verdict=describe_performance(model, held, chance, over_holding, over_zero),
    )
    return Backtest(result, instants, returns, held_returns)


def sleeves_of(signals: Signals, bars: Mapping[str, pl.DataFrame]) -> list[Sleeve]:
    """One for each symbol that has signals, in the order of their numbers."""
    sleeves = []
    for number in np.unique(signals.symbols):
        frame = bars[signals.names[number]]
        samples = np.flatnonzero(signals.symbols == number)
        samples = samples[np.argsort(signals.rows[samples])]
        borders = np.searchsorted(signals.rows[samples], signals.rows_after_holes[number])
        stretches = [
            _sleeve(frame, signals.rows[own], signals.positions[own], int(signals.settled[own].max()))
            for own in np.split(samples, borders)
            if len(own)
        ]
        sleeves.append(_over_holes(stretches))
    return sleeves


def _over_holes(stretches: Sequence[Sleeve]) -> Sleeve:
    """One sleeve of all stretches, with a period without a position or a return between each two.

    That period has no bar of its own: it has the instant of the last bar before the hole, whose close ends the trade.
    """
    first, *others = stretches
    for other in others:
        first = Sleeve(
            np.concatenate([first.opens, first.opens[-1:], other.opens]),
            np.concatenate([first.returns, [0.0], other.returns]),
            np.concatenate([first.positions, [0.0], other.positions]),
        )
    return first


def _sleeve(frame: pl.DataFrame, rows: NDArray[np.int64], positions: Floats, last: int) -> Sleeve:
    """The sleeve from the open after the first of `rows` to the close of row `last`.

    `rows` are the bars of the samples in order, and `positions` [rows] the predictions at their closes.
    """
    first = int(rows[0]) + 1
    opens = frame["open"].to_numpy()[first : last + 1]
    after = np.append(opens[1:], frame["close"].to_numpy()[last])
    decided = np.searchsorted(rows, np.arange(first - 1, last), side="right") - 1
    # Skip prices of zero, which cannot divide.
    returns = np.divide(after, opens, out=np.ones(len(opens)), where=opens > 0) - 1
    return Sleeve(opens_of(frame)[first : last + 1], returns, positions[decided])


def trade(positions: Floats, returns: Floats, rate: float) -> SleeveResult:
    """Trade `positions` [periods]. Each change costs `rate` of the traded value, first entry and last exit included."""
    traded, after_cost, growth = _factors(positions, returns, rate)
    before_costs, after_costs = _capital(after_cost, growth)
    equity = np.append(before_costs[1:-1], after_costs[-1])
    return SleeveResult(
        equity, float(traded.sum()), int(np.count_nonzero(traded)), float((before_costs - after_costs).sum())
    )


def capital_of(sleeve: Sleeve, rate: float) -> tuple[Floats, Floats, Floats]:
    """What the sleeve trades, in units of its capital at the start.

    Its value at the opens after their costs and at the last close [periods + 1], the costs of each [periods + 1], and
    what each period makes [periods].
    """
    _, after_cost, growth = _factors(sleeve.positions, sleeve.returns, rate)
    before_costs, after_costs = _capital(after_cost, growth)
    return after_costs, before_costs - after_costs, before_costs[1:] - after_costs[:-1]


def _capital(after_cost: Floats, growth: Floats) -> tuple[Floats, Floats]:
    """The value at each open and at the last close [periods + 1], before the costs of that instant and after them."""
    before_costs = np.cumprod(np.concatenate([[1.0], after_cost[:-1] * growth]))
    return before_costs, before_costs * after_cost


def _factors(positions: Floats, returns: Floats, rate: float) -> tuple[Floats, Floats, Floats]:
    """Traded value, the factor 1 - cost, and the factor 1 + position * return, of `positions` [..., periods].

    The first two are [..., periods + 1], one for each open and for the last close. The third is [..., periods].
    """
    traded = np.abs(np.diff(positions, prepend=0.0, append=0.0))
    # A short position loses at most its whole capital, even when the price more than doubles within a period.
    return traded, np.maximum(1 - rate * traded, 0.0), np.maximum(1 + positions * returns, 0.0)


def _portfolio(sleeves: Sequence[Sleeve], runs: Sequence[SleeveResult], instants: NDArray[np.datetime64]) -> Floats:
    """Mean equity [instants] of all sleeves. A sleeve without a bar at an instant keeps its last value."""
    total = np.zeros(len(instants))
    for sleeve, run in zip(sleeves, runs, strict=True):
        known = np.searchsorted(sleeve.opens, instants, side="right")
        total += np.concatenate([[1.0], run.equity])[known]
    return total / len(sleeves)


def _returns(equity: Floats) -> Floats:
    """Simple returns [periods] of an equity [periods] that begins with 1; zero once nothing is left."""
    before = np.concatenate([[1.0], equity[:-1]])
    return np.asarray(np.divide(equity, before, out=np.ones(len(equity)), where=before > 0) - 1, np.float64)


def _performance(returns: Floats, runs: Sequence[SleeveResult], per_year: float) -> Performance:
    import empyrical

    # Sharpe ratio = mean / standard deviation (ddof = 1) of returns by bar, times sqrt(bars a year); no risk-free rate.
    with np.errstate(all="ignore"):
        sharpe = empyrical.sharpe_ratio(returns, annualization=per_year)
        annual_return = empyrical.annual_return(returns, annualization=per_year)
        volatility = empyrical.annual_volatility(returns, annualization=per_year)
    error = sharpe_error(returns, per_year)
    return Performance(
        total_return=float(empyrical.cum_returns_final(returns)),
        annual_return=_finite(annual_return),
        annual_volatility=_finite(volatility),
        sharpe=_finite(sharpe),
        sharpe_standard_error=error.standard_error if error else None,
        sharpe_interval=error.interval if error else None,
        max_drawdown=float(empyrical.max_drawdown(returns)),
        turnover=sum(run.traded for run in runs) / len(runs),
        trades=sum(run.trades for run in runs),
        costs_paid=sum(run.costs for run in runs) / len(runs),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _random_entries(sleeves: Sequence[Sleeve], rate: float, look_back: int, total_return: float) -> RandomEntries:
    def returned(shifts: Shifts) -> Floats:
        ends = [_shifted_ends(*pair, rate) for pair in zip(sleeves, shifts.T, strict=True)]
        return np.asarray(np.stack(ends, axis=1).mean(axis=1) - 1, np.float64)

    return shift_at_random(returned, [len(sleeve.returns) for sleeve in sleeves], look_back, total_return)


def _shifted_ends(sleeve: Sleeve, shifts: Shifts, rate: float) -> Floats:
    """[shifts], the value of the sleeve at the end if its positions had come so many periods later, wrapped."""
    periods = np.arange(len(sleeve.returns))
    at_once = max(1, _PERIODS_AT_ONCE // len(periods))
    ends = []
    for first in range(0, len(shifts), at_once):
        positions = sleeve.positions[(periods - shifts[first : first + at_once, None]) % len(periods)]
        _, after_cost, growth = _factors(positions, sleeve.returns, rate)
        ends.append(after_cost.prod(axis=1) * growth.prod(axis=1))
    return np.concatenate(ends)


def _curve(instants: NDArray[np.datetime64], model: Floats, held: Floats) -> EquityCurve:
    places = np.unique(np.linspace(0, len(instants) - 1, min(CURVE_POINTS, len(instants))).round().astype(np.int64))
    return EquityCurve(
        timestamps=instants[places].astype("datetime64[s]").tolist(),
        model=tuple(round(float(value), 6) for value in model[places]),
        buy_and_hold=tuple(round(float(value), 6) for value in held[places]),
    )
