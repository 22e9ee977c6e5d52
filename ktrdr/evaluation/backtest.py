"""What trading on the predictions would have earned after costs, compared with holding and with random entries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.bars_per_year import bars_per_year
from ktrdr.formatting import percentage, with_error
from ktrdr.payloads.backtest import BacktestResult, EquityCurve, Performance, RandomEntries

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Costs

Floats = NDArray[np.float64]

MAX_DRAWS, MIN_DRAWS = 500, 100
# Limits draws * bars, so that the random entries take some tenths of a second.
MAX_DRAWN_BARS = 10_000_000
CURVE_POINTS = 400


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


def backtest(
    outputs: NDArray[np.float32], part: Part, dataset: Dataset, bars: Mapping[str, pl.DataFrame], costs: Costs
) -> BacktestResult:
    """Trade a model's `outputs` for `part`; `bars` maps each symbol to its bars of the base timeframe.

    A prediction at the close of a bar is filled at the next bar's open and held until the next fill. Each symbol
    trades an equal share of the capital. A position always takes the whole share and is rebalanced at each open. At a
    hole in the bars it is closed at the last close before, and nothing is held until the first fill after it.
    """
    rate = (costs.fee_bps + costs.slippage_bps) / 10_000
    sleeves = _sleeves(choose_positions(outputs, dataset), part, dataset, bars)
    instants = np.unique(np.concatenate([one.opens for one in sleeves]))
    clocks = [dataset.coverage[number].clock for number in np.unique(part.symbols)]
    per_year = bars_per_year(instants, clocks, bridges_holes=dataset.bridges_holes)
    runs = [trade(sleeve.positions, sleeve.returns, rate) for sleeve in sleeves]
    held_runs = [trade(np.ones_like(sleeve.positions), sleeve.returns, rate) for sleeve in sleeves]
    equity, held_equity = (_portfolio(sleeves, results, instants) for results in (runs, held_runs))
    model, held = _performance(equity, runs, per_year), _performance(held_equity, held_runs, per_year)
    chance = _random_entries(sleeves, rate, model.total_return)
    return BacktestResult(
        part="test" if part is dataset.test else "validation",
        bars=len(instants),
        bars_per_year=per_year,
        fee_bps=costs.fee_bps,
        slippage_bps=costs.slippage_bps,
        model=model,
        buy_and_hold=held,
        random_entries=chance,
        equity=_curve(instants, equity, held_equity),
        verdict=_describe_performance(model, held, chance),
    )


def choose_positions(outputs: NDArray[np.float32], dataset: Dataset) -> Floats:
    """Positions [samples]: 1 for a predicted up, -1 for a predicted down, else 0; in a regression the sign."""
    if dataset.is_regression:
        return np.sign(outputs[:, 0]).astype(np.float64)
    sides = {"up": 1.0, "down": -1.0}
    side_of_class = np.array([sides.get(name, 0.0) for name in dataset.class_names])
    return np.asarray(side_of_class[outputs.argmax(axis=1)], np.float64)


def _opens(frame: pl.DataFrame) -> NDArray[np.datetime64]:
    return frame["timestamp"].to_numpy().astype("datetime64[us]")


def _sleeves(positions: Floats, part: Part, dataset: Dataset, bars: Mapping[str, pl.DataFrame]) -> list[Sleeve]:
    sleeves = []
    for number in np.unique(part.symbols):
        frame = bars[dataset.symbols[number]]
        samples = np.flatnonzero(part.symbols == number)
        samples = samples[np.argsort(part.rows[samples])]
        borders = np.searchsorted(part.rows[samples], dataset.rows_after_holes(number))
        stretches = [
            _sleeve(frame, part.rows[own], positions[own], int(part.settled[own].max()))
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
    return Sleeve(_opens(frame)[first : last + 1], returns, positions[decided])


def trade(positions: Floats, returns: Floats, rate: float) -> SleeveResult:
    """Trade `positions` [periods]. Each change costs `rate` of the traded value, first entry and last exit included."""
    traded, after_cost, growth = _factors(positions, returns, rate)
    before_costs = np.cumprod(np.concatenate([[1.0], after_cost[:-1] * growth]))
    after_costs = before_costs * after_cost
    equity = np.append(before_costs[1:-1], after_costs[-1])
    return SleeveResult(
        equity, float(traded.sum()), int(np.count_nonzero(traded)), float((before_costs - after_costs).sum())
    )


def _factors(positions: Floats, returns: Floats, rate: float) -> tuple[Floats, Floats, Floats]:
    """Traded value, the factor 1 - cost, and the factor 1 + position * return.

    The first two are [periods + 1], one for each open and for the last close. The third is [periods].
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


