"""A catalogue of TA-Lib's functions, made from TA-Lib's own metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import Fault, IndicatorNotFound, nearest
from ktrdr.features import plugin_features
from ktrdr.payloads.plugins import PluginDeclaration, Plugins, Unit
from ktrdr.plugins.loading import Plugin, find_plugin, loaded_plugins
from ktrdr.strategy.spec import INDICATOR_KEYS, Indicator

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]

BAR_COLUMNS = ("open", "high", "low", "close", "volume")
AVERAGES = {"hl2": ("high", "low"), "hlc3": ("high", "low", "close"), "ohlc4": ("open", "high", "low", "close")}

# The limits of TA-Lib's parameters, in any function.
MAX_INTEGER = 100_000
MAX_REAL = 3e37


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: float
    integer: bool


@dataclass(frozen=True, slots=True)
class IndicatorDescription:
    """One function.

    name, title, group: in lower case; TA-Lib's display name; TA-Lib's group
    inputs: columns that it reads by default
    parameters: with their defaults
    outputs: TA-Lib's names
    price_scale: whether an output grows with the prices
    enters_as: formula of the feature for each output
    warmup: undefined leading rows at the default parameters
    """

    name: str
    title: str
    group: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    price_scale: bool
    enters_as: tuple[str, ...]
    warmup: int


class Scale(Enum):
    """How an indicator's values scale with prices, and the formula that makes a scale-free feature of them.

    LEVEL: doubles when prices double, and TA-Lib flags it as on its input's scale (averages, bands)
    SIZE: doubles when prices double, without that flag (ranges, differences, deviations)
    SQUARE: quadruples when prices double (variances)
    OWN: anything else (oscillators, patterns, functions of volume alone)
    """

    LEVEL = "{} / close - 1"
    SIZE = "{} / close"
    SQUARE = "{} / close ** 2"
    OWN = "{}"

    def apply(self, values: Series, close: Series) -> Series:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self is Scale.LEVEL:
                return values / close - 1
            if self is Scale.SIZE:
                return values / close
            if self is Scale.SQUARE:
                return values / close**2
            return values


_SCALES_OF_UNITS: Mapping[Unit, Scale] = {
    "none": Scale.OWN,
    "price": Scale.LEVEL,
    "price difference": Scale.SIZE,
    "price squared": Scale.SQUARE,
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that an indicator makes."""

    name: str
    scale: Scale


@dataclass(frozen=True, slots=True)
class _Slot:
    column: str
    free: bool


