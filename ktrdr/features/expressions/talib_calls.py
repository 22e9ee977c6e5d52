"""Calls of TA-Lib's functions in expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.errors import nearest
from ktrdr.features import talib_metadata as talib
from ktrdr.features.expressions.calls import Call
from ktrdr.features.expressions.series import series_term
from ktrdr.features.expressions.terms import ExpressionError, Term, combined
from ktrdr.features.expressions.units import NO_UNIT, Unit
from ktrdr.features.sources import BAR_COLUMNS, Series
from ktrdr.features.talib_functions import TalibFunctions, sample_inputs
from ktrdr.strategy.sections.indicators import Indicator

if TYPE_CHECKING:
    import polars as pl

# What is added to a logarithm; as large as the samples, so that the tolerance does not hide it.
_LOG_STEP = 5000.0
# What a measured change of units may be wrong by: TA-Lib rounds, and stops iterations early.
_TOLERANCE = 1e-4


def apply(name: str, call: Call, output: str | None) -> Term:
    """The term of a call of TA-Lib's function; `output` names one of several outputs."""
    inputs = _inputs(name, call)
    indicator = _indicator(name, call)
    place = _output(name, call, output)
    memory = talib.lookback(name, indicator.parameters)
    unit = _unit(name, tuple(term.unit for term in inputs))[place]
    if unit is None:
        units = ", ".join(dict.fromkeys(str(term.unit) for term in inputs))
        raise call.wrong(f"has no unit that is known, for {name} reads {units}; divide what it reads by a price first")
    compute = _computation(name, indicator.parameters, place, max(term.warmup for term in inputs) + memory)

    def build() -> pl.Expr:
        import polars as pl

        return pl.map_batches([term.values() for term in inputs], compute, return_dtype=pl.Float64)

    return combined(call.node, call.text, build, inputs, unit, memory=memory)


def _inputs(name: str, call: Call) -> list[Term]:
    """The series that are named, or those that the function reads by itself."""
    series = [term for term in call.positional if term.reads_bars]
    slots = [slot.column for slot in talib.input_slots(name)]
    if not series and all(column in BAR_COLUMNS for column in slots):
        return [series_term(call.node, column) for column in slots]
    if len(series) != len(slots):
        raise call.wrong(f"names {len(series)} series; {name} reads {len(slots)}: {', '.join(slots)}")
    if list(call.positional[: len(series)]) != series:
        raise call.wrong(f"must name its series before its numbers: {', '.join(slots)}")
    return series


def _indicator(name: str, call: Call) -> Indicator:
    """The function with its parameters, as an entry of `indicators`, which is checked as such."""
    free = sum(slot.free for slot in talib.input_slots(name))
    known = [parameter.name for parameter in talib.known_parameters(name)]
    numbers = [term for term in call.positional if not term.reads_bars]
    if foreign := [key for key in call.named if key in Indicator.keys]:
        raise call.wrong(f"has no argument {foreign[0]}; {name} has {', '.join(known) or 'no parameters'}")
    if len(numbers) > len(known):
        raise call.wrong(f"has {len(numbers)} numbers; {name} has {', '.join(known) or 'no parameters'}")
    terms = dict(zip(known, numbers, strict=False)) | {talib.canonical(key): term for key, term in call.named.items()}
    values = {key: _number(term, call) for key, term in terms.items()}
    sources = {"sources": ["close"] * free} if free > 1 else {}
    indicator = Indicator.model_validate({"name": name, **sources, **values})
    for fault in TalibFunctions().check(indicator):
        if parameter := terms[fault.path].parameter if fault.path in terms else "":
            raise ExpressionError(f"in {call.text} {fault.message}", call.node, parameter=parameter)
        raise call.about(f"{fault.path} {fault.message}".strip(), fault.suggestion)
    return TalibFunctions().resolve(indicator)


def _number(term: Term, call: Call) -> int | float:
    if term.number is None:
        raise call.wrong(f"needs a fixed number in place of {term.shown}")
    return int(term.number) if term.number.is_integer() else term.number


def _output(name: str, call: Call, output: str | None) -> int:
    names = talib.outputs(name)
    if output is None and len(names) > 1:
        raise call.wrong(f"has several outputs: {', '.join(names)}; name one, as output={names[0]}")
    if output is not None and output not in names:
        raise call.wrong(f"has no output {output}; there is {', '.join(names)}", nearest(output, names))
    return names.index(output) if output else 0


def _computation(
    name: str, parameters: dict[str, int | float], place: int, warmup: int
) -> Callable[[Sequence[pl.Series]], pl.Series]:
    def compute(columns: Sequence[pl.Series]) -> pl.Series:
        import polars as pl

        inputs = [np.ascontiguousarray(column.to_numpy(), dtype=np.float64) for column in columns]
        defined = np.full(len(inputs[0]), np.nan)
        if len(defined) > warmup and not any(np.isnan(each).all() for each in inputs):
            values = np.asarray(talib.call(name, inputs, parameters)[place], dtype=np.float64)
            defined[warmup:] = np.where(np.isfinite(values), values, np.nan)[warmup:]
        return pl.Series(defined, nan_to_null=True)

    return compute


# Units.


@lru_cache(maxsize=1024)
def _unit(name: str, units: tuple[Unit, ...]) -> tuple[Unit | None, ...]:
    """The unit of each output, measured by doubling prices and volumes; None where it is none that `Unit` can say."""
    if all(unit.is_none for unit in units):
        return (NO_UNIT,) * len(talib.outputs(name))
    samples = sample_inputs(name)
    once = talib.call(name, samples, {})
    by_price = talib.call(name, [_changed(x, u.price, u.log_price) for x, u in zip(samples, units, strict=True)], {})
    by_volume = talib.call(name, [_changed(x, u.volume, u.log_volume) for x, u in zip(samples, units, strict=True)], {})
    return tuple(
        _combined(_change(*each[:2]), _change(each[0], each[2])) for each in zip(once, by_price, by_volume, strict=True)
    )


def _changed(values: Series, power: float, log: float) -> Series:
    changed: Series = values * 2**power + log * _LOG_STEP
    return changed


def _change(once: Series, twice: Series) -> tuple[float, float] | None:
    """The power and the logarithm by which an output has changed."""

    def is_near(one: Series, other: Series) -> bool:
        return np.allclose(one, other, rtol=_TOLERANCE, atol=0.0, equal_nan=True)

    if is_near(twice, once):  # also outputs that are always zero or undefined
        return 0.0, 0.0
    known = np.isfinite(once) & np.isfinite(twice) & (once != 0)
    ratio = float(np.median(twice[known] / once[known])) if known.any() else 0.0
    if ratio > 0 and is_near(twice, ratio * once):
        return round(float(np.log2(ratio)), 3), 0.0
    step = float(np.median(twice[known] - once[known])) if known.any() else 0.0
    if is_near(twice - step, once):
        return 0.0, round(step / _LOG_STEP, 3)
    return None


def _combined(price: tuple[float, float] | None, volume: tuple[float, float] | None) -> Unit | None:
    if price is None or volume is None:
        return None
    return Unit(price[0], volume[0], price[1], volume[1])
