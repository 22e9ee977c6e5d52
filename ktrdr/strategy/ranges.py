"""Ranges: the values among which a search chooses, written in place of a key's value, as `{log: [1e-4, 1e-2]}`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ktrdr.strategy.document import Path, path_text
from ktrdr.strategy.sections.base import Section

SIGNIFICANT_DIGITS = 6
"""Of a number that is drawn, so that the last bits of a machine's logarithm decide nothing."""

Bounds = tuple[float, float]


class Range(Section):
    """The base of all kinds of ranges.

    A `share` from 0 up to 1 picks one value, all of them equally likely where the share is uniform.
    """

    @property
    def values(self) -> Sequence[Any] | None:
        """All values in order; None where there is one between any two."""
        raise NotImplementedError

    @property
    def ends(self) -> tuple[tuple[Path, Any], ...]:
        """The values that bound all others, each with its place within the range."""
        raise NotImplementedError

    def pick(self, share: float) -> Any:
        values = self.values
        assert values is not None
        return values[int(share * len(values))]


class IntRange(Range):
    """Whole numbers, the first and the last included."""

    bounds: tuple[int, int] = Field(alias="int", strict=False, description="The first and the last whole number.")
    step: int = Field(1, ge=1, description="Distance from one value to the next.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_rising("int", self.bounds)
        return self

    @property
    def values(self) -> range:
        return range(self.bounds[0], self.bounds[1] + 1, self.step)

    @property
    def ends(self) -> tuple[tuple[Path, int], ...]:
        return (("int", 0), self.values[0]), (("int", 1), self.values[-1])


class RealRange(Range):
    """Numbers from the first to the last; its kinds name the bounds by an alias of their own."""

    bounds: Bounds
    points: int | None = Field(
        None, ge=2, le=1000, description="How many values, the ends included; by default any. A grid needs it."
    )

    def at(self, share: float) -> float:
        """The value at this share of the way, ends included."""
        raise NotImplementedError

    @property
    def values(self) -> Sequence[float] | None:
        if self.points is None:
            return None
        return [self.at(number / (self.points - 1)) for number in range(self.points)]

    def pick(self, share: float) -> float:
        return self.at(share) if self.points is None else super().pick(share)


class FloatRange(RealRange):
    bounds: Bounds = Field(alias="float", strict=False, description="The least and the greatest number.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_rising("float", self.bounds)
        return self

    @property
    def ends(self) -> tuple[tuple[Path, float], ...]:
        return (("float", 0), self.bounds[0]), (("float", 1), self.bounds[1])

    def at(self, share: float) -> float:
        low, high = self.bounds
        return rounded(low + share * (high - low), self.bounds)


class LogRange(RealRange):
    """Numbers whose logarithm is uniform."""

    bounds: Bounds = Field(alias="log", strict=False, description="The least and the greatest number, both above 0.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.bounds[0] <= 0:
            raise PydanticCustomError("bounds", "lie above 0, for 0 has no logarithm", {"key": "log"})
        _check_rising("log", self.bounds)
        return self

    @property
    def ends(self) -> tuple[tuple[Path, float], ...]:
        return (("log", 0), self.bounds[0]), (("log", 1), self.bounds[1])

    def at(self, share: float) -> float:
        low, high = map(math.log, self.bounds)
        return rounded(math.exp(low + share * (high - low)), self.bounds)


class Choice(Range):
    """Any values, whole sections included."""

    options: tuple[Any, ...] = Field(
        alias="choice", strict=False, min_length=2, max_length=100, description="The values to choose from."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(next(find_ranges(option), None) for option in self.options):
            raise PydanticCustomError("options", "hold no ranges", {"key": "choice"})
        if len({repr(option) for option in self.options}) < len(self.options):
            raise PydanticCustomError("options", "name each value once", {"key": "choice"})
        return self

    @property
    def values(self) -> tuple[Any, ...]:
        return self.options

    @property
    def ends(self) -> tuple[tuple[Path, Any], ...]:
        return tuple((("choice", number), option) for number, option in enumerate(self.options))


KINDS: dict[str, type[Range]] = {"int": IntRange, "float": FloatRange, "log": LogRange, "choice": Choice}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A key of a strategy that a search varies.

    path: the key
    range: its values
    declared: the name of its indicator by `as`; empty for an indicator without one of its own, and for other keys
    """

    path: Path
    range: Range
    declared: str = ""

    @property
    def name(self) -> str:
        """`indicators[0].period`."""
        return path_text(self.path)

    @property
    def title(self) -> str:
        """`average.period` where the indicator is declared as `average`, else the name."""
        return f"{self.declared}.{path_text(self.path[2:])}" if self.declared else self.name

    @property
    def decides_presence(self) -> bool:
        """Whether an indicator is there at all."""
        return is_inclusion(self.path)


def is_inclusion(path: Path) -> bool:
    return len(path) == 3 and path[0] == "indicators" and path[2] == "include"


def is_range(value: Any) -> bool:
    return isinstance(value, dict) and not KINDS.keys().isdisjoint(value)


def find_ranges(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All ranges of a document with their places, in its order; the section `search` has none."""
    if is_range(value):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if path or key != "search":
                yield from find_ranges(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from find_ranges(item, (*path, number))


def rounded(value: float, bounds: Bounds) -> float:
    """To few digits, but never beyond the bounds."""
    low, high = bounds
    return min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), low), high)


def _check_rising(kind: str, bounds: Bounds) -> None:
    if bounds[0] >= bounds[1]:
        low, high = (f"{bound:.15g}" for bound in bounds)
        context = {"low": low, "high": high, "key": kind}
        raise PydanticCustomError("bounds", "rise from the first to the second; it is [{low}, {high}]", context)
