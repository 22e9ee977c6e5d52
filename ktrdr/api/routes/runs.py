"""Runs: all trainings as a table that is filtered and sorted, one of them, and what people write to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ktrdr.api.routes.responses import Injected, OperationId, refusals
from ktrdr.api.schemas.runs import MOST_RUNS, Annotate, AnnotatedRuns, RunSelection
from ktrdr.payloads.runs import Run, RunTable
from ktrdr.run_table.csv import csv_of
from ktrdr.run_table.query import EVERY, Condition, Order, RunQuery

router = APIRouter(prefix="/runs", tags=["runs"])

_USUAL_LIMIT = 100
_CSV = "text/csv; charset=utf-8"


@router.get(
    "",
    response_model=RunTable,
    responses=refusals(422, 503) | {200: {"content": {"text/csv": {}}, "description": "The table, or the file."}},
)
async def list_runs(services: Injected, selection: Annotated[RunSelection, Query()]) -> Response:
    """Trainings, folds and trials with their settings and measures, filtered and sorted."""
    table = await services.runs.select(_query(selection))
    if selection.format == "csv":
        named = {"content-disposition": 'attachment; filename="runs.csv"'}
        return Response(csv_of(table), media_type=_CSV, headers=named)
    return Response(table.model_dump_json(), media_type="application/json")


def _query(selection: RunSelection) -> RunQuery:
    """Raises InputError."""
    is_file = selection.format == "csv"
    names = tuple(name.strip() for each in selection.columns for name in each.split(",") if name.strip())
    return RunQuery(
        text=selection.q.strip(),
        where=[Condition.parse(each) for each in selection.where],
        order=Order.parse(selection.sort),
        columns=names or (EVERY if is_file else ()),
        limit=selection.limit or (MOST_RUNS if is_file else _USUAL_LIMIT),
        offset=selection.offset,
    )


@router.get("/{operation_id}", responses=refusals(404, 409, 422, 503))
async def get_run(operation_id: OperationId, services: Injected) -> Run:
    """One run with all its settings, measures, tags and its note."""
    return await services.runs.get(operation_id)


@router.patch("", responses=refusals(403, 404, 409, 413, 422, 503))
async def annotate_runs(request: Annotate, services: Injected) -> AnnotatedRuns:
    """Add and remove tags, or replace the note, of all these runs or of none."""
    operation_ids = await services.references.operation_ids(request.operation_ids)
    return AnnotatedRuns(runs=await services.runs.annotate(operation_ids, request))
