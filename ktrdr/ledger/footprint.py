"""The bars that a look has evaluated, by their content: when each closed, and at which price."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.market import closings
from ktrdr.market.sessions import instant
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.evaluation.signals import Signals
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy

Instants = NDArray[np.datetime64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """The evaluated bars of one symbol, without its name.

    length: of a bar
    instants: [bars], closing instants (us, UTC), rising
    closes: [bars], closing prices
    """

    length: np.timedelta64
    instants: Instants
    closes: Floats

    @classmethod
    def of(cls, timeframe: Timeframe, instants: Instants, closes: Floats) -> Track:
        """Bars in any order; an instant that comes twice is taken once."""
        distinct, places = np.unique(instants.astype("datetime64[us]"), return_index=True)
        return cls(np.timedelta64(timeframe.length), distinct, closes[places].astype(np.float64))

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256(str(microseconds(self.length)).encode())
        digest.update(self.instants.tobytes())
        digest.update(self.closes.tobytes())
        return digest.hexdigest()


def microseconds(length: np.timedelta64) -> int:
    return int(length.astype("timedelta64[us]").astype(np.int64))


@dataclass(frozen=True, eq=False)
class Footprint:
    """The evaluated bars of every symbol; their order says nothing."""

    tracks: tuple[Track, ...]

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256("".join(sorted(track.sha256 for track in self.tracks)).encode()).hexdigest()

    @property
    def first(self) -> datetime:
        """Close of the first bar."""
        return instant(min(track.instants[0] for track in self.tracks))

    @property
    def last(self) -> datetime:
        """Close of the last bar."""
        return instant(max(track.instants[-1] for track in self.tracks))


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedBars:
    """The bars on which the samples of a part end. Every array is [samples], in the order of the part.

    timeframe: of the bars
    instants: closing instants (us, UTC)
    closes: closing prices
    symbols: index of the sample's symbol
    """

    timeframe: Timeframe
    instants: Instants
    closes: Floats
    symbols: NDArray[np.int64]

    @classmethod
    def of(cls, strategy: Strategy, dataset: Dataset, part: Part, bars: Mapping[str, SymbolBars]) -> EvaluatedBars:
        """`bars` maps each symbol to the bars that the dataset was made of."""
        return cls.of_rows(strategy, dataset.symbols, part.symbols, part.rows, bars)

    @classmethod
    def of_signals(cls, strategy: Strategy, signals: Signals, bars: Mapping[str, SymbolBars]) -> EvaluatedBars:
        """Of samples of several folds; `bars` maps each symbol to the bars whose rows `signals` names."""
        return cls.of_rows(strategy, signals.names, signals.symbols, signals.rows, bars)

    @classmethod
    def of_rows(
        cls,
        strategy: Strategy,
        names: Sequence[str],
        symbols: NDArray[np.int64],
        rows: NDArray[np.int64],
        bars: Mapping[str, SymbolBars],
    ) -> EvaluatedBars:
        """Of samples that end at `rows` [samples] of the symbols, whose number in `names` `symbols` [samples] holds."""
        timeframe = strategy.timeframes[0]
        instants = np.empty(len(rows), "datetime64[us]")
        closes = np.empty(len(rows))
        for number, own in _by_symbol(symbols).items():
            frame = bars[names[number]][timeframe]
            instants[own] = closings.closes_at(frame, timeframe, strategy.calendar)[rows[own]]
            closes[own] = frame["close"].to_numpy()[rows[own]]
        return cls(timeframe, instants, closes, symbols)

    @property
    def footprint(self) -> Footprint:
        groups = _by_symbol(self.symbols).values()
        return Footprint(tuple(Track.of(self.timeframe, self.instants[own], self.closes[own]) for own in groups))


def _by_symbol(symbols: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """The samples of each symbol, which may stand in any order, by its number."""
    order = np.argsort(symbols, kind="stable")
    numbers, begins = np.unique(symbols[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, begins[1:]), strict=True))
