"""Trained models."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ktrdr.api.routes.wire import Injected, refusals
from ktrdr.api.schemas import Model, ModelList

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", responses=refusals(422, 503))
async def list_models(services: Injected, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> ModelList:
    """Completed trainings, newest first."""
    models, total = await services.models.list(limit)
    return ModelList(models=models, total=total)


@router.get("/{operation_id}", responses=refusals(404, 422, 503))
async def get_model(operation_id: str, services: Injected) -> Model:
    return await services.models.get(operation_id)
