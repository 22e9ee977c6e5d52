"""The accounts of all symbols that a backtest simulates, from signals and bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.evaluation.fills.orders import Barriers, FillBars, FillCosts, Floats, Simulation
from ktrdr.evaluation.fills.simulation import SymbolOrders, simulate, simulate_together
from ktrdr.evaluation.positions.holding import Holding
from ktrdr.evaluation.positions.volatility import volatility_by_stretch
from ktrdr.evaluation.signals import Signals
from ktrdr.features.stretches import opens_of
from ktrdr.payloads.trading_rules import Costs

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.sections.labels import TripleBarrier

Rows = NDArray[np.int64]

_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")


@dataclass(frozen=True, slots=True, eq=False)
class Portfolio:
    """What is asked for of each symbol, and how it is held.

    capital: of all of them together, in the currency of the bars
    """

    orders: tuple[SymbolOrders, ...]
    holding: Holding
    capital: float

    @property
    def share(self) -> float:
        """The capital of one symbol at the start."""
        return self.capital / len(self.orders)

    def trade(self, costs: FillCosts) -> list[Simulation]:
        """One simulation for each symbol."""
        band, limit = self.holding.band, self.holding.max_gross
        if limit is not None:
            return simulate_together(self.orders, costs, limit, capital=self.capital, band=band)
        return [
            simulate(each.bars, each.targets, costs, capital=self.share, band=band, barriers=each.barriers)
            for each in self.orders
        ]

    def with_targets(self, targets: Sequence[Floats]) -> Portfolio:
        orders = (replace(own, targets=other) for own, other in zip(self.orders, targets, strict=True))
        return replace(self, orders=tuple(orders))

    def delayed(self, bars: int) -> Portfolio:
        """Each target comes so many bars later."""
        zeros = np.zeros(bars)
        return self.with_targets([np.append(zeros, each.targets)[: len(each.targets)] for each in self.orders])

    def shifted(self, shifts: Sequence[int]) -> Portfolio:
        """The targets of each symbol come so many bars later, wrapped at the end."""
        return self.with_targets(
            [np.roll(each.targets, shift) for each, shift in zip(self.orders, shifts, strict=True)]
        )

    def final_value(self, costs: FillCosts) -> float:
        """Of 1 at the start."""
        return sum(float(each.equity[-1]) for each in self.trade(costs)) / self.capital


def open_portfolio(signals: Signals, bars: Mapping[str, pl.DataFrame], costs: Costs) -> Portfolio:
    """Raises InputError where a limit by volume meets bars without any."""
    orders = [
        _orders(signals, int(number), bars[signals.names[number]]) for number in np.unique(signals.symbols).tolist()
    ]
    if costs.participation is not None and not any(each.bars.volume.any() for each in orders):
        raise InputError(
            "costs.participation limits orders by the volume of bars, and these bars have none",
            hint="leave it out, or load bars with volumes",
        )
    return Portfolio(tuple(orders), signals.holding, costs.capital or 1.0)


def _orders(signals: Signals, number: int, frame: pl.DataFrame) -> SymbolOrders:
    stretches = list(_stretches(signals, number))
    bars = [_bars(frame, int(rows[0]) + 1, last, signals.clocks[number].length) for rows, _, last in stretches]
    decisions = np.concatenate([np.arange(rows[0], last) for rows, _, last in stretches])
    spec, is_fresh = signals.holding.barriers, signals.holding.barriers is not None
    targets = [_targets(rows, positions, last, is_fresh=is_fresh) for rows, positions, last in stretches]
    barriers = _barriers(frame, decisions, spec, signals, number) if spec else None
    return SymbolOrders(_joined(bars), np.concatenate(targets), barriers)


def _stretches(signals: Signals, number: int) -> Iterator[tuple[Rows, Floats, int]]:
    """Rows of the decisions, their positions, and the row at whose close trading ends, of each stretch."""
    samples = np.flatnonzero(signals.symbols == number)
    samples = samples[np.argsort(signals.rows[samples])]
    for own in np.split(samples, np.searchsorted(signals.rows[samples], signals.rows_after_holes[number])):
        if len(own):
            yield signals.rows[own], signals.positions[own], int(signals.settled[own].max())


def _bars(frame: pl.DataFrame, first: int, last: int, length: np.timedelta64) -> FillBars:
    rows = frame.slice(first, last + 1 - first)
    opens = opens_of(rows)
    is_last = np.zeros(len(opens), np.bool_)
    is_last[-1] = True
    names = ("open", "high", "low", "close", "volume")
    open_, high, low, close, volume = (rows[name].to_numpy().astype(np.float64) for name in names)
    days = np.append(np.diff(opens), length) / _DAY
    return FillBars(opens, open_, high, low, close, volume, days, is_last)


def _joined(bars: Sequence[FillBars]) -> FillBars:
    columns = (np.concatenate([getattr(each, name) for each in bars]) for name in FillBars.__slots__)
    return FillBars(*columns)


def _targets(rows: Rows, positions: Floats, last: int, *, is_fresh: bool) -> Floats:
    """[bars], the newest decision before each bar; with `is_fresh` that of the close before it alone."""
    decisions = np.arange(rows[0], last)
    newest = np.searchsorted(rows, decisions, side="right") - 1
    targets = positions[newest]
    return np.where(rows[newest] == decisions, targets, 0.0) if is_fresh else targets


def _barriers(frame: pl.DataFrame, decisions: Rows, spec: TripleBarrier, signals: Signals, number: int) -> Barriers:
    """Those of the label, which are known at the close before each bar."""
    close = frame["close"].to_numpy().astype(np.float64)
    deviation = volatility_by_stretch(close, spec.volatility_span, signals.rows_after_holes[number])[decisions]
    upper, lower = np.exp(spec.upper * deviation), np.exp(-spec.lower * deviation)
    at_next_open = signals.holding.fills_at_next_open
    return Barriers(close[decisions] * upper, close[decisions] * lower, spec.horizon, at_next_open)
