"""TA-Lib's own metadata of its functions, and the call of one. talib imports pandas and polars, on first use only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from ktrdr.features.sources import Series

# The limits of TA-Lib's parameters, in any function.
MAX_INTEGER = 100_000
MAX_REAL = 3e37


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: float
    integer: bool


@dataclass(frozen=True, slots=True)
class Slot:
    column: str
    free: bool


@cache
def names() -> tuple[str, ...]:
    """All functions, in lower case."""
    import talib

    return tuple(sorted(name.lower() for name in talib.get_functions()))


def _function(function: str) -> Any:
    from talib import abstract

    return abstract.Function(function)  # type: ignore[attr-defined]  # missing in its stub


@cache
def info(function: str) -> dict[str, Any]:
    return dict(_function(function).info)


def outputs(function: str) -> tuple[str, ...]:
    return tuple(info(function)["output_names"])


@cache
def known_parameters(function: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, default, integer=isinstance(default, int))
        for name, default in info(function)["parameters"].items()
    )


@cache
def input_slots(function: str) -> tuple[Slot, ...]:
    """Inputs in call order. Strings (`price`, `price0`, …) are free to choose; lists under `prices` are fixed."""
    slots: list[Slot] = []
    for columns in info(function)["input_names"].values():
        fixed = not isinstance(columns, str)
        slots += [Slot(column, free=not fixed) for column in (columns if fixed else [columns])]
    return tuple(slots)


def lookback(function: str, parameters: Mapping[str, int | float]) -> int:
    return _known_lookback(function, tuple(sorted(parameters.items())))


@lru_cache(maxsize=1024)
def _known_lookback(function: str, parameters: tuple[tuple[str, int | float], ...]) -> int:
    instance = _function(function)
    instance.parameters = dict(parameters)
    return int(instance.lookback)


def call(function: str, inputs: Sequence[Series], parameters: Mapping[str, int | float]) -> tuple[Any, ...]:
    import talib

    values = getattr(talib, function.upper())(*inputs, **parameters)
    return values if isinstance(values, tuple) else (values,)


def canonical(parameter: str) -> str:
    return "timeperiod" if parameter == "period" else parameter
