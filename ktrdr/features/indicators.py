"""The catalogue of all that an entry of `indicators` may compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ktrdr.errors import Fault, InputError
from ktrdr.features.expressions.formulas import Formulas
from ktrdr.features.feature import Feature
from ktrdr.features.plugin_features import PluginFeatures
from ktrdr.features.sources import Series, source_series
from ktrdr.features.table_columns import TableColumns
from ktrdr.features.talib_functions import IndicatorDescription, TalibFunctions
from ktrdr.market.bars import check_symbol
from ktrdr.payloads.plugins import Plugins
from ktrdr.strategy.sections.indicators import Expression, Indicator, IndicatorEntry, PluginFeature, TableColumn

if TYPE_CHECKING:
    import polars as pl


E = TypeVar("E", bound=IndicatorEntry)


class IndicatorKind(Protocol):
    """What can be computed of one kind of entries, which are of one subclass of `IndicatorEntry`. Stateless."""

    def check(self, entry: Any) -> Sequence[Fault]:
        """All faults of one entry. Paths are relative to it."""

    def resolve(self, entry: Any) -> Any:
        """The same entry with canonical names and every default written out; it must have no faults."""

    def features(self, entry: Any) -> tuple[Feature, ...]:
        """The columns that `compute` makes, in its order."""

    def warmup(self, entry: Any) -> int:
        """Leading rows on which the entry is undefined."""

    def compute(self, entries: Sequence[Any], bars: pl.DataFrame) -> Iterator[dict[str, Series]]:
        """The values of each entry for every bar: name -> [bars], float64, NaN in warm-up rows."""


_TALIB = TalibFunctions()

_KINDS: Mapping[type[IndicatorEntry], IndicatorKind] = {
    Indicator: _TALIB,
    Expression: Formulas(),
    TableColumn: TableColumns(),
}


class IndicatorCatalogue:
    """All kinds of entries. May be shared by threads.

    `described` says what plugins there are, for a process that must not run them; see `PluginFeatures`.
    """

    def __init__(self, described: Callable[[], Plugins] | None = None) -> None:
        self._plugins = PluginFeatures(described)
        self._kinds: Mapping[type[IndicatorEntry], IndicatorKind] = {**_KINDS, PluginFeature: self._plugins}

    def prepare(self) -> None:
        """Do what takes long when something is asked for the first time."""
        self.names()
        self.plugins()

    def plugins(self) -> Plugins:
        """What the files of plugins declare."""
        return self._plugins.plugins()

    def names(self) -> tuple[str, ...]:
        """TA-Lib's functions."""
        return _TALIB.names()

    def describe(self, name: str) -> IndicatorDescription:
        """One of TA-Lib's functions, or a plugin that has no name of these. Raises IndicatorNotFound."""
        if name.lower() not in _TALIB.names():
            for described in self._plugins.describe():
                if described.name == name.lower():
                    return described
        return _TALIB.describe(name)

    def describe_all(self) -> list[IndicatorDescription]:
        """TA-Lib's functions and the plugins."""
        return [*map(_TALIB.describe, _TALIB.names()), *self._plugins.describe()]

    def check(self, entry: IndicatorEntry) -> Sequence[Fault]:
        return (*self._kinds[type(entry)].check(entry), *_symbol_faults(entry))

    def resolve(self, entry: E) -> E:
        resolved: E = self._kinds[type(entry)].resolve(entry)
        return resolved.model_copy(update={"symbol": check_symbol(entry.symbol)}) if entry.symbol else resolved

    def features(self, entry: IndicatorEntry) -> tuple[Feature, ...]:
        """The columns that the entry makes; those of another symbol end with its name."""
        features = self._kinds[type(entry)].features(entry)
        if not entry.symbol:
            return features
        return tuple(replace(feature, name=f"{feature.name}@{entry.symbol}") for feature in features)

    def feature_names(self, entry: IndicatorEntry) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features(entry))

    def warmup(self, entry: IndicatorEntry) -> int:
        return self._kinds[type(entry)].warmup(entry)

    def feature_columns(self, entry: IndicatorEntry, bars: pl.DataFrame) -> Iterator[Series]:
        """The columns of `features`, [bars] each, free of the scale of prices."""
        computed, close = self.compute(entry, bars).values(), source_series(bars, "close")
        return (each.scale.apply(own, close) for each, own in zip(self.features(entry), computed, strict=True))

    def compute(self, entry: IndicatorEntry, bars: pl.DataFrame) -> dict[str, Series]:
        """Values for every bar: name -> [bars], float64, NaN in warm-up rows."""
        return next(self.compute_all([entry], bars))

    def compute_all(self, entries: Sequence[IndicatorEntry], bars: pl.DataFrame) -> Iterator[dict[str, Series]]:
        """The values of each entry on the same bars, in order. Those of one kind are computed together."""
        computed = {
            kind: port.compute([entry for entry in entries if type(entry) is kind], bars)
            for kind, port in self._kinds.items()
        }
        return (next(computed[type(entry)]) for entry in entries)


def _symbol_faults(entry: IndicatorEntry) -> Iterator[Fault]:
    if not entry.symbol:
        return
    try:
        check_symbol(entry.symbol)
    except InputError as error:
        yield Fault("symbol", f"must be a symbol, {error.hint}; it is {entry.symbol!r}", entry.symbol)