def _performance(equity: Floats, runs: Sequence[SleeveResult], per_year: float) -> Performance:
    import empyrical

    before = np.concatenate([[1.0], equity[:-1]])
    returns = np.divide(equity, before, out=np.ones(len(equity)), where=before > 0) - 1
    # Sharpe ratio = mean / standard deviation (ddof = 1) of returns by bar, times sqrt(bars a year); no risk-free rate.
    with np.errstate(all="ignore"):
        sharpe = empyrical.sharpe_ratio(returns, annualization=per_year)
        annual_return = empyrical.annual_return(returns, annualization=per_year)
        volatility = empyrical.annual_volatility(returns, annualization=per_year)
    return Performance(
        total_return=float(empyrical.cum_returns_final(returns)),
        annual_return=_finite(annual_return),
        annual_volatility=_finite(volatility),
        sharpe=_finite(sharpe),
        sharpe_standard_error=_finite(_sharpe_error(float(sharpe), len(returns), per_year)),
        max_drawdown=float(empyrical.max_drawdown(returns)),
        turnover=sum(run.traded for run in runs) / len(runs),
        trades=sum(run.trades for run in runs),
        costs_paid=sum(run.costs for run in runs) / len(runs),
    )


def _sharpe_error(sharpe: float, periods: int, per_year: float) -> float:
    """Standard error of an annual Sharpe ratio (Lo 2002, The Statistics of Sharpe Ratios, independent returns).

    By bar it is sqrt((1 + SR^2 / 2) / T). With SR = sharpe / sqrt(per_year), times sqrt(per_year), it is as below.
    """
    return math.sqrt((per_year + sharpe * sharpe / 2) / periods)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _random_entries(sleeves: Sequence[Sleeve], rate: float, total_return: float) -> RandomEntries:
    """Shift all positions in time and wrap them at the end: turnover and holding times stay, the bars change."""
    bars = sum(len(sleeve.returns) for sleeve in sleeves)
    draws = max(MIN_DRAWS, min(MAX_DRAWS, MAX_DRAWN_BARS // bars))
    shares = np.random.default_rng(0).random(draws)
    earned = np.array([_shifted_return(sleeves, rate, share) for share in shares])
    low, median, high = (float(value) for value in np.quantile(earned, (0.05, 0.5, 0.95)))
    # Ties count half: a shift that gives the same positions again is neither better nor worse.
    same = np.isclose(earned, total_return, rtol=1e-9, atol=1e-12)
    below = np.mean((earned < total_return) & ~same) + np.mean(same) / 2
    return RandomEntries(draws=draws, low=low, median=median, high=high, percentile=100 * float(below))


def _shifted_return(sleeves: Sequence[Sleeve], rate: float, share: float) -> float:
    ends = []
    for sleeve in sleeves:
        shift = 1 + int(share * max(len(sleeve.positions) - 1, 0))
        _, after_cost, growth = _factors(np.roll(sleeve.positions, shift), sleeve.returns, rate)
        ends.append(float(after_cost.prod() * growth.prod()))
    return float(np.mean(ends)) - 1


def _curve(instants: NDArray[np.datetime64], model: Floats, held: Floats) -> EquityCurve:
    places = np.unique(np.linspace(0, len(instants) - 1, min(CURVE_POINTS, len(instants))).round().astype(np.int64))
    return EquityCurve(
        timestamps=instants[places].astype("datetime64[s]").tolist(),
        model=tuple(round(float(value), 6) for value in model[places]),
        buy_and_hold=tuple(round(float(value), 6) for value in held[places]),
    )


def _describe_performance(model: Performance, held: Performance, chance: RandomEntries) -> str:
    sharpe, error = model.sharpe, model.sharpe_standard_error
    timing = "it never changed its position, so there is no timing to test."
    if chance.low < chance.high:
        timing = f"{chance.percentile:.0f}% of random entries with the same turnover did worse."
    returns = f"the model returned {percentage(model.total_return)}, buy and hold {percentage(held.total_return)}"
    sentences = [f"After costs {returns}; {timing}"]
    if sharpe is None or error is None:
        sentences.append("It has no Sharpe ratio: its equity never moved.")
    elif abs(sharpe) < 2 * error:
        ratio = with_error(sharpe, error)
        sentences.append(f"Its Sharpe ratio, {ratio}, is not distinguishable from zero on so few bars.")
    else:
        sentences.append(f"Its Sharpe ratio is {with_error(sharpe, error)}.")
    return " ".join(sentences)
