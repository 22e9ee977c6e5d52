"""Strategies that lack one of their sources of features: one indicator, or the returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrdr.strategy.document import Path, path_text
from ktrdr.strategy.editing import edited
from ktrdr.strategy.sections.indicators import IndicatorEntry
from ktrdr.strategy.spec import Strategy

RETURNS: Path = ("features", "returns")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One source of features, and the strategy without it.

    name: the indicator's declared name or its place; `returns`
    indicator: what it computes
    switch: the key by which a search would leave it out, such as `fast.include`
    strategy: YAML of the strategy without it
    """

    name: str
    indicator: str
    switch: str
    strategy: str


def indicator_title(number: int, indicator: IndicatorEntry) -> str:
    """Its declared name, or its place in the strategy."""
    return indicator.as_ or f"indicators[{number}]"


def leave_out_each(text: str, strategy: Strategy) -> Iterator[LeftOut]:
    """The strategy, which was loaded from `text`, without each of its sources; nothing where it has only one."""
    indicators = list(enumerate(strategy.indicators))
    if len(indicators) + strategy.features.returns < 2:
        return
    if strategy.features.returns:
        yield LeftOut("returns", "log_return", path_text(RETURNS), edited(text, {RETURNS: False}))
    for number, indicator in indicators:
        title = indicator_title(number, indicator)
        yield LeftOut(title, indicator.formula, f"{title}.include", edited(text, {}, [("indicators", number)]))
