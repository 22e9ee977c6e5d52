"""Whether the server lives, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter, Response, status

from ktrdr.api.routes.responses import Injected, refusals
from ktrdr.api.schemas.system import Health, Readiness

router = APIRouter(prefix="/health", tags=["health"])


@router.get("")
async def health() -> Health:
    return Health(status="ok")


@router.get("/ready", responses=refusals(401) | {503: {"model": Readiness, "description": "Work cannot be done."}})
async def readiness(services: Injected, response: Response) -> Readiness:
    """Whether registry and store answer, and the state of the worker pool; 503 when work cannot be done."""
    state = await services.readiness()
    if state.status != "ready":
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return state
