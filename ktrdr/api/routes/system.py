"""The machine and the server on it."""

from __future__ import annotations

from fastapi import APIRouter

from ktrdr.api.routes.responses import Injected, refusals
from ktrdr.api.schemas.system import System

router = APIRouter(prefix="/system", tags=["health"])


@router.get("", responses=refusals(503))
async def read_system(services: Injected) -> System:
    """Versions, disk, workers, and how many operations are in which state."""
    return await services.system.read()
