"""The share of the capital that trades one symbol, where its positions do not depend on the path of prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.signals import Signals
from ktrdr.features.stretches import opens_of

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sleeve:
    """The share of the capital that trades one symbol.

    Period i lasts from one bar's open to the next bar's open. The last period ends at its own bar's close.

    opens: [periods], the instants at which periods begin (us, UTC)
    returns: [periods], simple returns of the price
    positions: [periods], in shares of the sleeve's capital, decided at the close before the period
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


def sleeves_of(signals: Signals, bars: Mapping[str, pl.DataFrame]) -> list[Sleeve]:
    """One for each symbol that has signals, in the order of their numbers."""
    sleeves = []
    for number, own in signals.by_symbol().items():
        rows, positions, settled = signals.rows[own], signals.positions[own], signals.settled[own]
        borders = np.searchsorted(rows, signals.rows_after_holes[number])
        stretches = [
            _sleeve(bars[signals.names[number]], *stretch)
            for stretch in zip(*(np.split(each, borders) for each in (rows, positions, settled)), strict=True)
            if len(stretch[0])
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


def _sleeve(frame: pl.DataFrame, rows: NDArray[np.int64], positions: Floats, settled: NDArray[np.int64]) -> Sleeve:
    """The sleeve from the open after the first of `rows` to the close at which the last of their labels settles.

    `rows` are the bars of the samples in order, and `positions` [rows] the predictions at their closes.
    """
    first, last = int(rows[0]) + 1, int(settled.max())
    opens = frame["open"].to_numpy()[first : last + 1]
    after = np.append(opens[1:], frame["close"][last])
    # Skip prices of zero, which cannot divide.
    returns = np.divide(after, opens, out=np.ones(len(opens)), where=opens > 0)
    returns -= 1
    if len(rows) < len(opens):
        positions = np.repeat(positions, np.diff(np.append(rows, last)))
    return Sleeve(opens_of(frame)[first : last + 1], returns, positions)


def trade(positions: Floats, returns: Floats, rate: float) -> SleeveResult:
    """Trade `positions` [periods]. Each change costs `rate` of the traded value, first entry and last exit included."""
    traded, after_cost, growth = _factors(positions, returns, rate)
    before_costs, after_costs = _capital(after_cost, growth)
    equity = np.append(before_costs[1:-1], after_costs[-1])
    return SleeveResult(
        equity, float(traded.sum()), int(np.count_nonzero(traded)), float((before_costs - after_costs).sum())
    )


def hold(returns: Floats, rate: float) -> SleeveResult:
    """Buy at the first open and sell at the last close: what `trade` makes of positions of one."""
    left = max(1 - rate, 0.0)
    equity = _factor(returns.copy())
    equity[0] *= left
    np.cumprod(equity, out=equity)
    before_exit = float(equity[-1])
    equity[-1] *= left
    return SleeveResult(equity, 2.0, 2, (1 - left) + (before_exit - float(equity[-1])))


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
    before_costs = np.empty(len(after_cost))
    before_costs[0] = 1
    np.multiply(after_cost[:-1], growth, out=before_costs[1:])
    np.cumprod(before_costs, out=before_costs)
    return before_costs, before_costs * after_cost


def _factors(positions: Floats, returns: Floats, rate: float) -> tuple[Floats, Floats, Floats]:
    """Traded value [periods + 1], the factor 1 - cost [periods + 1], the factor 1 + position * return [periods].

    The first two are of each open and of the last close.
    """
    traded = np.diff(positions, prepend=0.0, append=0.0)
    np.abs(traded, out=traded)
    # A short position loses at most its whole capital, even when the price more than doubles within a period.
    return traded, _factor(traded * -rate), _factor(positions * returns)


def _factor(changes: Floats) -> Floats:
    """1 + `changes`, which it overwrites; at least zero."""
    changes += 1
    return np.maximum(changes, 0.0, out=changes)
