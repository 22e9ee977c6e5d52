"""Stored bars: list, read, load, import."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from ktrdr.api.routes.wire import IdempotencyKey, Injected, refusals, started
from ktrdr.api.schemas import Bars, DataLoad, Day, OperationStarted, SeriesList

router = APIRouter(prefix="/data", tags=["data"])


@router.get("", responses=refusals(503))
async def list_series(services: Injected) -> SeriesList:
    """Every stored series, with its range and its provider."""
    return await services.data.list()


@router.post("/load", status_code=status.HTTP_202_ACCEPTED, responses=refusals(403, 409, 413, 422, 503))
async def load_bars(
    request: DataLoad, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Load bars from a provider into the store, as an operation."""
    operation = await services.data.start_load(request, idempotency_key)
    response.headers["Location"] = f"/api/v1/operations/{operation.operation_id}"
    return started(operation, "Data load")


@router.get("/{symbol}/{timeframe}", responses=refusals(404, 422, 503))
async def read_bars(
    symbol: str,
    timeframe: str,
    services: Injected,
    start: Annotated[Day | None, Query(description="First day, inclusive (UTC).")] = None,
    end: Annotated[Day | None, Query(description="Last day, inclusive (UTC).")] = None,
    limit: Annotated[int, Query(ge=1, le=100_000, description="At most so many, the last ones in range.")] = 1000,
) -> Bars:
    """Bars of one series, oldest first."""
    return await services.data.read(symbol, timeframe, start, end, limit)


@router.post(
    "/{symbol}/{timeframe}/import",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 413, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_bars(
    symbol: str,
    timeframe: str,
    request: Request,
    services: Injected,
    response: Response,
    filename: Annotated[str, Query(description="The file's name; its ending tells the format.", max_length=255)],
    replace: Annotated[bool, Query(description="Drop what is stored of the series and start it anew.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """Load the bars of a CSV or Parquet file, sent as the body, into the store."""
    operation = await services.data.start_import(
        symbol, timeframe, filename, request.stream(), idempotency_key, replace=replace
    )
    response.headers["Location"] = f"/api/v1/operations/{operation.operation_id}"
    return started(operation, "Data load")
