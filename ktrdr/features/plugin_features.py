"""Features that are plugins: what a strategy may say of one, and its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ktrdr.errors import Fault, nearest
from ktrdr.features.feature import Feature, Scale
from ktrdr.features.sources import BAR_COLUMNS, Series
from ktrdr.features.talib_functions import IndicatorDescription
from ktrdr.features.talib_metadata import Parameter
from ktrdr.payloads.plugins import PluginDeclaration, PluginFile, Plugins, Unit
from ktrdr.plugins import values
from ktrdr.plugins.failures import located
from ktrdr.plugins.loading import Plugin, find_plugin, loaded_plugins
from ktrdr.strategy.plugin_sections import hash_faults, parameter_faults, unusable_files
from ktrdr.strategy.sections.indicators import PluginFeature

if TYPE_CHECKING:
    import polars as pl

PLUGINS = "Plugins"
"""The group of these among the indicators."""

_SCALES: Mapping[Unit, Scale] = {
    "none": Scale.OWN,
    "price": Scale.LEVEL,
    "price difference": Scale.SIZE,
    "price squared": Scale.SQUARE,
}


class PluginFeatures:
    """The kind of entries whose values a plugin computes.

    `described` says what plugins there are, for a process that must not run them. By default those of the setting are
    loaded here, and of a resolved entry the one that it was resolved with.
    """

    def __init__(self, described: Callable[[], Plugins] | None = None) -> None:
        self._described = described

    def plugins(self) -> Plugins:
        return (self._described or loaded_plugins)()

    def check(self, entry: PluginFeature) -> Sequence[Fault]:
        plugins = self.plugins()
        found = plugins.find("feature", entry.plugin)
        if found is None:
            known = plugins.names("feature")
            rule = f"be one of {', '.join(known)}" if known else "be a feature of a file that KTRDR_PLUGINS names"
            message = f"must {rule}; it is {entry.plugin!r}{unusable_files(plugins)}"
            return [Fault("plugin", message, entry.plugin, nearest(entry.plugin, known))]
        file, declared = found
        return [*hash_faults(entry.sha256, file), *parameter_faults(declared, entry.parameters)]

    def resolve(self, entry: PluginFeature) -> PluginFeature:
        file, declared = self._found(entry)
        parameters = declared.resolved(entry.parameters)
        return entry.model_copy(update={"sha256": file.sha256, "parameters": parameters})

    def features(self, entry: PluginFeature) -> tuple[Feature, ...]:
        declared = self._declaration(entry)
        base, scale = entry.as_ or _default_name(entry, declared), _SCALES[declared.unit]
        names = [f"{base}.{output}" for output in declared.outputs] or [base]
        return tuple(Feature(name, scale) for name in names)

    def warmup(self, entry: PluginFeature) -> int:
        """Raises PluginMismatch and PluginError."""
        plugin = self._plugin(entry)
        with located(plugin.file.path, f"warmup of {entry.plugin}"):
            return plugin.fresh()[0].warmup_at(plugin.declaration.resolved(entry.parameters))

    def compute(self, entries: Sequence[PluginFeature], bars: pl.DataFrame) -> Iterator[dict[str, Series]]:
        """Raises PluginMismatch, and PluginError when a plugin raises, or does not return what it declares."""
        for entry in entries:
            names = [feature.name for feature in self.features(entry)]
            yield dict(zip(names, _columns(self._plugin(entry), entry.parameters, bars), strict=True))

    def describe(self) -> list[IndicatorDescription]:
        return [_describe(declared) for declared in self.plugins().declared("feature")]

    def _declaration(self, entry: PluginFeature) -> PluginDeclaration:
        return self._plugin(entry).declaration if self._described is None else self._found(entry)[1]

    def _plugin(self, entry: PluginFeature) -> Plugin:
        """The plugin that it was resolved with, or is to be."""
        return find_plugin("feature", entry.plugin, entry.sha256 or self._found(entry)[0].sha256)

    def _found(self, entry: PluginFeature) -> tuple[PluginFile, PluginDeclaration]:
        """The declaration of an entry without faults."""
        found = self.plugins().find("feature", entry.plugin)
        assert found is not None
        return found


def _describe(declared: PluginDeclaration) -> IndicatorDescription:
    outputs, scale = declared.outputs or (declared.name,), _SCALES[declared.unit]
    return IndicatorDescription(
        name=declared.name,
        title=declared.description or declared.name,
        group=PLUGINS,
        inputs=BAR_COLUMNS,
        parameters=tuple(
            Parameter(each.name, float(each.default), integer=each.type == "integer") for each in declared.parameters
        ),
        outputs=outputs,
        price_scale=scale is not Scale.OWN,
        enters_as=tuple(scale.value.format(output) for output in outputs),
        warmup=declared.warmup,
    )


def _default_name(entry: PluginFeature, declared: PluginDeclaration) -> str:
    """`gap_20`: every whole number, and other parameters that differ from their defaults."""
    parts, chosen = [declared.name], declared.resolved(entry.parameters)
    for parameter in declared.parameters:
        value = chosen[parameter.name]
        if parameter.type == "integer":
            parts.append(str(value))
        elif value != parameter.default:
            parts.append(f"{parameter.name}_{value:g}")
    return "_".join(parts)


def _columns(plugin: Plugin, parameters: Mapping[str, Any], bars: pl.DataFrame) -> list[Series]:
    """One column for each output: [bars], float64, NaN where undefined and in the first `warmup` rows."""
    declared, function = plugin.fresh()
    resolved = plugin.declaration.resolved(parameters)
    with located(plugin.file.path, plugin.declaration.function):
        leading = declared.warmup_at(resolved)
        returned = function(bars, **resolved)
    columns = _checked(plugin, returned, bars.height)
    for column in columns:
        column[:leading] = np.nan
    return columns


def _checked(plugin: Plugin, returned: Any, rows: int) -> list[Series]:
    if plugin.declaration.outputs:
        return values.columns(plugin, returned, rows)
    return [values.one_series(plugin, returned, rows)]
