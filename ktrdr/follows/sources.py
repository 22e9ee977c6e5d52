"""Where a follower's bars come from: the store, and what brings new ones into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from ktrdr.errors import KtrdrError
from ktrdr.market.loading import Unwatched, Wanted, load
from ktrdr.market.providers import Sources, provider_for
from ktrdr.market.store import BarStore

if TYPE_CHECKING:
    from ktrdr.market.series_file import StoredBars
    from ktrdr.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class _Held:
    """Bars of one symbol, and what changes when they or their calendar do."""

    version: tuple[str, ...]
    bars: Mapping[str, StoredBars]


@dataclass(slots=True)
class StoredSource:
    """Stored bars of every timeframe from one day on, which are read anew only when they have changed."""

    store: BarStore
    timeframes: Sequence[Timeframe]
    start: date | None
    _held: dict[str, _Held] = field(default_factory=dict)

    def read(self, symbol: str) -> Mapping[str, StoredBars]:
        """By timeframe, the shortest first. Raises SeriesNotFound, InputError and StorageError."""
        versions = (self.store.info(symbol, each).version for each in self.timeframes)
        version = (*versions, self.store.calendar(symbol) or "")
        held = self._held.get(symbol)
        if held is None or held.version != version:
            bars = {str(each): self.store.read_stored(symbol, each, self.start) for each in self.timeframes}
            held = self._held[symbol] = _Held(version, bars)
        return held.bars


@dataclass(frozen=True, slots=True)
class Loads:
    """Loads what has closed since the last stored bar of each series, from the provider of that series."""

    store: BarStore
    symbols: Sequence[str]
    timeframes: Sequence[Timeframe]
    sources: Sources
    on_trouble: Callable[[str], None]

    def __call__(self) -> None:
        for symbol in self.symbols:
            for timeframe in self.timeframes:
                try:
                    self._load(symbol, timeframe)
                except KtrdrError as error:
                    self.on_trouble(f"{symbol} {timeframe}: {error.detail}")

    def _load(self, symbol: str, timeframe: Timeframe) -> None:
        stored = self.store.info(symbol, timeframe)
        provider = provider_for("auto", stored, self.sources)
        wanted = Wanted(symbol, timeframe, start=stored.last.date(), clips=True)
        if failure := load(self.store, provider, wanted, Unwatched()).failure:
            raise failure
