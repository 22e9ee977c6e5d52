"""What is wrong between positions, costs and labels of a strategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ktrdr.strategy.document import Path

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

Rule = tuple[Path, str]
"""A place, and the rest of a sentence that begins with it."""


def trading_faults(strategy: Strategy) -> Iterator[Rule]:
    rules, costs, labels = strategy.positions, strategy.costs, strategy.labels
    if rules.rule == "threshold" and rules.threshold is None:
        unit = "a predicted log return, such as 0.002" if strategy.is_regression else "a probability, such as 0.6"
        yield ("positions", "threshold"), f"is missing: positions.rule threshold needs {unit}"
    if rules.hold == "barrier" and labels.type != "triple_barrier":
        message = f"must be signal: only labels of type triple_barrier have barriers, and they are {labels.type}"
        yield ("positions", "hold"), message
    if strategy.is_regression and rules.kelly is not None and rules.volatility_target is not None:
        message = "must be absent in a regression with positions.kelly, which divides by the variance already"
        yield ("positions", "volatility_target"), message
    if costs.capital is None:
        for key in ("min_fee", "participation"):
            if getattr(costs, key):
                yield ("costs", "capital"), f"is missing: costs.{key} needs to know how much is traded"
