"""The contracts of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.features.columns import Columns, build_features
from ktrdr.features.leaks.counters import Tally
from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.truncation import Truncation, is_same
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.plugins import PluginParameter
from ktrdr.plugin_check.contract import Contract, ContractBroken
from ktrdr.plugin_check.series import PRICES, TENFOLD, CheckedSeries, multiplied
from ktrdr.plugins.loading import Plugin
from ktrdr.strategy.sections.indicators import PluginFeature
from ktrdr.strategy.sections.model import MLP
from ktrdr.strategy.spec import Features, Strategy

Values = NDArray[np.float64]

# Of the sums of a rolling window over other magnitudes.
_RELATIVE_TOLERANCE = 1e-6
_INSTANTS = 32


@dataclass(frozen=True, slots=True)
class FeatureContracts:
    """The contracts of one feature on one series of bars, at its default parameters."""

    plugin: Plugin
    series: CheckedSeries

    def contracts(self) -> Iterator[Contract]:
        yield Contract("values", self.check_values, is_needed=True)
        yield Contract("deterministic", self.check_deterministic, is_needed=True)
        yield Contract("warm-up", self.check_warmup)
        yield Contract("parameters", self.check_parameters)
        yield Contract("scale-free", self.check_scale)
        yield Contract("causal", self.check_causal)

    def check_values(self) -> None:
        """Raises PluginError where length, type or names are not those declared."""
        self._build()

    def check_deterministic(self) -> None:
        once, again = self._build(), self._build()
        for name, one, other in zip(once.names, once.values.T, again.values.T, strict=True):
            if not is_same(one, other):
                raise ContractBroken(f"{name} has other values when it is computed again from the same bars")

    def check_warmup(self) -> None:
        self._check_finite(self._build(), "")

    def check_parameters(self) -> None:
        """The same at the least value of each parameter that has one."""
        for parameter in self.plugin.declaration.parameters:
            least = _least(parameter)
            if least is not None:
                built = self._build(parameters={parameter.name: least})
                self._check_finite(built, f" with {parameter.name} {least:g}")

    def check_scale(self) -> None:
        usual = self._build()
        for what, columns in TENFOLD.items():
            scaled = self._build(multiplied(self.series.frame, columns))
            for name, one, other in zip(usual.names, usual.values.T, scaled.values.T, strict=True):
                if not _is_close(one, other):
                    unit = '; declare it with unit="price", or divide it by the close' if columns == PRICES else ""
                    raise ContractBroken(f"{name} changes when all {what} are ten times as large{unit}")

    def check_causal(self) -> None:
        """Raises ContractBroken with the leak gate's own words."""
        strategy, bars = self._strategy({}), SymbolBars({self.series.timeframe: self.series.frame})
        history, whole = History.of(strategy, bars), build_features(strategy, bars)
        truncation = Truncation(
            strategy, self.series.symbol, build_features, Tally(), lambda: True, knows_label=lambda _: False
        )
        # The longest history shows best of which kind a leak is.
        if leaks := list(truncation.leaks(history, whole, self._instants(whole.warmup))):
            raise ContractBroken(leaks[-1].message)

    def _instants(self, warmup: int) -> NDArray[np.int64]:
        """Rows in the warm-up, at its end, and evenly over the rest, the last but one included."""
        last = self.series.frame.height - 2
        near = [warmup // 2, warmup, warmup + 1]
        even = np.linspace(min(warmup, last), last, _INSTANTS).astype(np.int64)
        return np.unique(np.clip([*near, *even], 0, last)).astype(np.int64)

    def _build(self, frame: pl.DataFrame | None = None, parameters: Mapping[str, Any] | None = None) -> Columns:
        bars = self.series.frame if frame is None else frame
        return build_features(self._strategy(parameters or {}), SymbolBars({self.series.timeframe: bars}))

    def _strategy(self, parameters: Mapping[str, Any]) -> Strategy:
        declared = self.plugin.declaration
        entry = PluginFeature.model_validate({"plugin": declared.name, "sha256": self.plugin.file.sha256})
        resolved = entry.model_copy(update={"parameters": declared.resolved(dict(parameters))})
        return Strategy(
            name="check",
            timeframes=(self.series.timeframe,),
            model=MLP(type="mlp", sequence_length=1),
            features=Features(returns=False),
            indicators=(resolved,),
        )

    def _check_finite(self, built: Columns, where: str) -> None:
        rows = len(built.values)
        if built.warmup >= rows:
            raise ContractBroken(f"its warm-up is {built.warmup:,} bars{where}, and there are {rows:,}")
        for name, column in zip(built.names, built.values[built.warmup :].T, strict=True):
            missing = np.flatnonzero(~np.isfinite(column))
            if len(missing):
                row = built.warmup + int(missing[0])
                raise ContractBroken(
                    f"{name} is {column[missing[0]]} at bar {row:,}{where}, after a warm-up of {built.warmup:,}; "
                    f"it is not finite at {len(missing):,} of {len(column):,} bars"
                )


def _least(parameter: PluginParameter) -> float | None:
    if parameter.ge is None:
        return None
    return int(parameter.ge) if parameter.type == "integer" else parameter.ge


def _is_close(one: Values, other: Values) -> bool:
    finite = one[np.isfinite(one)]
    tolerance = _RELATIVE_TOLERANCE * float(np.abs(finite).max(initial=0.0))
    return np.allclose(one, other, rtol=_RELATIVE_TOLERANCE, atol=tolerance, equal_nan=True)
