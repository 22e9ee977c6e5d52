"""The positions that predictions ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, look_back
from ktrdr.evaluation.positions.holding import Holding
from ktrdr.evaluation.positions.sizes import Predictions, choose_positions, needs_volatility
from ktrdr.evaluation.positions.volatility import bars_in_year_before, volatility_by_stretch
from ktrdr.features.stretches import clock_for, opens_of
from ktrdr.market.trading_clock import TradingClock

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signals:
    """The positions that predictions ask for. Arrays are [samples], in any order.

    part: `validation` or `test`, or `other` for bars outside of the training
    names: of the symbols
    symbols: index into `names`
    rows: bar at whose close the position is decided, as a row of the symbol's own bars
    settled: bar whose close settles the label, as such a row; trading ends with the last of them
    positions: as shares of the symbol's capital; negative ones are short
    look_back: bars that a position depends on
    clocks: calendar of each symbol's bars
    rows_after_holes: of each symbol, the first row after each hole that nothing is held over
    bridges_holes: whether positions are held over holes
    holding: how positions are held
    """

    part: str
    names: tuple[str, ...]
    symbols: NDArray[np.int64]
    rows: NDArray[np.int64]
    settled: NDArray[np.int64]
    positions: Floats
    look_back: int
    clocks: tuple[TradingClock, ...]
    rows_after_holes: tuple[NDArray[np.int64], ...]
    bridges_holes: bool
    holding: Holding = field(default_factory=Holding)

    @property
    def present(self) -> NDArray[np.int64]:
        """The numbers of the symbols that have signals, in order."""
        return np.flatnonzero(np.bincount(self.symbols))

    def by_symbol(self) -> dict[int, NDArray[np.int64] | slice]:
        """The samples of each symbol that has signals, in order of their rows."""
        ends = np.cumsum(np.bincount(self.symbols))
        places = [slice(int(begin), int(end)) for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True)]
        if self._are_sorted():
            return {number: own for number, own in enumerate(places) if own.start < own.stop}
        samples = np.lexsort((self.rows, self.symbols))
        return {number: samples[own] for number, own in enumerate(places) if own.start < own.stop}

    def _are_sorted(self) -> bool:
        is_next = (self.symbols[1:] > self.symbols[:-1]) | (self.rows[1:] > self.rows[:-1])
        return bool((is_next & (self.symbols[1:] >= self.symbols[:-1])).all())


@dataclass(frozen=True, slots=True)
class TradedSeries:
    """The bars of one symbol that predictions were made on; `rows_after_holes` are where nothing is held over."""

    frame: pl.DataFrame
    clock: TradingClock
    rows_after_holes: NDArray[np.int64]


def model_signals(
    guess: Guess, part: Part, dataset: Dataset, bars: Mapping[str, pl.DataFrame], strategy: Strategy
) -> Signals:
    """The signals of a model's `guess` for `part`; `bars` maps each symbol to its bars of the base timeframe."""
    series = [
        TradedSeries(bars[name], coverage.clock, np.array(dataset.rows_after_holes(number), np.int64))
        for number, (name, coverage) in enumerate(zip(dataset.symbols, dataset.coverage, strict=True))
    ]
    scales = np.full(len(part.rows), dataset.target_scale)
    return Signals(
        part=dataset.name_of(part),
        names=dataset.symbols,
        symbols=part.symbols,
        rows=part.rows,
        settled=part.settled,
        positions=_positions(guess, dataset.class_names, scales, part.symbols, part.rows, series, strategy),
        look_back=_look_back(look_back(dataset), strategy),
        clocks=tuple(each.clock for each in series),
        rows_after_holes=tuple(each.rows_after_holes for each in series),
        bridges_holes=dataset.bridges_holes,
        holding=Holding.of(strategy, len(np.unique(part.symbols))),
    )


def find_signals(rows: EvaluatedRows, bars: Mapping[str, SymbolBars], strategy: Strategy) -> Signals:
    """The signals of rows that were predicted earlier. Raises InputError when `bars` lack one of the rows."""
    names, symbols = np.unique(rows.symbols, return_inverse=True)
    timeframe, bridges_holes = strategy.timeframes[0], strategy.data.holes == "bridge"
    places = np.zeros(len(rows), np.int64)
    series = []
    for index, name in enumerate(map(str, names)):
        frame, own = bars[name][timeframe], symbols == index
        opens, clock = opens_of(frame), clock_for(strategy, name, bars[name], timeframe)
        places[own] = _find_bars(rows.timestamps[own], rows.spans[own], opens, name)
        holes = () if bridges_holes else clock.holes(opens)
        series.append(TradedSeries(frame, clock, np.array([hole.row for hole in holes], np.int64)))
    return Signals(
        part=rows.part,
        names=tuple(map(str, names)),
        symbols=symbols,
        rows=places,
        settled=places + rows.spans,
        positions=_positions(rows.model, rows.class_names, rows.scales, symbols, places, series, strategy),
        look_back=_look_back(int(rows.look_back.max()), strategy),
        clocks=tuple(each.clock for each in series),
        rows_after_holes=tuple(each.rows_after_holes for each in series),
        bridges_holes=bridges_holes,
        holding=Holding.of(strategy, len(names)),
    )


def _positions(
    guess: Guess,
    class_names: tuple[str, ...],
    scales: Floats,
    symbols: NDArray[np.int64],
    rows: NDArray[np.int64],
    series: Sequence[TradedSeries],
    strategy: Strategy,
) -> Floats:
    """[samples], see `choose_positions`; a single symbol's position is all that there is of gross ones."""
    rules = strategy.positions
    volatility, per_year = np.zeros(len(rows)), np.zeros(len(rows))
    if needs_volatility(rules, is_regression=not class_names):
        for number in np.unique(symbols).tolist():
            own = symbols == number
            volatility[own], per_year[own] = _past_volatility(series[number], rows[own], rules.volatility_span)
    is_alone = len(np.unique(symbols)) == 1 and rules.max_gross is not None
    limit = min(rules.max_symbol, rules.max_gross) if is_alone and rules.max_gross else rules.max_symbol
    predictions = Predictions(guess, class_names, scales, strategy.labels, volatility, per_year)
    return choose_positions(predictions, rules, limit)


def _past_volatility(series: TradedSeries, rows: NDArray[np.int64], span: int) -> tuple[Floats, Floats]:
    """At the closes of `rows`: the deviation of log returns by bar, and the bars of the year before."""
    close = series.frame["close"].to_numpy()
    deviation = volatility_by_stretch(close, span, series.rows_after_holes)[rows]
    return deviation, bars_in_year_before(opens_of(series.frame)[rows], series.clock)


def _look_back(bars: int, strategy: Strategy) -> int:
    rules = strategy.positions
    sizes = needs_volatility(rules, is_regression=strategy.is_regression)
    return max(bars, rules.volatility_span) if sizes else bars


def _find_bars(
    instants: NDArray[np.datetime64], spans: NDArray[np.int64], opens: NDArray[np.datetime64], name: str
) -> NDArray[np.int64]:
    """The places of `instants` [samples] among `opens` [bars]. Raises InputError where one or its label has no bar."""
    places = np.searchsorted(opens, instants)
    if (places + spans).max() >= len(opens) or (opens[places] != instants).any():
        raise InputError(f"the stored bars of {name} are no longer those that were predicted")
    return places
