"""Labels that are plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts, Measured, measured, settled_after
from ktrdr.plugins.failures import located
from ktrdr.plugins.loading import Plugin, find_plugin
from ktrdr.plugins.values import one_series

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.sections.base import PluginLabel


class LabelPlugin:
    """Measures what the plugin's function returns; each bar's label is settled `horizon` bars after it."""

    type = "plugin"

    def measure(self, spec: PluginLabel, bars: pl.DataFrame) -> Measured:
        plugin = _plugin(spec)
        _, function = plugin.fresh()
        with located(plugin.file.path, plugin.declaration.function):
            returned = function(bars, spec.horizon, **spec.parameters)
        return measured(one_series(plugin, returned, bars.height), settled_after(spec.horizon, bars.height))

    def cuts(self, spec: PluginLabel, training_values: NDArray[np.float64]) -> Cuts | None:
        borders = _plugin(spec).declaration.cuts
        if not borders:
            return None
        *low, high = borders
        return Cuts(low[0] if low else None, high)

    def class_names(self, spec: PluginLabel) -> tuple[str, ...]:
        return _plugin(spec).declaration.classes


def _plugin(spec: PluginLabel) -> Plugin:
    """Raises PluginMismatch when its file has changed or is missing."""
    return find_plugin("label", spec.type, spec.sha256 or "")
