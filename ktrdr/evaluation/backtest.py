"""What trading on the predictions would have earned, after costs, beside holding and beside entering at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.formatting import percentage, with_error
from ktrdr.payloads.backtest import BacktestResult, EquityCurve, Performance, RandomEntries

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Costs

Floats = NDArray[np.float64]

MAX_DRAWS, MIN_DRAWS = 500, 100
# All draws together look at so many bars at most, which takes some tenths of a second.
MAX_DRAWN_BARS = 10_000_000
CURVE_POINTS = 400
SECONDS_PER_YEAR = 365.25 * 86_400


@dataclass(frozen=True, slots=True)
class Sleeve:
    """The share of the capital that trades one symbol.

    Period i lasts from the open of a bar to the next one's, the last to its bar's own close; `wanted[i]` is the
    position through it, decided at the close before.
    """

    opens: NDArray[np.datetime64]
    moves: Floats
    wanted: Floats


@dataclass(frozen=True, slots=True)
class SleeveResult:
    """What a sleeve came to: equity after each period, from 1 on."""

    equity: Floats
    traded: float
    trades: int
    costs: float


def backtest(
    outputs: NDArray[np.float32], part: Part, dataset: Dataset, bars: Mapping[str, pl.DataFrame], costs: Costs
) -> BacktestResult:
    """Trade a model's `outputs` for `part`; `bars` maps each symbol to its bars of the base timeframe.

    A prediction at the close of a bar is filled at the next bar's open, and held until the next one is. Each symbol
    trades an equal share of the capital. A position is all of its share, brought back to that at each open.
    """
    rate = (costs.fee_bps + costs.slippage_bps) / 10_000
    sleeves = _sleeves(choose_positions(outputs, dataset), part, dataset.symbols, bars)
    per_year = bars_per_year(bars.values())
    instants = np.unique(np.concatenate([one.opens for one in sleeves]))
    runs = [trade(sleeve.wanted, sleeve.moves, rate) for sleeve in sleeves]
    held_runs = [trade(np.ones_like(sleeve.wanted), sleeve.moves, rate) for sleeve in sleeves]
    equity, held_equity = (_portfolio(sleeves, each, instants) for each in (runs, held_runs))
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
    """1 where the model says up, -1 where it says down, else 0; of a regression the sign of its prediction."""
    if dataset.is_regression:
        return np.sign(outputs[:, 0]).astype(np.float64)
    sides = {"up": 1.0, "down": -1.0}
    side_of_class = np.array([sides.get(name, 0.0) for name in dataset.class_names])
    return np.asarray(side_of_class[outputs.argmax(axis=1)], np.float64)


def bars_per_year(frames: Any) -> float:
    """Of all symbols together, as they really came: sessions and holidays included."""
    opens = np.unique(np.concatenate([_opens(frame) for frame in frames]))
    seconds = float((opens[-1] - opens[0]) / np.timedelta64(1, "s"))
    return (len(opens) - 1) * SECONDS_PER_YEAR / seconds


def _opens(frame: pl.DataFrame) -> NDArray[np.datetime64]:
    return frame["timestamp"].to_numpy().astype("datetime64[us]")


def _sleeves(positions: Floats, part: Part, symbols: Sequence[str], bars: Mapping[str, pl.DataFrame]) -> list[Sleeve]:
    sleeves = []
    for number in np.unique(part.symbols):
        mine = part.symbols == number
        rows, frame = part.rows[mine], bars[symbols[number]]
        order = np.argsort(rows)
        last = int(part.settled[mine].max())
        sleeves.append(_sleeve(frame, rows[order], positions[mine][order], last))
    return sleeves


def _sleeve(frame: pl.DataFrame, rows: NDArray[np.int64], positions: Floats, last: int) -> Sleeve:
    """From the open after the first of `rows` to the close of row `last`, the last one within the part."""
    first = int(rows[0]) + 1
    opens = frame["open"].to_numpy()[first : last + 1]
    after = np.append(opens[1:], frame["close"].to_numpy()[last])
    decided = np.searchsorted(rows, np.arange(first - 1, last), side="right") - 1
    # A price of zero would be divided by.
    moves = np.divide(after, opens, out=np.ones(len(opens)), where=opens > 0) - 1
    return Sleeve(_opens(frame)[first : last + 1], moves, positions[decided])


def trade(wanted: Floats, moves: Floats, rate: float) -> SleeveResult:
    """Each change of the position costs `rate` of the traded value, the first entry and the last exit too."""
    traded, kept, growth = _factors(wanted, moves, rate)
    before_costs = np.cumprod(np.concatenate([[1.0], kept[:-1] * growth]))
    after_costs = before_costs * kept
    equity = np.append(before_costs[1:-1], after_costs[-1])
    return SleeveResult(
        equity, float(traded.sum()), int(np.count_nonzero(traded)), float((before_costs - after_costs).sum())
    )


def _factors(wanted: Floats, moves: Floats, rate: float) -> tuple[Floats, Floats, Floats]:
    """Traded at each open and at the last close, what costs leave of the capital there, and growth in between."""
    traded = np.abs(np.diff(wanted, prepend=0.0, append=0.0))
    # A short position loses at most its whole capital, also when a price more than doubles within a bar.
    return traded, np.maximum(1 - rate * traded, 0.0), np.maximum(1 + wanted * moves, 0.0)


def _portfolio(sleeves: Sequence[Sleeve], runs: Sequence[SleeveResult], instants: NDArray[np.datetime64]) -> Floats:
    """A sleeve whose symbol has no bar at an instant is worth what it was worth before."""
    total = np.zeros(len(instants))
    for sleeve, run in zip(sleeves, runs, strict=True):
        known = np.searchsorted(sleeve.opens, instants, side="right")
        total += np.concatenate([[1.0], run.equity])[known]
    return total / len(sleeves)


def _performance(equity: Floats, runs: Sequence[SleeveResult], per_year: float) -> Performance:
    import empyrical

    before = np.concatenate([[1.0], equity[:-1]])
    returns = np.divide(equity, before, out=np.ones(len(equity)), where=before > 0) - 1
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
    """Lo (2002), The Statistics of Sharpe Ratios: sqrt((1 + SR^2 / 2) / T), SR and T in bars; annual here."""
    return math.sqrt((per_year + sharpe * sharpe / 2) / periods)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _random_entries(sleeves: Sequence[Sleeve], rate: float, total_return: float) -> RandomEntries:
    """Shift all positions along the part, round its end: the same turnover and the same holding times, other bars."""
    bars = sum(len(one.moves) for one in sleeves)
    draws = max(MIN_DRAWS, min(MAX_DRAWS, MAX_DRAWN_BARS // bars))
    shares = np.random.default_rng(0).random(draws)
    earned = np.array([_shifted_return(sleeves, rate, share) for share in shares])
    low, median, high = (float(value) for value in np.quantile(earned, (0.05, 0.5, 0.95)))
    # Shifts that give the same positions again are neither better nor worse.
    same = np.isclose(earned, total_return, rtol=1e-9, atol=1e-12)
    below = np.mean((earned < total_return) & ~same) + np.mean(same) / 2
    return RandomEntries(draws=draws, low=low, median=median, high=high, percentile=100 * float(below))


def _shifted_return(sleeves: Sequence[Sleeve], rate: float, share: float) -> float:
    ends = []
    for one in sleeves:
        shift = 1 + int(share * max(len(one.wanted) - 1, 0))
        _, kept, growth = _factors(np.roll(one.wanted, shift), one.moves, rate)
        ends.append(float(kept.prod() * growth.prod()))
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
    timing = "it never changed its position, so it timed nothing."
    if chance.low < chance.high:
        timing = f"{chance.percentile:.0f}% of random entries of the same turnover did worse than the model."
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
