"""All sleeves of a backtest, and the two ways in which they are traded: at once, or fill by fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.fills.orders import FillCosts, Simulation
from ktrdr.evaluation.fills.portfolio import Portfolio, open_portfolio
from ktrdr.evaluation.fills.simulation import SymbolOrders
from ktrdr.evaluation.one_thread import one_thread
from ktrdr.evaluation.random_entries import MIN_DRAWS, Shifts, none_drawn, shift_at_random
from ktrdr.evaluation.shifted_positions import shifted_ends
from ktrdr.evaluation.signals import Signals
from ktrdr.evaluation.sleeves import Sleeve, SleeveResult, sleeves_of, trade
from ktrdr.formatting import count
from ktrdr.payloads.backtest import RandomEntries
from ktrdr.payloads.trading_rules import Costs

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]

# A bar takes some microseconds: random entries of simulated fills take a few seconds at most.
MAX_SIMULATED_BARS = 1_000_000


class Book(Protocol):
    """All sleeves of a backtest, and how they are traded."""

    @property
    def sleeves(self) -> Sequence[Sleeve]:
        """One for each symbol."""

    def trade(self, rate: float) -> list[SleeveResult]:
        """What each sleeve comes to where a trade costs `rate` of its value."""

    def delayed(self, bars: int) -> Book:
        """Where each position is asked for so many bars later."""

    def random_entries(self, rate: float, look_back: int, total_return: float) -> RandomEntries:
        """The positions at other times, see `shift_at_random`."""


def open_book(signals: Signals, bars: Mapping[str, pl.DataFrame], costs: Costs) -> Book:
    """Raises InputError where a limit by volume meets bars without any."""
    sleeves = sleeves_of(signals, bars)
    if signals.holding.depends_on_path(costs):
        return SimulatedBook(sleeves, open_portfolio(signals, bars, costs), FillCosts.of(costs))
    return VectorisedBook(sleeves)


def rate_of(costs: Costs) -> float:
    """What a trade costs, as a share of its value."""
    return (costs.fee_bps + costs.slippage_bps) / 10_000


@dataclass(frozen=True, slots=True)
class VectorisedBook:
    """Sleeves whose positions are shares of their capital, whatever the path of prices."""

    sleeves: Sequence[Sleeve]

    def trade(self, rate: float) -> list[SleeveResult]:
        return [trade(sleeve.positions, sleeve.returns, rate) for sleeve in self.sleeves]

    def delayed(self, bars: int) -> VectorisedBook:
        return VectorisedBook(
            [
                replace(sleeve, positions=np.concatenate([np.zeros(bars), sleeve.positions])[: len(sleeve.positions)])
                for sleeve in self.sleeves
            ]
        )

    def random_entries(self, rate: float, look_back: int, total_return: float) -> RandomEntries:
        def returned(shifts: Shifts) -> Floats:
            with one_thread():
                ends = [
                    shifted_ends(sleeve.positions, sleeve.returns, rate, own)
                    for sleeve, own in zip(self.sleeves, shifts.T, strict=True)
                ]
            return np.asarray(np.stack(ends, axis=1).mean(axis=1) - 1, np.float64)

        lengths = [len(sleeve.returns) for sleeve in self.sleeves]
        return shift_at_random(returned, lengths, look_back, total_return)


@dataclass(frozen=True, slots=True)
class SimulatedBook:
    """Sleeves whose fills are simulated; their positions are what is asked for."""

    sleeves: Sequence[Sleeve]
    portfolio: Portfolio
    costs: FillCosts

    def trade(self, rate: float) -> list[SleeveResult]:
        runs, orders = self.portfolio.trade(self.costs.at(rate)), self.portfolio.orders
        return [_result_of(run, own, self.portfolio.share) for run, own in zip(runs, orders, strict=True)]

    def delayed(self, bars: int) -> SimulatedBook:
        return replace(self, portfolio=self.portfolio.delayed(bars))

    def random_entries(self, rate: float, look_back: int, total_return: float) -> RandomEntries:
        costs, lengths = self.costs.at(rate), [len(each.bars) for each in self.portfolio.orders]

        def returned(shifts: Shifts) -> Floats:
            values = [self.portfolio.shifted(each).final_value(costs) for each in shifts.tolist()]
            return np.array(values) - 1

        if MIN_DRAWS * sum(lengths) > MAX_SIMULATED_BARS:
            return none_drawn(look_back, f"{MIN_DRAWS} simulations of {count(sum(lengths))} bars would take too long")
        return shift_at_random(returned, lengths, look_back, total_return, MAX_SIMULATED_BARS)


def _result_of(run: Simulation, orders: SymbolOrders, capital: float) -> SleeveResult:
    """In shares of the capital; the period of a hole repeats the value after the last close before it."""
    periods = np.ones(len(orders.bars), np.int64) + orders.bars.is_last
    periods[-1] = 1
    fills, paid = run.fills, float(run.fills.costs.sum() + run.holding.sum())
    equity = np.repeat(run.equity / capital, periods)
    return SleeveResult(equity, float(fills.traded.sum()), len(fills), paid / capital)
