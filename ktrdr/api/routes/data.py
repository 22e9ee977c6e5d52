"""Stored bars: list, read, load, import."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from ktrdr.api.routes.responses import IdempotencyKey, Injected, refusals, started
from ktrdr.api.schemas.base import Day
from ktrdr.api.schemas.data import Bars, DataLoad, ProviderList, SeriesList
from ktrdr.api.schemas.operations import OperationStarted
from ktrdr.errors import InputError

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
    column: Annotated[
        list[str] | None,
        Query(description="`close=Last`: the file's column Last is close; may be given several times.", max_length=6),
    ] = None,
    timezone: Annotated[
        str, Query(description="Of times in the file that have no zone, such as America/New_York; default: UTC.")
    ] = "",
    idempotency_key: IdempotencyKey = None,
) -> OperationStarted:
    """Load the bars of a CSV or Parquet file, sent as the body, into the store."""
    operation = await services.data.start_import(
        symbol,
        timeframe,
        filename,
        request.stream(),
        idempotency_key,
        replace=replace,
        columns=columns_of(column or []),
        timezone=timezone,
    )
    response.headers["Location"] = f"/api/v1/operations/{operation.operation_id}"
    return started(operation, "Data load")


def columns_of(given: list[str]) -> dict[str, str]:
    """`["close=Last"]` as `{"close": "Last"}`."""
    columns = {}
    for text in given:
        ours, equals, theirs = text.partition("=")
        if not (ours.strip() and equals and theirs.strip()):
            raise InputError(
                f"column {text[:64]!r} is not of the form close=Last", hint="ours, then the file's name of it"
            )
        columns[ours.strip().lower()] = theirs.strip()
    return columns
