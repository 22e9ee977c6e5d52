"""Stored tables: list, show, import, remove."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from ktrdr.api.routes.responses import Injected, refusals
from ktrdr.api.schemas.tables import TableImport, TableList, TableRows
from ktrdr.payloads.tables import TableInfo

router = APIRouter(prefix="/tables", tags=["tables"])


@router.get("", responses=refusals(503))
async def list_tables(services: Injected) -> TableList:
    """Every stored table, whose rows say since when they were known."""
    return await services.tables.list()


@router.get("/{name}", responses=refusals(404, 422, 503))
async def show_table(
    name: str,
    services: Injected,
    limit: Annotated[int, Query(ge=1, le=100_000, description="At most so many rows, the newest ones.")] = 1000,
) -> TableRows:
    """A table and its newest rows, in the order in which they were known."""
    return await services.tables.read(name, limit)


@router.post(
    "/{name}/import",
    responses=refusals(403, 409, 413, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_table(
    name: str, request: Request, services: Injected, query: Annotated[TableImport, Query()]
) -> TableInfo:
    """Add the rows of a CSV or Parquet file, sent as the body, to a table."""
    return await services.tables.import_file(name, request.stream(), query)


@router.delete("/{name}", responses=refusals(403, 404, 422, 503))
async def remove_table(name: str, services: Injected) -> TableInfo:
    """Remove a table. Models that were trained on it stay."""
    return await services.tables.remove(name)
