"""Strategies: their schema, what is wrong with one, and whether one looks into the future."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, status

from ktrdr.api.routes.responses import IdempotencyKey, Injected, refusals, started
from ktrdr.api.schemas.operations import OperationStarted
from ktrdr.api.schemas.strategies import StrategyText, StrategyVerdict
from ktrdr.api.schemas.training import Audit

router = APIRouter(prefix="/strategies", tags=["strategies"])


@router.get("/schema", responses=refusals(422))
async def strategy_schema(
    services: Injected,
    search: Annotated[bool, Query(description="Whether ranges and the section `search` are part of it.")] = False,
) -> dict[str, Any]:
    """JSON Schema of a strategy, for editors."""
    return await services.strategies.schema(search=search)


@router.post("/validate", responses=refusals(403, 413, 422))
async def validate_strategy(request: StrategyText, services: Injected) -> StrategyVerdict:
    """Every fault of a strategy at once, each with its path, its value and the nearest right name."""
    return await services.strategies.validate(request.strategy)


@router.post("/audit", status_code=status.HTTP_202_ACCEPTED, responses=refusals(403, 409, 413, 422, 503))
async def audit_strategy(
    request: Audit, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Look for leaks of the future into features, labels and scaling, exhaustively, as an operation."""
    operation = await services.analysis.audit(request, idempotency_key)
    return started(operation, "Audit", response)
