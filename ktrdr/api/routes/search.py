"""Searches: start. Their progress and results are those of operations."""

from __future__ import annotations

from fastapi import APIRouter, Response, status

from ktrdr.api.routes.responses import IdempotencyKey, Injected, refusals, started
from ktrdr.api.schemas.operations import OperationStarted
from ktrdr.api.schemas.training import SearchStart

router = APIRouter(prefix="/search", tags=["search"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, responses=refusals(403, 409, 413, 422, 503))
async def start_search(
    request: SearchStart, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Start a search as an operation, whose trials are operations too, and whose results name the winner."""
    operation = await services.searches.start(request, idempotency_key)
    return started(operation, "Search", response)