class IndicatorCatalogue:
    """All of TA-Lib's functions by name, in any case, and the features that are plugins. May be shared by threads.

    `described` says what plugins there are, for a process that must not run them. By default those of the setting are
    loaded here, and of a resolved indicator the one that it was resolved with.
    """

    def __init__(self, described: Callable[[], Plugins] | None = None) -> None:
        self._described = described

    def plugins(self) -> Plugins:
        return (self._described or loaded_plugins)()

    def names(self) -> tuple[str, ...]:
        return (*_names(), *self.plugins().names("feature"))

    def describe(self, name: str) -> IndicatorDescription:
        """Raises IndicatorNotFound."""
        function = name.lower()
        if function not in _names():
            if found := self.plugins().find("feature", function):
                return _described_plugin(found[1])
            close = nearest(name, self.names())
            hint = f"did you mean {close!r}?" if close else "list them with: ktrdr indicators list"
            raise IndicatorNotFound(f"there is no indicator {name!r}", hint=hint)
        info, inputs = _info(function), tuple(slot.column for slot in _slots(function))
        scales = _scales(function, inputs)
        return IndicatorDescription(
            name=function,
            title=info["display_name"],
            group=info["group"],
            inputs=inputs,
            parameters=_parameters(function),
            outputs=tuple(info["output_names"]),
            price_scale=any(scale is not Scale.OWN for scale in scales),
            enters_as=tuple(scale.value.format(name) for scale, name in zip(scales, info["output_names"], strict=True)),
            warmup=_lookback(function, {}),
        )

    def check(self, indicator: Indicator) -> tuple[Fault, ...]:
        """All faults of one indicator. Paths are relative to it."""
        if not _is_talib(indicator):
            return tuple(plugin_features.faults(indicator, self.plugins(), self.names))
        faults = (*_parameter_faults(indicator), *_source_faults(indicator))
        return faults or tuple(_range_faults(indicator))

    def resolve(self, indicator: Indicator) -> Indicator:
        """The same indicator with canonical names and every default written out; it must have no faults."""
        if not _is_talib(indicator):
            return plugin_features.resolve(indicator, self.plugins())
        function = indicator.name.lower()
        parameters: dict[str, int | float] = {
            known.name: int(known.default) if known.integer else known.default for known in _parameters(function)
        }
        for key, value in indicator.parameters.items():
            name = _canonical(key)
            parameters[name] = value if isinstance(parameters[name], int) else float(value)
        return indicator.model_copy(update={"name": function, "parameters": parameters})

    def features(self, indicator: Indicator) -> tuple[Feature, ...]:
        """The columns that `compute` makes, in its order."""
        if not _is_talib(indicator):
            declared = self._declaration(indicator)
            names = plugin_features.column_names(indicator, declared)
            return tuple(Feature(name, _SCALES_OF_UNITS[declared.unit]) for name in names)
        function, outputs = indicator.name.lower(), _info(indicator.name.lower())["output_names"]
        base = indicator.as_ or _default_name(self.resolve(indicator))
        names = [base] if len(outputs) == 1 else [f"{base}.{output}" for output in outputs]
        scales = _scales(function, tuple(_columns(indicator)))
        return tuple(Feature(name, scale) for name, scale in zip(names, scales, strict=True))

    def feature_names(self, indicator: Indicator) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features(indicator))

    def warmup(self, indicator: Indicator) -> int:
        """Leading rows on which the indicator is undefined."""
        if not _is_talib(indicator):
            return plugin_features.warmup(self._plugin(indicator), dict(indicator.parameters))
        resolved = self.resolve(indicator)
        return _lookback(resolved.name, resolved.parameters) + ("returns" in _columns(indicator))

    def compute(self, indicator: Indicator, bars: pl.DataFrame) -> dict[str, Series]:
        """Compute TA-Lib's or a plugin's values for every bar: name -> [bars], float64, NaN in warm-up rows."""
        names = self.feature_names(indicator)
        if not _is_talib(indicator):
            columns = plugin_features.compute(self._plugin(indicator), dict(indicator.parameters), bars)
            return dict(zip(names, columns, strict=True))
        resolved, warmup = self.resolve(indicator), self.warmup(indicator)
        if bars.height <= warmup:
            return {name: np.full(bars.height, np.nan) for name in names}
        values = _call(resolved.name, [source_series(bars, name) for name in _columns(resolved)], resolved.parameters)
        columns = [np.asarray(each, dtype=np.float64) for each in values]
        for column in columns:
            column[:warmup] = np.nan  # TA-Lib fills integer outputs with zeros
        return dict(zip(names, columns, strict=True))

    def _declaration(self, indicator: Indicator) -> PluginDeclaration:
        """What its plugin declares. Raises PluginMismatch."""
        if self._described is None:
            return self._plugin(indicator).declaration
        found = self._described().find("feature", indicator.name.lower())
        assert found is not None
        return found[1]

    def _plugin(self, indicator: Indicator) -> Plugin:
        """The plugin that it was resolved with, or is to be. Raises PluginMismatch and PluginError."""
        sha256 = indicator.plugin or self.resolve(indicator).plugin
        assert sha256 is not None
        return find_plugin("feature", indicator.name.lower(), sha256)


def source_series(bars: pl.DataFrame, source: str) -> Series:
    """[bars], one source as contiguous float64. The first of `returns` is NaN."""
    if source == "returns":
        return log_returns(source_series(bars, "close"))
    if source in AVERAGES:
        columns = [source_series(bars, column) for column in AVERAGES[source]]
        return np.asarray(sum(columns[1:], columns[0]) / len(columns), dtype=np.float64)
    return np.ascontiguousarray(bars[source].to_numpy(), dtype=np.float64)


def log_returns(close: Series) -> Series:
    """ln(close[t] / close[t - 1]); the first is NaN."""
    returns = np.full(len(close), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns[1:] = np.log(close[1:] / close[:-1])
    return returns


# TA-Lib's metadata. talib imports pandas and polars, so it is imported on first use.


@cache
def _names() -> tuple[str, ...]:
    import talib

    return tuple(sorted(name.lower() for name in talib.get_functions()))


def _is_talib(indicator: Indicator) -> bool:
    return indicator.plugin is None and indicator.name.lower() in _names()


def _described_plugin(declared: PluginDeclaration) -> IndicatorDescription:
    outputs, scale = declared.outputs or (declared.name,), _SCALES_OF_UNITS[declared.unit]
    return IndicatorDescription(
        name=declared.name,
        title=declared.description or declared.name,
        group="Plugins",
        inputs=BAR_COLUMNS,
        parameters=tuple(
            Parameter(each.name, float(each.default), each.type == "integer") for each in declared.parameters
        ),
        outputs=outputs,
        price_scale=scale is not Scale.OWN,
        enters_as=tuple(scale.value.format(output) for output in outputs),
        warmup=declared.warmup,
    )


def _function(function: str) -> Any:
    from talib import abstract

    return abstract.Function(function)  # type: ignore[attr-defined]  # missing in its stub


@cache
def _info(function: str) -> dict[str, Any]:
    return dict(_function(function).info)


@cache
def _parameters(function: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, default, integer=isinstance(default, int))
        for name, default in _info(function)["parameters"].items()
    )


