"""Trainings: start, and a look ahead."""

from __future__ import annotations

from fastapi import APIRouter, Response, status

from ktrdr.api.routes.responses import IdempotencyKey, Injected, refusals, started
from ktrdr.api.schemas.operations import OperationStarted
from ktrdr.api.schemas.training import TrainingStart

router = APIRouter(prefix="/training", tags=["training"])


@router.post("/start", status_code=status.HTTP_202_ACCEPTED, responses=refusals(403, 409, 413, 422, 503))
async def start_training(
    request: TrainingStart, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Start a training as an operation, or queue it while all workers are busy."""
    operation = await services.training.start(request, idempotency_key)
    return started(operation, "Training", response)


@router.post("/preflight", status_code=status.HTTP_202_ACCEPTED, responses=refusals(403, 409, 413, 422, 503))
async def preflight(
    request: TrainingStart, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """What a training would meet, as an operation: samples, balance, memory, time, and whether it is hopeless."""
    operation = await services.analysis.preflight(request, idempotency_key)
    return started(operation, "Preflight", response)
