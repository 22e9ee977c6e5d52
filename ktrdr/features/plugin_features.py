"""Features that are plugins: what a strategy may say of one, and its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import Fault, nearest
from ktrdr.payloads.plugins import PluginDeclaration, Plugins
from ktrdr.plugins import values
from ktrdr.plugins.failures import located
from ktrdr.plugins.loading import Plugin
from ktrdr.strategy.plugin_sections import hash_faults, parameter_faults, unusable_files
from ktrdr.strategy.spec import Indicator

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]


def faults(indicator: Indicator, plugins: Plugins, names: Callable[[], Sequence[str]]) -> Iterator[Fault]:
    """All faults of an indicator that is no function of TA-Lib; `names` are those that it may have."""
    found = plugins.find("feature", indicator.name.lower())
    if found is None:
        what = "a TA-Lib function or a plugin" if plugins.files else "a TA-Lib function"
        message = f"must be {what}; it is {indicator.name!r}{unusable_files(plugins)}"
        yield Fault("name", message, indicator.name, nearest(indicator.name, names()))
        return
    file, declared = found
    for key in ("source", "sources"):
        if getattr(indicator, key) is not None:
            yield Fault(key, f"is for functions of TA-Lib; the plugin {declared.name} reads bars")
    yield from hash_faults(indicator.plugin, file)
    yield from parameter_faults(declared, indicator.parameters)


def resolve(indicator: Indicator, plugins: Plugins) -> Indicator:
    """With all parameters and the hash of the plugin's file; it must have no faults."""
    found = plugins.find("feature", indicator.name.lower())
    assert found is not None
    file, declared = found
    parameters = declared.resolved(dict(indicator.parameters))
    return indicator.model_copy(update={"name": declared.name, "plugin": file.sha256, "parameters": parameters})


def column_names(indicator: Indicator, declared: PluginDeclaration) -> list[str]:
    """The names of its features, in the order of its outputs."""
    base = indicator.as_ or _default_name(indicator, declared)
    return [f"{base}.{output}" for output in declared.outputs] or [base]


def _default_name(indicator: Indicator, declared: PluginDeclaration) -> str:
    """`gap_20`: every whole number, and other parameters that differ from their defaults."""
    parts, chosen = [declared.name], declared.resolved(dict(indicator.parameters))
    for parameter in declared.parameters:
        value = chosen[parameter.name]
        if parameter.type == "integer":
            parts.append(str(value))
        elif value != parameter.default:
            parts.append(f"{parameter.name}_{value:g}")
    return "_".join(parts)


def warmup(plugin: Plugin, parameters: dict[str, Any]) -> int:
    """Leading rows without a value. Raises PluginError."""
    with located(plugin.file.path, f"warmup of {plugin.declaration.name}"):
        return plugin.fresh()[0].warmup_at(plugin.declaration.resolved(parameters))


def compute(plugin: Plugin, parameters: dict[str, Any], bars: pl.DataFrame) -> list[Series]:
    """One column for each output: [bars], float64, NaN where undefined and in the first `warmup` rows.

    Raises PluginError when the plugin raises, or does not return what it declares.
    """
    declared, function = plugin.fresh()
    resolved = plugin.declaration.resolved(parameters)
    with located(plugin.file.path, plugin.declaration.function):
        leading = declared.warmup_at(resolved)
        returned = function(bars, **resolved)
    checked = values.columns if plugin.declaration.outputs else _alone
    columns = checked(plugin, returned, bars.height)
    for column in columns:
        column[:leading] = np.nan
    return columns


def _alone(plugin: Plugin, returned: Any, rows: int) -> list[Series]:
    return [values.one_series(plugin, returned, rows)]