@cache
def _slots(function: str) -> tuple[_Slot, ...]:
    """Inputs in call order. Strings (`price`, `price0`, …) are free to choose; lists under `prices` are fixed."""
    slots: list[_Slot] = []
    for columns in _info(function)["input_names"].values():
        fixed = not isinstance(columns, str)
        slots += [_Slot(column, free=not fixed) for column in (columns if fixed else [columns])]
    return tuple(slots)


def _lookback(function: str, parameters: Mapping[str, int | float]) -> int:
    return _known_lookback(function, tuple(sorted(parameters.items())))


@lru_cache(maxsize=1024)
def _known_lookback(function: str, parameters: tuple[tuple[str, int | float], ...]) -> int:
    instance = _function(function)
    instance.parameters = dict(parameters)
    return int(instance.lookback)


def _call(function: str, inputs: Sequence[Series], parameters: Mapping[str, int | float]) -> tuple[Any, ...]:
    import talib

    values = getattr(talib, function.upper())(*inputs, **parameters)
    return values if isinstance(values, tuple) else (values,)


# Checks.


def _canonical(parameter: str) -> str:
    return "timeperiod" if parameter == "period" else parameter


def _parameter_faults(indicator: Indicator) -> Iterator[Fault]:
    function = indicator.name.lower()
    known = {parameter.name: parameter for parameter in _parameters(function)}
    if {"period", "timeperiod"} <= indicator.parameters.keys():
        yield Fault("period", "means timeperiod, which is set too; keep one of them", indicator.parameters["period"])
    for key, value in indicator.parameters.items():
        if (parameter := known.get(_canonical(key))) is None:
            yield _unknown_parameter(function, key, value, list(known))
        elif parameter.integer and not isinstance(value, int):
            yield Fault(key, f"must be a whole number; it is {value}", value)


def _unknown_parameter(function: str, key: str, value: Any, known: list[str]) -> Fault:
    short = ["period"] if "timeperiod" in known else []
    suggestion = nearest(key, [*known, *short, *INDICATOR_KEYS]) if key != "period" else None
    has = f"it has {', '.join(known)}" if known else "it has no parameters"
    return Fault(key, f"is not a parameter of {function}; {has}", value, suggestion)


def _source_faults(indicator: Indicator) -> Iterator[Fault]:
    function = indicator.name.lower()
    slots = _slots(function)
    free = [slot.column for slot in slots if slot.free]
    unknown = [column for column in free if column not in BAR_COLUMNS]
    reads = f"{function} reads {', '.join(slot.column for slot in slots)}"
    source, sources = indicator.source, indicator.sources
    names = len(sources or ())
    rules = (
        (
            source is not None and not free,
            Fault("source", f"is for functions of one free series; {reads}", source),
        ),
        (
            source is not None and len(free) > 1,
            Fault(
                "source",
                f"names one series, but the function reads several; {reads}; name them under sources",
                source,
            ),
        ),
        (
            sources is not None and len(free) < 2,
            Fault("sources", f"is for functions of several free series; {reads}"),
        ),
        (
            sources is not None and len(free) > 1 and names != len(free),
            Fault("sources", f"must name {len(free)} series; it names {names}"),
        ),
        (
            sources is None and unknown,
            Fault("sources", f"is required: {reads}, and bars have no {', '.join(unknown)}"),
        ),
    )
    return (fault for is_broken, fault in rules if is_broken)


