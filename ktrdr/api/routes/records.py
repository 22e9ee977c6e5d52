"""What is kept of an operation beside its record: the strategy it was given and its lines in the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ktrdr.api.routes.responses import Injected, OperationId, refusals
from ktrdr.api.schemas.system import LogLines
from ktrdr.errors import NotFoundError
from ktrdr.jobs.kinds import strategy_text

router = APIRouter(prefix="/operations", tags=["operations"])


@router.get(
    "/{operation_id}/strategy",
    response_class=Response,
    responses={200: {"content": {"application/yaml": {}}, "description": "The text."}, **refusals(404, 409, 422, 503)},
)
async def get_strategy(operation_id: OperationId, services: Injected) -> Response:
    """The strategy's YAML as it was sent, from the start of the operation on."""
    operation = await services.operations.get_operation(operation_id)
    text = strategy_text(operation)
    if text is None:
        raise NotFoundError(f"operation {operation_id} ({operation.operation_type}) was given no strategy")
    return Response(text, media_type="application/yaml")


@router.get("/{operation_id}/log", responses=refusals(404, 409, 422, 503))
async def get_log(
    operation_id: OperationId,
    services: Injected,
    cursor: Annotated[
        int | None, Query(ge=0, description="`new_cursor` of the answer before; without it, the newest lines.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=2000, description="At most so many, the last ones.")] = 200,
) -> LogLines:
    """Lines of the server's log that name the operation."""
    await services.operations.get_operation(operation_id)
    return await services.logs.lines_of(operation_id, cursor, limit)
