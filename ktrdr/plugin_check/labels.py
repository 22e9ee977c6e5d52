"""The contracts of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.features.labels.label import Measured
from ktrdr.features.labels.plugin import LabelPlugin
from ktrdr.features.leaks.counters import Tally
from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.label_checks import Outcomes
from ktrdr.features.leaks.truncation import is_same
from ktrdr.market.closings import closes_at, opens_at
from ktrdr.plugin_check.contract import Contract, ContractBroken
from ktrdr.plugin_check.series import TENFOLD, CheckedSeries, multiplied
from ktrdr.plugins.loading import Plugin
from ktrdr.strategy.sections.base import PluginLabel

if TYPE_CHECKING:
    import polars as pl

HORIZONS = (1, 5)
_LABELS = 32
_RELATIVE_TOLERANCE = 1e-6
# A class that is rarer could hardly be learned.
_LEAST_SHARE = 0.005


@dataclass(frozen=True, slots=True)
class LabelContracts:
    """The contracts of one label on one series of bars, at its default parameters and several horizons."""

    plugin: Plugin
    series: CheckedSeries

    def contracts(self) -> Iterator[Contract]:
        yield Contract("values", self.check_values, is_needed=True)
        yield Contract("deterministic", self.check_deterministic, is_needed=True)
        yield Contract("classes", self.check_classes)
        yield Contract("scale-free", self.check_scale)
        yield Contract("settles", self.check_settles)

    def check_values(self) -> None:
        """Raises PluginError where length or type are not those of bars, ContractBroken where nothing is known."""
        for horizon in HORIZONS:
            if not self._measure(horizon).known.any():
                raise ContractBroken(f"no bar has a label with a horizon of {horizon}")

    def check_deterministic(self) -> None:
        for horizon in HORIZONS:
            if not is_same(self._measure(horizon).values, self._measure(horizon).values):
                raise ContractBroken("it has other values when it is measured again from the same bars")

    def check_classes(self) -> None:
        for horizon in HORIZONS:
            spec, found = self._spec(horizon), self._measure(horizon)
            known = found.values[found.known]
            cuts = LabelPlugin().cuts(spec, known)
            if cuts is None:
                if known.std() == 0:
                    raise ContractBroken(f"all its targets are {known[0]:g} with a horizon of {horizon}")
                continue
            names = LabelPlugin().class_names(spec)
            shares = np.bincount(cuts.classify(known), minlength=len(names)) / len(known)
            if rare := [name for name, share in zip(names, shares, strict=True) if share < _LEAST_SHARE]:
                raise ContractBroken(f"hardly a bar is of the class {rare[0]} with a horizon of {horizon}")

    def check_scale(self) -> None:
        for what, columns in TENFOLD.items():
            frame = multiplied(self.series.frame, columns)
            for horizon in HORIZONS:
                one, other = self._measure(horizon).values, self._measure(horizon, frame).values
                if not np.allclose(one, other, rtol=_RELATIVE_TOLERANCE, atol=1e-9, equal_nan=True):
                    raise ContractBroken(f"it changes when all {what} are ten times as large")

    def check_settles(self) -> None:
        """Raises ContractBroken with the leak gate's own words."""
        timeframe, frame = self.series.timeframe, self.series.frame
        opens, closes = opens_at(frame), closes_at(frame, timeframe, None)
        history = History({timeframe: frame}, timeframe, {timeframe: opens}, {timeframe: closes})
        for horizon in HORIZONS:
            rows = np.linspace(0, frame.height - horizon - 2, _LABELS).astype(np.int64)
            outcomes = Outcomes(self._spec(horizon), self.series.symbol, LabelPlugin().measure, Tally())
            for leak in outcomes.leaks(history, rows):
                raise ContractBroken(leak.message)

    def _measure(self, horizon: int, frame: pl.DataFrame | None = None) -> Measured:
        return LabelPlugin().measure(self._spec(horizon), self.series.frame if frame is None else frame)

    def _spec(self, horizon: int) -> PluginLabel:
        declared = self.plugin.declaration
        spec = PluginLabel(
            type=declared.name, horizon=horizon, sha256=self.plugin.file.sha256, classes=declared.classes
        )
        return spec.model_copy(update={"parameters": declared.resolved({})})
