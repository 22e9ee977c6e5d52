"""Indicators that a strategy may name."""

from __future__ import annotations

from fastapi import APIRouter

from ktrdr.api.routes.responses import Injected, refusals
from ktrdr.api.schemas.strategies import Indicator, IndicatorList

router = APIRouter(prefix="/indicators", tags=["indicators"])


@router.get("")
async def list_indicators(services: Injected) -> IndicatorList:
    strategies = services.strategies
    return IndicatorList(indicators=await strategies.indicators(), expression_names=strategies.expression_names())


@router.get("/{name}", responses=refusals(404, 422))
async def get_indicator(name: str, services: Injected) -> Indicator:
    return await services.strategies.indicator(name)