def _range_faults(indicator: Indicator) -> Iterator[Fault]:
    function = indicator.name.lower()
    if _accepts(function, {_canonical(key): value for key, value in indicator.parameters.items()}):
        return
    parameters = {parameter.name: parameter for parameter in _parameters(function)}
    alone = {
        key: value for key, value in indicator.parameters.items() if not _accepts(function, {_canonical(key): value})
    }
    for key, value in alone.items():
        yield Fault(key, f"must be {_bound(function, parameters[_canonical(key)], value)}; it is {value}", value)
    if not alone:
        values = ", ".join(f"{key} {value}" for key, value in indicator.parameters.items())
        yield Fault("", f"has parameters that TA-Lib does not take together: {values}")


def _accepts(function: str, parameters: Mapping[str, int | float]) -> bool:
    """Whether TA-Lib takes these parameters. It has no list of ranges, so this calls the function."""
    inputs = [np.ones(2) for _ in _slots(function)]
    try:
        _call(function, inputs, parameters)
    except Exception:  # noqa: BLE001 - TA-Lib raises bare Exception for a bad parameter, OverflowError for a large one
        return False
    return True


def _bound(function: str, parameter: Parameter, refused: float) -> str:
    """The nearest accepted value to a refused one, by bisection from the default."""
    largest = 2 * MAX_INTEGER if parameter.integer else 2 * MAX_REAL
    accepted, bad = parameter.default, max(-largest, min(refused, largest))
    side = "at least" if bad < accepted else "at most"
    while abs(accepted - bad) > (1 if parameter.integer else 1e-9 * max(1.0, abs(accepted))):
        middle = (accepted + bad) // 2 if parameter.integer else (accepted + bad) / 2
        if _accepts(function, {parameter.name: middle}):
            accepted = middle
        else:
            bad = middle
    return f"{side} {accepted}" if parameter.integer else f"{side} {round(accepted, 6):g}"


# Names and scales.


def _columns(indicator: Indicator) -> list[str]:
    """The sources of the function's inputs: the user's choice in free slots, TA-Lib's columns elsewhere."""
    chosen = iter(indicator.sources or ((indicator.source,) if indicator.source else ()))
    return [next(chosen, slot.column) if slot.free else slot.column for slot in _slots(indicator.name.lower())]


def _default_name(indicator: Indicator) -> str:
    """`sma_20`, `macd_12_26_9`: all periods, and other parameters and sources that differ from the defaults."""
    parts = [indicator.name]
    for parameter in _parameters(indicator.name):
        value = indicator.parameters[parameter.name]
        if parameter.integer and parameter.name.endswith(("period", "period1", "period2", "period3")):
            parts.append(str(value))
        elif value != parameter.default:
            parts.append(f"{parameter.name}_{value:g}")
    usual = [slot.column for slot in _slots(indicator.name)]
    if (columns := _columns(indicator)) != usual:
        parts += [column for column, slot in zip(columns, _slots(indicator.name), strict=True) if slot.free]
    return "_".join(parts)


@cache
def _scales(function: str, columns: tuple[str, ...]) -> tuple[Scale, ...]:
    """How each output scales with prices, measured by doubling the prices among `columns`; see `Scale`."""
    is_level = "Output scale same as input" in (_info(function)["function_flags"] or [])
    once, twice = (_call(function, _sample(columns, factor), {}) for factor in (1.0, 2.0))
    return tuple(_scale(one, two, is_level) for one, two in zip(once, twice, strict=True))


def _scale(once: Series, twice: Series, is_level: bool) -> Scale:
    def grows(factor: float) -> bool:
        return np.allclose(twice, factor * once, rtol=1e-4, atol=0.0, equal_nan=True)

    if grows(1.0):  # also outputs that are always zero or undefined
        return Scale.OWN
    if grows(2.0):
        return Scale.LEVEL if is_level else Scale.SIZE
    return Scale.SQUARE if grows(4.0) else Scale.OWN


def _sample(columns: tuple[str, ...], factor: float) -> list[Series]:
    """Made-up series with prices times `factor`. The prices are large, so that TA-Lib's rounding is negligible."""
    import polars as pl

    time = np.arange(400, dtype=np.float64)
    close = 1e4 * (1 + 0.1 * np.sin(time / 7) + 0.03 * np.sin(1.7 * time))
    opening = np.roll(close, 1)
    prices = {
        "open": opening,
        "high": np.maximum(opening, close) * (1.01 + 0.005 * np.sin(time)),
        "low": np.minimum(opening, close) * (0.99 + 0.005 * np.cos(time)),
        "close": close,
    }
    own = {"volume": 1e6 * (2 + np.sin(time / 3)), "periods": np.full(400, 10.0)}
    frame = pl.DataFrame({**{name: factor * values for name, values in prices.items()}, **own})
    return [source_series(frame, name) for name in columns]
