"""The positions that predictions ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, look_back
from ktrdr.features.stretches import clock_for, opens_of
from ktrdr.market.trading_clock import TradingClock

if TYPE_CHECKING:
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
    positions: -1 to 1
    look_back: bars that a position depends on
    clocks: calendar of each symbol's bars
    rows_after_holes: of each symbol, the first row after each hole that nothing is held over
    bridges_holes: whether positions are held over holes
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


def model_signals(outputs: NDArray[np.float32], part: Part, dataset: Dataset) -> Signals:
    """The signals of a model's `outputs` [samples, outputs] for `part`."""
    return Signals(
        part=dataset.name_of(part),
        names=dataset.symbols,
        symbols=part.symbols,
        rows=part.rows,
        settled=part.settled,
        positions=choose_positions(outputs, dataset),
        look_back=look_back(dataset),
        clocks=tuple(coverage.clock for coverage in dataset.coverage),
        rows_after_holes=tuple(dataset.rows_after_holes(number) for number in range(len(dataset.symbols))),
        bridges_holes=dataset.bridges_holes,
    )


def choose_positions(outputs: NDArray[np.float32], dataset: Dataset) -> Floats:
    """Positions [samples] for a model's outputs, see `positions_for`."""
    if dataset.is_regression:
        return positions_for(outputs[:, 0], ())
    return positions_for(outputs.argmax(axis=1), dataset.class_names)


def positions_for(predicted: NDArray[Any], class_names: Sequence[str]) -> Floats:
    """Positions [samples]: 1 for a predicted up, -1 for a predicted down, else 0; of predicted numbers the sign."""
    if not class_names:
        return np.asarray(np.sign(predicted), np.float64)
    sides = {"up": 1.0, "down": -1.0}
    side_of_class = np.array([sides.get(name, 0.0) for name in class_names])
    return np.asarray(side_of_class[predicted], np.float64)


def find_signals(rows: EvaluatedRows, bars: Mapping[str, SymbolBars], strategy: Strategy) -> Signals:
    """The signals of rows that were predicted earlier. Raises InputError when `bars` lack one of the rows."""
    names, symbols = np.unique(rows.symbols, return_inverse=True)
    timeframe, bridges_holes = strategy.timeframes[0], strategy.data.holes == "bridge"
    opens = {str(name): opens_of(bars[name][timeframe]) for name in names}
    places = np.zeros(len(rows), np.int64)
    for index, name in enumerate(opens):
        own = symbols == index
        places[own] = _find_bars(rows.timestamps[own], rows.spans[own], opens[name], name)
    clocks = {name: clock_for(strategy, name, bars[name], timeframe) for name in opens}
    holes = [() if bridges_holes else clocks[name].holes(own) for name, own in opens.items()]
    return Signals(
        part=rows.part,
        names=tuple(opens),
        symbols=symbols,
        rows=places,
        settled=places + rows.spans,
        positions=positions_for(rows.model.predicted, rows.class_names),
        look_back=int(rows.look_back.max()),
        clocks=tuple(clocks.values()),
        rows_after_holes=tuple(np.array([hole.row for hole in own], np.int64) for own in holes),
        bridges_holes=bridges_holes,
    )


def _find_bars(
    instants: NDArray[np.datetime64], spans: NDArray[np.int64], opens: NDArray[np.datetime64], name: str
) -> NDArray[np.int64]:
    """The places of `instants` [samples] among `opens` [bars]. Raises InputError where one or its label has no bar."""
    places = np.searchsorted(opens, instants)
    if (places + spans).max() >= len(opens) or (opens[places] != instants).any():
        raise InputError(f"the stored bars of {name} are no longer those that were predicted")
    return places
