"""TA-Lib's functions, by TA-Lib's own metadata: their parameters, inputs, scales and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ktrdr.errors import Fault, IndicatorNotFound, nearest
from ktrdr.features import talib_metadata as talib
from ktrdr.features.feature import Feature, Scale
from ktrdr.features.sources import BAR_COLUMNS, Series, source_series
from ktrdr.strategy.sections.indicators import Indicator

if TYPE_CHECKING:
    import polars as pl


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
    parameters: tuple[talib.Parameter, ...]
    outputs: tuple[str, ...]
    price_scale: bool
    enters_as: tuple[str, ...]
    warmup: int


@dataclass(frozen=True, slots=True)
class _Compiled:
    """All about one indicator that does not depend on bars, so that many symbols share it.

    resolved: with canonical names and every default
    sources: what the function's inputs read
    features: its columns
    warmup: leading rows on which it is undefined
    """

    resolved: Indicator
    sources: tuple[str, ...]
    features: tuple[Feature, ...]
    warmup: int


class TalibFunctions:
    """All of TA-Lib's functions by name, in any case. Stateless, so it may be shared by threads."""

    def names(self) -> tuple[str, ...]:
        return talib.names()

    def describe(self, name: str) -> IndicatorDescription:
        """Raises IndicatorNotFound."""
        function = name.lower()
        if function not in talib.names():
            close = nearest(name, talib.names())
            hint = f"did you mean {close!r}?" if close else "list them with: ktrdr indicators list"
            raise IndicatorNotFound(f"there is no indicator {name!r}", hint=hint)
        info, inputs = talib.info(function), tuple(slot.column for slot in talib.input_slots(function))
        scales = _scales(function, inputs)
        return IndicatorDescription(
            name=function,
            title=info["display_name"],
            group=info["group"],
            inputs=inputs,
            parameters=talib.known_parameters(function),
            outputs=tuple(info["output_names"]),
            price_scale=any(scale is not Scale.OWN for scale in scales),
            enters_as=tuple(scale.value.format(name) for scale, name in zip(scales, info["output_names"], strict=True)),
            warmup=talib.lookback(function, {}),
        )

    def check(self, indicator: Indicator) -> tuple[Fault, ...]:
        """All faults of one indicator. Paths are relative to it."""
        if indicator.name.lower() not in talib.names():
            suggestion = nearest(indicator.name, talib.names())
            return (Fault("name", f"must be a TA-Lib function; it is {indicator.name!r}", indicator.name, suggestion),)
        faults = (*_parameter_faults(indicator), *_source_faults(indicator))
        return faults or tuple(_range_faults(indicator))

    def resolve(self, indicator: Indicator) -> Indicator:
        """The same indicator with canonical names and every default written out; it must have no faults."""
        return _compiled(indicator).resolved

    def features(self, indicator: Indicator) -> tuple[Feature, ...]:
        """The columns that `compute` makes, in its order."""
        return _compiled(indicator).features

    def feature_names(self, indicator: Indicator) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features(indicator))

    def warmup(self, indicator: Indicator) -> int:
        """Leading rows on which the indicator is undefined."""
        return _compiled(indicator).warmup

    def compute(self, indicators: Sequence[Indicator], bars: pl.DataFrame) -> Iterator[dict[str, Series]]:
        """Compute TA-Lib's values for every bar: name -> [bars], float64, NaN in warm-up rows."""
        return (self._compute(indicator, bars) for indicator in indicators)

    def _compute(self, indicator: Indicator, bars: pl.DataFrame) -> dict[str, Series]:
        compiled = _compiled(indicator)
        names = [feature.name for feature in compiled.features]
        if bars.height <= compiled.warmup:
            return {name: np.full(bars.height, np.nan) for name in names}
        inputs = [source_series(bars, name) for name in compiled.sources]
        values = talib.call(compiled.resolved.name, inputs, compiled.resolved.parameters)
        columns = [np.asarray(each, dtype=np.float64) for each in values]
        for column in columns:
            column[: compiled.warmup] = np.nan  # TA-Lib fills integer outputs with zeros
        return dict(zip(names, columns, strict=True))


# Checks.


def _parameter_faults(indicator: Indicator) -> Iterator[Fault]:
    function = indicator.name.lower()
    known = {parameter.name: parameter for parameter in talib.known_parameters(function)}
    if {"period", "timeperiod"} <= indicator.parameters.keys():
        yield Fault("period", "means timeperiod, which is set too; keep one of them", indicator.parameters["period"])
    for key, value in indicator.parameters.items():
        if (parameter := known.get(talib.canonical(key))) is None:
            yield _unknown_parameter(function, key, value, list(known))
        elif parameter.integer and not isinstance(value, int):
            yield Fault(key, f"must be a whole number; it is {value}", value)


def _unknown_parameter(function: str, key: str, value: Any, known: list[str]) -> Fault:
    short = ["period"] if "timeperiod" in known else []
    suggestion = nearest(key, [*known, *short, *Indicator.keys]) if key != "period" else None
    has = f"it has {', '.join(known)}" if known else "it has no parameters"
    return Fault(key, f"is not a parameter of {function}; {has}", value, suggestion)


