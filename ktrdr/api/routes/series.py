"""A stored series: its quality, longer bars made of it, its export."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from ktrdr.api.routes.responses import Injected, refusals
from ktrdr.api.schemas.base import Day
from ktrdr.api.schemas.data import Resample
from ktrdr.api.services.series_service import Format
from ktrdr.payloads.data import QualityReport, Resampled

router = APIRouter(prefix="/data/{symbol}/{timeframe}", tags=["data"])

Calendar = Annotated[
    str | None,
    Query(
        description="An exchange of exchange_calendars, such as XNYS, 24/5 for FX or 24/7; default: what was given "
        "before, or what symbol and bars speak for.",
        max_length=64,
    ),
]

_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@router.get("/quality", responses=refusals(404, 422, 503))
async def check_quality(symbol: str, timeframe: str, services: Injected, calendar: Calendar = None) -> QualityReport:
    """What is missing and what is wrong, with a score; the verdict is kept with the series."""
    return await services.series.quality(symbol, timeframe, calendar)


@router.get(
    "/quality.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture."}, **refusals(404, 422, 503)},
)
async def draw_quality(symbol: str, timeframe: str, services: Injected, calendar: Calendar = None) -> Response:
    """Coverage over time, the prices, and the faults, as a picture."""
    content = await services.series.quality_chart(symbol, timeframe, calendar)
    return Response(content, media_type="image/png")


@router.post("/resample", responses=refusals(403, 404, 409, 413, 422, 503))
async def resample_series(symbol: str, timeframe: str, request: Resample, services: Injected) -> Resampled:
    """Make longer bars of a series, by its market's sessions, and store them as a series of their own."""
    return await services.series.resample(symbol, timeframe, request)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {kind.partition(";")[0]: {} for kind in _MEDIA.values()}, "description": "The file."},
        **refusals(404, 422, 503),
    },
)
async def export_series(
    symbol: str,
    timeframe: str,
    services: Injected,
    format: Annotated[Format, Query(description="What kind of file.")] = "csv",
    start: Annotated[Day | None, Query(description="First day, inclusive (UTC).")] = None,
    end: Annotated[Day | None, Query(description="Last day, inclusive (UTC).")] = None,
) -> StreamingResponse:
    """All bars in range, as a file."""
    exported = await services.series.export(symbol, timeframe, format, start, end)
    named = {"content-disposition": f'attachment; filename="{quote(exported.filename, safe="^=&!:+$@")}"'}
    return StreamingResponse(exported.chunks, media_type=_MEDIA[format], headers=named)
