"""Where a follower's bars come from: the home's stores, and what brings new bars into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from ktrdr.errors import KtrdrError
from ktrdr.features.inputs import with_other_series
from ktrdr.features.other_series import other_keys
from ktrdr.home import Home
from ktrdr.market.loading import Unwatched, Wanted, load
from ktrdr.market.other_series import SeriesKey
from ktrdr.market.providers import Sources, provider_for
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore

if TYPE_CHECKING:
    from ktrdr.market.series_file import StoredBars
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class Inputs:
    """What features and labels of one symbol are made of.

    bars: of every timeframe, with the other series that the strategy reads
    base: the stored series of the base timeframe, which says how its days open
    """

    bars: SymbolBars
    base: StoredBars


@dataclass(frozen=True, slots=True)
class _Held:
    """Inputs of one symbol, and what changes when they or a calendar do."""

    version: tuple[str, ...]
    inputs: Inputs


@dataclass(slots=True)
class StoredSource:
    """Inputs as they are stored, from one day on; they are read anew only when something of them has changed."""

    home: Home
    strategy: Strategy
    start: date | None
    _held: dict[str, _Held] = field(default_factory=dict)

    @property
    def store(self) -> BarStore:
        return BarStore(self.home.bars)

    def series(self, symbol: str) -> list[SeriesKey]:
        """All bars that a prediction of the symbol reads; its own come first, the shortest of them at the front."""
        return [*(SeriesKey(symbol, each) for each in self.strategy.timeframes), *other_keys(self.strategy)]

    def read(self, symbol: str) -> Inputs:
        """Raises SeriesNotFound, TableNotFound, InputError and StorageError."""
        version, held = self._version(symbol), self._held.get(symbol)
        if held is None or held.version != version:
            held = self._held[symbol] = _Held(version, self._read(symbol))
        return held.inputs

    def _version(self, symbol: str) -> tuple[str, ...]:
        store, tables, series = self.store, TableStore(self.home.tables), self.series(symbol)
        names = sorted({each.table for each in self.strategy.table_columns})
        return (
            *(store.info(*key).version for key in series),
            *(store.calendar(name) or "" for name in dict.fromkeys(key.symbol for key in series)),
            *(tables.info(name).sha256 for name in names),
        )

    def _read(self, symbol: str) -> Inputs:
        store, strategy = self.store, self.strategy
        stored = {str(each): store.read_stored(symbol, each, self.start) for each in strategy.timeframes}
        bars = with_other_series(
            strategy,
            {symbol: SymbolBars.of(stored)},
            lambda other, timeframe: store.read_stored(other, timeframe, self.start),
            TableStore(self.home.tables).read,
        )
        return Inputs(bars[symbol], stored[strategy.timeframes[0]])


@dataclass(frozen=True, slots=True)
class Loads:
    """Loads what has closed since the last stored bar of each series, from the provider of that series."""

    source: StoredSource
    symbols: Sequence[str]
    sources: Sources
    on_trouble: Callable[[str], None]

    def __call__(self) -> None:
        for key in dict.fromkeys(key for symbol in self.symbols for key in self.source.series(symbol)):
            try:
                self._load(key)
            except KtrdrError as error:
                self.on_trouble(f"{key}: {error.detail}")

    def _load(self, key: SeriesKey) -> None:
        store = self.source.store
        stored = store.info(*key)
        provider = provider_for("auto", stored, self.sources)
        wanted = Wanted(key.symbol, key.timeframe, start=stored.last.date(), clips=True)
        if failure := load(store, provider, wanted, Unwatched()).failure:
            raise failure
