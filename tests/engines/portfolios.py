"""What ktrdr trades, beside the same as a case for other engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.books import open_book
from ktrdr.evaluation.fills.orders import FillCosts, Simulation
from ktrdr.evaluation.fills.portfolio import Portfolio, open_portfolio
from ktrdr.evaluation.positions.holding import Holding
from ktrdr.evaluation.positions.sizes import Predictions, choose_positions
from ktrdr.evaluation.positions.volatility import volatility_by_stretch
from ktrdr.evaluation.signals import Signals
from ktrdr.evaluation.sleeves import SleeveResult
from ktrdr.features.stretches import opens_of
from ktrdr.market.trading_clock import TradingClock
from ktrdr.payloads.data import CalendarChoice
from ktrdr.payloads.trading_rules import Costs, Positions
from ktrdr.strategy.sections.labels import TripleBarrier
from ktrdr.timeframe import Timeframe
from tests.engines.case import Case, SymbolCase

Floats = NDArray[np.float64]

CAPITAL = 100_000.0
COSTS = Costs(fee_bps=1, slippage_bps=4, capital=CAPITAL)
RATE = 0.0005
LABELS = TripleBarrier(type="triple_barrier", horizon=8, volatility_span=20, upper=1.5, lower=1.0)


@dataclass(frozen=True)
class Market:
    """Bars of some symbols; a decision falls at the close of each, and positions are held from the next open on.

    timeframe: of the bars
    holes: of each symbol, the first rows after its holes
    """

    frames: Mapping[str, pl.DataFrame]
    timeframe: Timeframe = Timeframe.DAY
    holes: tuple[tuple[int, ...], ...] = ()

    def signals(self, rules: Positions, holding: Holding, seed: int = 0) -> Signals:
        decisions = [self._decisions(number) for number in range(len(self.frames))]
        positions = [
            positions_by(frame, rules, seed + number)[rows]
            for number, (frame, rows) in enumerate(zip(self.frames.values(), decisions, strict=True))
        ]
        clock = TradingClock(self.timeframe, CalendarChoice(name="24/7", why="", is_guess=False))
        return Signals(
            part="other",
            names=tuple(self.frames),
            symbols=np.repeat(np.arange(len(decisions)), [len(rows) for rows in decisions]),
            rows=np.concatenate(decisions),
            settled=np.concatenate(decisions) + 1,
            positions=np.concatenate(positions),
            look_back=1,
            clocks=(clock,) * len(decisions),
            rows_after_holes=tuple(np.array(self._holes(number), np.int64) for number in range(len(decisions))),
            bridges_holes=False,
            holding=holding,
        )

    def _holes(self, number: int) -> tuple[int, ...]:
        return self.holes[number] if self.holes else ()

    def _decisions(self, number: int) -> NDArray[np.int64]:
        """At the close of the last bar before a hole nothing is decided: no label reaches over it."""
        rows = np.arange([*self.frames.values()][number].height - 1)
        return np.setdiff1d(rows, np.array(self._holes(number), np.int64) - 1)

    def symbol_case(self, number: int, signals: Signals) -> SymbolCase:
        """The bars after each decision, without those that no decision comes before."""
        (name, frame), rows = [*self.frames.items()][number], self._decisions(number)
        bars, begins = frame[rows + 1], opens_of(frame).astype("datetime64[ns]").astype(np.int64)
        length = int(np.timedelta64(self.timeframe.length).astype("timedelta64[ns]").astype(np.int64))
        closes = np.minimum(begins + length, np.append(begins[1:], begins[-1] + length))
        return SymbolCase(
            name=name,
            opens=begins[rows + 1].tolist(),
            closes=closes[rows + 1].tolist(),
            open=bars["open"].to_list(),
            high=bars["high"].to_list(),
            low=bars["low"].to_list(),
            close=bars["close"].to_list(),
            is_last=(np.diff(rows, append=-1) != 1).tolist(),
            targets=signals.positions[signals.symbols == number].tolist(),
            lower=[],
            upper=[],
            low_first=[True] * len(rows),
        )


def positions_by(frame: pl.DataFrame, rules: Positions, seed: int) -> Floats:
    """[bars], of predicted classes that last for some bars; they have no skill."""
    random, bars = np.random.default_rng(seed), frame.height
    up = np.repeat(random.uniform(0.05, 0.95, bars), random.integers(1, 8, bars))[:bars]
    predictions = Predictions(
        guess=Guess((up > 0.5).astype(np.int64), np.stack([1 - up, up], axis=1)),
        class_names=("down", "up"),
        scales=np.ones(bars),
        labels=LABELS,
        volatility=volatility_by_stretch(frame["close"].to_numpy(), 20, np.zeros(0, np.int64)),
        bars_per_year=np.full(bars, 252.0),
    )
    return choose_positions(predictions, rules, rules.max_symbol)


@dataclass(frozen=True)
class Comparison:
    """A case, and what ktrdr came to: the fills of a simulation, or a sleeve that is traded all at once."""

    case: Case
    simulations: tuple[Simulation, ...] = ()
    sleeve: SleeveResult | None = None


def in_units(market: Market, rules: Positions, holding: Holding | None = None) -> Comparison:
    """Fill by fill, with units and cash."""
    signals = market.signals(rules, holding or Holding())
    portfolio = open_portfolio(signals, market.frames, COSTS)
    runs = portfolio.trade(FillCosts.of(COSTS))
    symbols = [
        _with_barriers(market.symbol_case(number, signals), portfolio, number, runs[number])
        for number in range(len(runs))
    ]
    case = Case(symbols, CAPITAL, RATE, band=signals.holding.band, max_gross=signals.holding.max_gross)
    if signals.holding.barriers:
        case = replace(case, horizon=LABELS.horizon, at_next_open=signals.holding.fills_at_next_open)
    return Comparison(case, tuple(runs))


def _with_barriers(own: SymbolCase, portfolio: Portfolio, number: int, run: Simulation) -> SymbolCase:
    """A bar does not tell whether it fell first: it goes to the stop of what ktrdr holds first."""
    barriers = portfolio.orders[number].barriers
    if barriers is None:
        return own
    held, fills = np.zeros(len(own.open)), run.fills
    for bar, units in zip(fills.bars[fills.is_at_open], fills.held[fills.is_at_open], strict=True):
        held[bar:] = units
    lower, upper = np.nan_to_num(barriers.lower), np.nan_to_num(barriers.upper)
    return replace(own, lower=lower.tolist(), upper=upper.tolist(), low_first=(held >= 0).tolist())


def at_once(market: Market, rules: Positions) -> Comparison:
    """As shares of the capital that are rebalanced at each open, as a strategy without `positions` is traded."""
    signals = market.signals(rules, Holding())
    (sleeve,) = open_book(signals, market.frames, COSTS.model_copy(update={"capital": None})).trade(RATE)
    case = Case([market.symbol_case(0, signals)], CAPITAL, RATE, fees="share of the account")
    return Comparison(case, sleeve=sleeve)


def before_split(comparison: Comparison, bar: int, split: float) -> Comparison:
    """The same with prices as they were before one share became `split` shares."""
    (own,) = comparison.case.symbols
    factors = np.where(np.arange(len(own.open)) < bar, split, 1.0)
    prices = {name: (np.array(getattr(own, name)) * factors).tolist() for name in ("open", "high", "low", "close")}
    return replace(
        comparison, case=replace(comparison.case, symbols=[replace(own, split_at=bar, split=split, **prices)])
    )
