"""The models that a trained one is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

CONTROL = "shuffled_control"

Value = TypeVar("Value")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Rivals(Generic[Value]):
    """The models that the trained one is compared with, and one value for each: predictions, scores or qualities.

    naive: guesses that need no training; the model must beat every one of them
    yardstick: a linear model of the same features
    control: the same model trained on shuffled labels, where the strategy asks for one
    """

    naive: Mapping[str, Value]
    yardstick: Mapping[str, Value] = field(default_factory=dict)
    control: Value | None = None

    @property
    def by_name(self) -> dict[str, Value]:
        control = {} if self.control is None else {CONTROL: self.control}
        return {**self.naive, **self.yardstick, **control}

    def map(self, function: Callable[[Value], Other]) -> Rivals[Other]:
        return Rivals(
            {name: function(value) for name, value in self.naive.items()},
            {name: function(value) for name, value in self.yardstick.items()},
            None if self.control is None else function(self.control),
        )
