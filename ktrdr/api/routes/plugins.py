"""Features, labels and networks of the files that the setting KTRDR_PLUGINS names."""

from __future__ import annotations

from fastapi import APIRouter

from ktrdr.api.routes.responses import Injected
from ktrdr.payloads.plugins import Plugins

router = APIRouter(prefix="/plugins", tags=["plugins"])


@router.get("")
async def list_plugins(services: Injected) -> Plugins:
    """What the files declare now, and why one cannot be used; no plugin runs in the server."""
    return await services.strategies.plugins()
