"""The grid of a search: every combination of its parameters' values, by position."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ktrdr.strategy.document import Path
from ktrdr.strategy.ranges import Parameter


def grid_size(parameters: Sequence[Parameter]) -> int | None:
    """The number of combinations; None where a parameter has any number of values."""
    if any(each.range.values is None for each in parameters):
        return None
    return math.prod(axis.size for axis in _axes(parameters))


def grid_values(parameters: Sequence[Parameter], position: int) -> tuple[Any, ...]:
    """The combination at a position, in the order of the parameters; the last axis changes first."""
    values: dict[Path, Any] = {}
    for axis in reversed(list(_axes(parameters))):
        position, own = divmod(position, axis.size)
        values |= axis.at(own)
    return tuple(values[each.path] for each in parameters)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Parameters that vary together: one alone, or those of an indicator that may be absent.

    presence: what decides whether the indicator is there; the others have no value where it is not
    others: one, or those of the indicator
    """

    presence: Parameter | None
    others: tuple[Parameter, ...]

    @property
    def size(self) -> int:
        return math.prod(len(_values(each)) for each in self.others) + (self.presence is not None)

    def at(self, position: int) -> Mapping[Path, Any]:
        if self.presence is None:
            return self._present(position)
        if position == 0:
            return {self.presence.path: False} | {each.path: None for each in self.others}
        return {self.presence.path: True} | self._present(position - 1)

    def _present(self, position: int) -> dict[Path, Any]:
        values = {}
        for each in reversed(self.others):
            position, own = divmod(position, len(_values(each)))
            values[each.path] = _values(each)[own]
        return values


def _axes(parameters: Sequence[Parameter]) -> Iterator[_Axis]:
    presence = {each.path[:2]: each for each in parameters if each.decides_presence}
    for each in parameters:
        if each.decides_presence:
            own = (other for other in parameters if other.path[:2] == each.path[:2] and other is not each)
            yield _Axis(each, tuple(own))
        elif each.path[:2] not in presence:
            yield _Axis(None, (each,))


def _values(parameter: Parameter) -> Sequence[Any]:
    values = parameter.range.values
    assert values is not None, f"{parameter.name} has any number of values"
    return values
