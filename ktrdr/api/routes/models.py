"""Trained models: list, one, and what can be done with one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from fastapi import Request as HttpRequest

from ktrdr.api.routes.responses import IdempotencyKey, Injected, ModelId, refusals, started
from ktrdr.api.schemas.models import BacktestStart, Explanation, Export, Model, ModelList, Prediction, Unsealing
from ktrdr.api.schemas.operations import OperationStarted
from ktrdr.payloads.comparison import Comparison

# As many ids as fit into the head of a request.
MOST_COMPARED = 400

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", responses=refusals(422, 503))
async def list_models(services: Injected, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> ModelList:
    """Completed trainings, newest first."""
    models, total = await services.models.list(limit)
    return ModelList(models=models, total=total)


@router.get("/compare", responses=refusals(404, 409, 422, 503))
async def compare_models(
    services: Injected,
    operation_ids: Annotated[
        list[str], Query(alias="id", min_length=1, max_length=MOST_COMPARED, description="One for each model.")
    ],
) -> Comparison:
    """What went into trainings differently, and a paired test of them on the rows that all have predicted.

    Of a training in folds each row is predicted by its own fold's model; alone, it stands for its folds. A training
    that has not ended, or that an older version trained, has no rows; then the verdict says so.
    """
    return await services.comparisons.compare(await services.references.model_ids(operation_ids))


@router.get("/{operation_id}", responses=refusals(404, 409, 422, 503))
async def get_model(operation_id: ModelId, services: Injected) -> Model:
    """One model, and whether the bars that it was trained on are still the stored ones."""
    return await services.models.get_checked(operation_id)


@router.post(
    "/{operation_id}/predictions",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 413, 422, 503),
)
async def predict(
    operation_id: ModelId,
    request: Prediction,
    services: Injected,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """What the model says at the newest closed bars of any symbol, as an operation."""
    operation = await services.analysis.predict(operation_id, request, idempotency_key)
    return started(operation, "Prediction", response)


@router.post(
    "/{operation_id}/exports",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 413, 422, 503),
)
async def export(
    operation_id: ModelId,
    request: Export,
    services: Injected,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """The model as a file for other programs, compared with the model itself, as an operation."""
    operation = await services.analysis.export(operation_id, request, idempotency_key)
    return started(operation, "Export", response)


@router.post(
    "/{operation_id}/backtest",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 413, 422, 503),
)
async def backtest(
    operation_id: ModelId,
    request: BacktestStart,
    services: Injected,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """Predict and trade stored bars with the model, as an operation.

    Bars that it was trained on are refused, and those of a sealed test part left out. Of a training in folds the last
    model that was not trained on a bar predicts it.
    """
    operation = await services.analysis.backtest(operation_id, request, idempotency_key)
    return started(operation, "Backtest", response)


@router.post(
    "/{operation_id}/explain",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 413, 422, 503),
)
async def explain(
    operation_id: ModelId,
    request: Explanation,
    services: Injected,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """Measure what the model loses where the features of each indicator are shuffled, as an operation.

    With `drop_one` what it loses when it is trained again without each indicator; nothing is shuffled then. On the
    validation rows; of a training in folds those of the last fold.
    """
    if request.drop_one:
        return started(await services.ablations.start(operation_id, idempotency_key), "Ablation", response)
    operation = await services.analysis.explain(operation_id, request, idempotency_key)
    return started(operation, "Explanation", response)


@router.post(
    "/{operation_id}/unseal",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 413, 422, 503),
)
async def unseal(
    operation_id: ModelId,
    request: Unsealing,
    http: HttpRequest,
    services: Injected,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """Open the model's sealed test part and evaluate the model on it, as an operation.

    The opening is recorded and counted before a figure is computed, and spends a part of the significance level of
    these bars. Opening the same model again gives the same results and spends nothing.
    """
    client = http.client.host if http.client else "unknown"
    operation = await services.analysis.unseal(operation_id, request, client, idempotency_key)
    return started(operation, "Unsealing", response)


@router.post(
    "/{operation_id}/reproduce",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 422, 503),
)
async def reproduce(
    operation_id: ModelId, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Train it again from the same inputs; the new training's results say whether it is the same, bit for bit."""
    operation = await services.training.reproduce(operation_id, idempotency_key)
    return started(operation, "Training", response)
