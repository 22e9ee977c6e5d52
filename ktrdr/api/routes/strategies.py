"""Strategies: their schema, and what is wrong with one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ktrdr.api.routes.wire import Injected, refusals
from ktrdr.api.schemas import StrategyText, StrategyVerdict

router = APIRouter(prefix="/strategies", tags=["strategies"])


@router.get("/schema")
async def strategy_schema(services: Injected) -> dict[str, Any]:
    """JSON Schema of a strategy, for editors."""
    return await services.strategies.schema()


@router.post("/validate", responses=refusals(403, 413, 422))
async def validate_strategy(request: StrategyText, services: Injected) -> StrategyVerdict:
    """Every fault of a strategy at once, each with its path, its value and the nearest right name."""
    return await services.strategies.validate(request.strategy)
