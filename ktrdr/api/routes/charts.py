"""What is drawn: a series with a training's indicators, labels and predictions, and curves of many operations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from ktrdr.api.routes.responses import Injected, json_of, refusals
from ktrdr.api.schemas.charts import Chart, Curves

router = APIRouter(prefix="/charts", tags=["charts"])


@router.get("/curves", response_model=Curves, responses=refusals(404, 409, 422, 503))
async def read_curves(
    services: Injected,
    operation: Annotated[list[str], Query(max_length=100, description="Ids; unknown ones are left out.")],
    column: Annotated[str, Query(max_length=64, description="Of the metrics, for example val_loss.")] = "val_loss",
    points: Annotated[int, Query(ge=2, le=1000, description="At most so many of each, the last one among them.")] = 60,
) -> Response:
    """One column of several operations' metrics, thinned so that it can be drawn small."""
    operation_ids = await services.references.operation_ids(operation)
    curves = await services.charts.curves(operation_ids, column, points)
    return Response(json_of({"column": column, "curves": curves}), media_type="application/json")


@router.get("/{symbol}/{timeframe}", response_model=Chart, responses=refusals(404, 409, 422, 503))
async def read_chart(
    symbol: str,
    timeframe: str,
    services: Injected,
    before: Annotated[AwareDatetime | None, Query(description="Only bars that opened before this instant.")] = None,
    limit: Annotated[int, Query(ge=1, le=20_000, description="At most so many, the last ones in range.")] = 2000,
    training: Annotated[
        str | None, Query(description="Operation whose indicators, labels and predictions are wanted too.")
    ] = None,
) -> Response:
    """Bars as columns, oldest first, and beside them what a training sees in them."""
    operation_id = training and await services.references.operation_id(training)
    chart = await services.charts.read(symbol, timeframe, before, limit, operation_id)
    return Response(json_of(chart), media_type="application/json")
