"""Positions and costs in words, as far as they are not the usual ones."""

from __future__ import annotations

from collections.abc import Iterator

from ktrdr.formatting import count, percentage
from ktrdr.payloads.trading_rules import Costs, Positions

_SIDES = {"long": "long only", "short": "short only"}


def describe_rules(rules: Positions, costs: Costs) -> str:
    """Empty where the signs of predictions are traded at fee and slippage alone."""
    return "; ".join([*_choice(rules), *_sizes(rules), *_holding(rules), *_costs(costs)])


def _choice(rules: Positions) -> Iterator[str]:
    if rules.rule == "threshold":
        yield f"predictions of at least {rules.threshold:g}"
    if rules.direction in _SIDES:
        yield _SIDES[rules.direction]


def _sizes(rules: Positions) -> Iterator[str]:
    if rules.kelly is not None:
        yield f"{rules.kelly:g} of the Kelly position, at most {rules.kelly_cap:g}"
    if rules.volatility_target is not None:
        yield f"sized for {percentage(rules.volatility_target)} volatility a year"
    if rules.max_symbol != 1:
        yield f"at most {rules.max_symbol:g} of a symbol's capital"
    if rules.max_gross is not None:
        yield f"at most {rules.max_gross:g} of the whole capital"


def _holding(rules: Positions) -> Iterator[str]:
    if rules.hold == "barrier":
        fill = "the touched price" if rules.barrier_fill == "touch" else "the next open"
        yield f"held to the label's barriers and left at {fill}"
    elif rules.band:
        yield f"resized outside of a band of {rules.band:g}"


def _costs(costs: Costs) -> Iterator[str]:
    if costs.min_fee:
        yield f"a fee of at least {costs.min_fee:g}"
    if costs.borrow_bps_per_day:
        yield f"{costs.borrow_bps_per_day:g} bps a day for borrowing"
    if costs.financing_bps_per_day:
        yield f"{costs.financing_bps_per_day:g} bps a day for financing"
    if costs.participation is not None:
        yield f"at most {percentage(costs.participation)} of a bar's volume"
    if costs.capital is not None:
        yield f"a capital of {count(round(costs.capital))}"
