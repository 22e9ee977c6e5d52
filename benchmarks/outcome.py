"""What a benchmark measured, beside what ktrdr wants to reach."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_COMPARE: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, "≥": operator.ge}


@dataclass(frozen=True, slots=True)
class Aim:
    relation: Literal["<", "≥"]
    value: float

    def is_reached_by(self, value: float) -> bool:
        return _COMPARE[self.relation](value, self.value)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table; a figure without an aim is there to be read."""

    name: str
    value: float
    unit: str
    aim: Aim | None = None

    @property
    def is_reached(self) -> bool | None:
        return self.aim.is_reached_by(self.value) if self.aim else None


def below(value: float) -> Aim:
    return Aim("<", value)


def at_least(value: float) -> Aim:
    return Aim("≥", value)
