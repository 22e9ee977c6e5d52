"""Keys of a strategy that change nothing, because its model, its labels or its validation make no use of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

# Trees follow no gradient, and LightGBM computes on the processor.
_NETWORKS_ONLY = ("batch_size", "optimizer", "weight_decay", "gradient_clip", "device")


@dataclass(frozen=True, slots=True)
class UnusedKey:
    """A key that does nothing.

    path: `training.optimizer`
    where: the part of the strategy that makes it so, such as `with model.type gradient_boosting`
    """

    path: str
    where: str

    def __str__(self) -> str:
        return f"{self.path} does nothing {self.where}"


def unused_keys(strategy: Strategy) -> Iterator[UnusedKey]:
    """Only keys that the document itself has; defaults do not count."""
    training = strategy.training
    if strategy.model.type == "gradient_boosting":
        for name in _NETWORKS_ONLY:
            if name in training.model_fields_set:
                yield UnusedKey(f"training.{name}", "with model.type gradient_boosting")
    if strategy.is_regression and training.class_weights != "none":
        yield UnusedKey("training.class_weights", f"with labels.type {strategy.labels.type}, which has no classes")
    if strategy.labels.horizon == 1 and training.sample_weights != "none":
        yield UnusedKey("training.sample_weights", "with labels.horizon 1: no two labels overlap")
    if strategy.validation.type != "holdout" and "validation_split" in training.model_fields_set:
        yield UnusedKey("training.validation_split", f"with validation.type {strategy.validation.type}")
    yield from _unused_positions(strategy)
    yield from _unused_costs(strategy)


def _unused_positions(strategy: Strategy) -> Iterator[UnusedKey]:
    rules = strategy.positions
    written, sizes = rules.model_fields_set, rules.kelly is not None and strategy.is_regression
    if rules.rule == "sign" and rules.threshold is not None:
        yield UnusedKey("positions.threshold", "with positions.rule sign")
    if rules.kelly is None and "kelly_cap" in written:
        yield UnusedKey("positions.kelly_cap", "without positions.kelly")
    if rules.volatility_target is None and not sizes and "volatility_span" in written:
        yield UnusedKey("positions.volatility_span", "where no position is sized by volatility")
    if rules.hold == "signal" and "barrier_fill" in written:
        yield UnusedKey("positions.barrier_fill", "with positions.hold signal")
    if rules.hold == "barrier" and rules.band:
        yield UnusedKey("positions.band", "with positions.hold barrier, which resizes no position")
    if rules.max_symbol > 1 and rules.volatility_target is None and not (sizes and rules.kelly_cap > 1):
        yield UnusedKey("positions.max_symbol", "where no position is sized above 1")
    if rules.max_gross is not None and rules.max_gross >= rules.max_symbol:
        yield UnusedKey("positions.max_gross", "where it is no less than positions.max_symbol")


def _unused_costs(strategy: Strategy) -> Iterator[UnusedKey]:
    rules, costs = strategy.positions, strategy.costs
    if rules.direction == "long" and costs.borrow_bps_per_day:
        yield UnusedKey("costs.borrow_bps_per_day", "with positions.direction long")
    if costs.capital and not costs.min_fee and costs.participation is None:
        yield UnusedKey("costs.capital", "without costs.min_fee and costs.participation")
    if rules.max_symbol <= 1 and costs.financing_bps_per_day:
        yield UnusedKey("costs.financing_bps_per_day", "with positions.max_symbol at most 1: nothing is borrowed")
