"""StrategyService: what is wrong with a strategy, what may stand in one, and the indicators it may name."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from ktrdr.api.schemas.strategies import (
    ExpressionName,
    Indicator,
    SearchedKey,
    SearchOutline,
    StrategyFault,
    StrategyVerdict,
)
from ktrdr.errors import StrategyError
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.expressions.series import SERIES
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.payloads.plugins import Plugins
from ktrdr.strategy.loading import load_strategy, strategy_schema
from ktrdr.strategy.search_loading import is_search, load_search
from ktrdr.strategy.search_schema import with_ranges
from ktrdr.strategy.search_space import Search
from ktrdr.strategy.spec import Strategy
from ktrdr.strategy.unused_keys import unused_keys


class StrategyService:
    def __init__(self, catalogue: IndicatorCatalogue) -> None:
        self._catalogue = catalogue

    async def validate(self, text: str) -> StrategyVerdict:
        try:
            strategy, search = await asyncio.to_thread(self._load, text)
        except StrategyError as error:
            return StrategyVerdict(valid=False, faults=[StrategyFault(**asdict(fault)) for fault in error.faults])
        document = strategy.model_dump(mode="json", by_alias=True)
        return StrategyVerdict(
            valid=True,
            faults=[],
            strategy=document,
            search=_outline(search) if search else None,
            warnings=list(map(str, unused_keys(strategy))),
        )

    async def schema(self, *, search: bool = False) -> dict[str, Any]:
        schema = await asyncio.to_thread(strategy_schema, self._catalogue)
        return with_ranges(schema) if search else schema

    async def indicators(self) -> list[Indicator]:
        described = await asyncio.to_thread(self._catalogue.describe_all)
        return [Indicator.model_validate(asdict(each)) for each in described]

    def expression_names(self) -> list[ExpressionName]:
        series = [ExpressionName(name=each.name, call=each.name, title=each.title) for each in SERIES.values()]
        functions = FUNCTIONS.values()
        return series + [ExpressionName(name=each.name, call=each.signature, title=each.title) for each in functions]

    async def indicator(self, name: str) -> Indicator:
        """Raises IndicatorNotFound with the nearest name."""
        return await asyncio.to_thread(self._describe, name)

    async def plugins(self) -> Plugins:
        return await asyncio.to_thread(self._catalogue.plugins)

    def _load(self, text: str) -> tuple[Strategy, Search | None]:
        if not is_search(text):
            return load_strategy(text, self._catalogue), None
        search = load_search(text, self._catalogue)
        return search.strategy, search

    def _describe(self, name: str) -> Indicator:
        return Indicator.model_validate(asdict(self._catalogue.describe(name)))


def _outline(search: Search) -> SearchOutline:
    return SearchOutline(
        trials=search.trials,
        different=search.grid_size,
        sampler=search.settings.sampler,
        objective=search.settings.objective,
        keys=[
            SearchedKey(path=each.name, range=each.range.model_dump(mode="json", by_alias=True, exclude_defaults=True))
            for each in search.parameters
        ],
    )
