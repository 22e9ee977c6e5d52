"""Other positions and costs for a strategy whose model is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ktrdr.errors import Fault, StrategyError
from ktrdr.strategy.editing import with_settings
from ktrdr.strategy.loading import load_resolved

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

SECTIONS = ("positions", "costs")
_HINT = "name keys of positions and costs, as in positions.rule=threshold or costs.fee_bps=5"


def with_trading_settings(strategy: Strategy, settings: Mapping[str, Any]) -> Strategy:
    """The strategy with these values by their places, such as `positions.rule`. Raises StrategyError."""
    if not settings:
        return strategy
    if faults := list(_foreign(settings)):
        raise StrategyError(faults, hint=_HINT)
    try:
        changed = load_resolved(with_settings(strategy.model_dump_json(exclude_none=True), settings))
    except StrategyError as error:
        # Nobody has seen the text that the lines are of.
        faults = [replace(Fault.from_dict(fault), line=None) for fault in error.context["faults"]]
        raise StrategyError(faults, hint=_HINT) from None
    return strategy.model_copy(update={name: getattr(changed, name) for name in SECTIONS})


def _foreign(settings: Mapping[str, Any]) -> Iterator[Fault]:
    for name in settings:
        if name.partition(".")[0] not in SECTIONS:
            yield Fault(name[:200], "cannot be set for a model that is trained; keys of positions and costs can")