def _source_faults(indicator: Indicator) -> Iterator[Fault]:
    function = indicator.name.lower()
    slots = talib.input_slots(function)
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
    if _accepts(function, {talib.canonical(key): value for key, value in indicator.parameters.items()}):
        return
    parameters = {parameter.name: parameter for parameter in talib.known_parameters(function)}
    alone = {
        key: value
        for key, value in indicator.parameters.items()
        if not _accepts(function, {talib.canonical(key): value})
    }
    for key, value in alone.items():
        bound = _bound(function, parameters[talib.canonical(key)], value)
        yield Fault(key, f"must be {bound}; it is {value}", value)
    if not alone:
        values = ", ".join(f"{key} {value}" for key, value in indicator.parameters.items())
        yield Fault("", f"has parameters that TA-Lib does not take together: {values}")


def _accepts(function: str, parameters: Mapping[str, int | float]) -> bool:
    """Whether TA-Lib takes these parameters. It has no list of ranges, so this calls the function."""
    inputs = [np.ones(2) for _ in talib.input_slots(function)]
    try:
        talib.call(function, inputs, parameters)
    except Exception:  # noqa: BLE001 - TA-Lib raises bare Exception for a bad parameter, OverflowError for a large one
        return False
    return True


def _bound(function: str, parameter: talib.Parameter, refused: float) -> str:
    """The nearest accepted value to a refused one, by bisection from the default."""
    largest = 2 * talib.MAX_INTEGER if parameter.integer else 2 * talib.MAX_REAL
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


@lru_cache(maxsize=1024)
def _compiled(indicator: Indicator) -> _Compiled:
    """The indicator must have no faults."""
    resolved, sources = _resolved(indicator), tuple(_columns(indicator))
    warmup = talib.lookback(resolved.name, resolved.parameters) + ("returns" in sources)
    return _Compiled(resolved, sources, _features(resolved, sources), warmup)


def _resolved(indicator: Indicator) -> Indicator:
    function = indicator.name.lower()
    defaults = talib.known_parameters(function)
    parameters: dict[str, int | float] = {
        known.name: int(known.default) if known.integer else known.default for known in defaults
    }
    for key, value in indicator.parameters.items():
        name = talib.canonical(key)
        parameters[name] = value if isinstance(parameters[name], int) else float(value)
    return indicator.model_copy(update={"name": function, "parameters": parameters})


def _features(resolved: Indicator, sources: tuple[str, ...]) -> tuple[Feature, ...]:
    base, own = resolved.as_ or _default_name(resolved), talib.outputs(resolved.name)
    names = [base] if len(own) == 1 else [f"{base}.{output}" for output in own]
    return tuple(Feature(*pair) for pair in zip(names, _scales(resolved.name, sources), strict=True))


def _columns(indicator: Indicator) -> list[str]:
    """The sources of the function's inputs: the user's choice in free slots, TA-Lib's columns elsewhere."""
    chosen = iter(indicator.sources or ((indicator.source,) if indicator.source else ()))
    return [
        next(chosen, slot.column) if slot.free else slot.column for slot in talib.input_slots(indicator.name.lower())
    ]


def _default_name(indicator: Indicator) -> str:
    """`sma_20`, `macd_12_26_9`: all periods, and other parameters and sources that differ from the defaults."""
    parts = [indicator.name]
    for parameter in talib.known_parameters(indicator.name):
        value = indicator.parameters[parameter.name]
        if parameter.integer and parameter.name.endswith(("period", "period1", "period2", "period3")):
            parts.append(str(value))
        elif value != parameter.default:
            parts.append(f"{parameter.name}_{value:g}")
    usual = [slot.column for slot in talib.input_slots(indicator.name)]
    if (columns := _columns(indicator)) != usual:
        parts += [column for column, slot in zip(columns, talib.input_slots(indicator.name), strict=True) if slot.free]
    return "_".join(parts)


@cache
def _scales(function: str, columns: tuple[str, ...]) -> tuple[Scale, ...]:
    """How each output scales with prices, measured by doubling the prices among `columns`; see `Scale`."""
    is_level = "Output scale same as input" in (talib.info(function)["function_flags"] or [])
    once, twice = (talib.call(function, _sample(columns, factor), {}) for factor in (1.0, 2.0))
    return tuple(_scale(one, two, is_level) for one, two in zip(once, twice, strict=True))


def _scale(once: Series, twice: Series, is_level: bool) -> Scale:
    def grows(factor: float) -> bool:
        return np.allclose(twice, factor * once, rtol=1e-4, atol=0.0, equal_nan=True)

    if grows(1.0):  # also outputs that are always zero or undefined
        return Scale.OWN
    if grows(2.0):
        return Scale.LEVEL if is_level else Scale.SIZE
    return Scale.SQUARE if grows(4.0) else Scale.OWN


def sample_inputs(function: str) -> list[Series]:
    """Made-up series for the function's inputs, in order; the same as if it read other series of the same sizes."""
    prices = cycle(("close", "open", "high"))
    columns = [slot.column if not slot.free else next(prices) for slot in talib.input_slots(function)]
    return _sample(tuple(columns), 1.0)


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
