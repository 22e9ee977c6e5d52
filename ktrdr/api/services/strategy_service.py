"""StrategyService: what is wrong with a strategy, what may stand in one, and the indicators it may name."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from ktrdr.api.schemas.strategies import Indicator, StrategyFault, StrategyVerdict
from ktrdr.errors import StrategyError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.loading import load_strategy, strategy_schema
from ktrdr.strategy.unused_keys import unused_keys


class StrategyService:
    def __init__(self, catalogue: IndicatorCatalogue) -> None:
        self._catalogue = catalogue

    async def validate(self, text: str) -> StrategyVerdict:
        try:
            strategy = await asyncio.to_thread(load_strategy, text, self._catalogue)
        except StrategyError as error:
            return StrategyVerdict(valid=False, faults=[StrategyFault(**asdict(fault)) for fault in error.faults])
        document = strategy.model_dump(mode="json", by_alias=True)
        return StrategyVerdict(valid=True, faults=[], strategy=document, warnings=list(map(str, unused_keys(strategy))))

    async def schema(self) -> dict[str, Any]:
        return await asyncio.to_thread(strategy_schema, self._catalogue)

    async def indicators(self) -> list[Indicator]:
        return await asyncio.to_thread(lambda: [self._describe(name) for name in self._catalogue.names()])

    async def indicator(self, name: str) -> Indicator:
        """Raises IndicatorNotFound with the nearest name."""
        return await asyncio.to_thread(self._describe, name)

    def _describe(self, name: str) -> Indicator:
        return Indicator.model_validate(asdict(self._catalogue.describe(name)))
