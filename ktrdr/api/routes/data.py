"""Stored bars: list, read, load, import."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from ktrdr.api.routes.responses import IdempotencyKey, Injected, refusals, started
from ktrdr.api.schemas.base import Day
from ktrdr.api.schemas.data import Bars, DataLoad, Import, NamedCalendar, ProviderList, Removed, SeriesList
from ktrdr.api.schemas.operations import OperationStarted

router = APIRouter(prefix="/data", tags=["data"])


@router.get("", responses=refusals(503))
async def list_series(services: Injected) -> SeriesList:
    """Every stored series, with its range and its provider."""
    return await services.data.list()


@router.get("/providers", responses=refusals(422))
async def list_providers(
    services: Injected,
    name: Annotated[str, Query(description="Only this one, such as ccxt:binance; default: all.", max_length=64)] = "",
) -> ProviderList:
    """The sources of bars, and what each can serve."""
    return await services.data.providers(name)


@router.post("/load", status_code=status.HTTP_202_ACCEPTED, responses=refusals(403, 409, 413, 422, 503))
async def load_bars(
    request: DataLoad, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Load bars from a provider into the store, as an operation."""
    operation = await services.data.start_load(request, idempotency_key)
    return started(operation, "Data load", response)


@router.put("/{symbol}/calendar", responses=refusals(403, 404, 422, 503))
async def name_calendar(symbol: str, request: NamedCalendar, services: Injected) -> NamedCalendar:
    """Name the calendar that checks, loads, resampling and trainings of a symbol go by from now on."""
    return await services.series.name_calendar(symbol, request)


@router.delete("/{symbol}", responses=refusals(403, 404, 409, 422, 503))
async def remove_symbol(symbol: str, services: Injected) -> Removed:
    """Remove all stored series of a symbol, unless an operation uses or loads one."""
    return await services.data.remove(symbol)


@router.delete("/{symbol}/{timeframe}", responses=refusals(403, 404, 409, 422, 503))
async def remove_series(symbol: str, timeframe: str, services: Injected) -> Removed:
    """Remove one stored series, unless an operation uses or loads it."""
    return await services.data.remove(symbol, timeframe)


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
    query: Annotated[Import, Query()],
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """Load the bars of a CSV or Parquet file, sent as the body, into the store."""
    operation = await services.data.start_import(
        symbol,
        timeframe,
        query.filename,
        request.stream(),
        query.reading,
        idempotency_key,
        replace=query.replace,
        calendar=query.calendar,
    )
    return started(operation, "Data load", response)
