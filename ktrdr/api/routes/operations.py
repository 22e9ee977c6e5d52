"""Operations: list, one, metrics, results, artifacts, cancel, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import FileResponse
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from ktrdr.api.routes.wire import Injected, OperationBodies, operation_fields, started
from ktrdr.api.schemas import MetricsPage, Operation, OperationList, OperationStarted, OperationStatus, Results
from ktrdr.errors import ArtifactNotFound, InputError, nearest
from ktrdr.operations import operation as records
from ktrdr.operations.service import OperationsService

router = APIRouter(prefix="/operations", tags=["operations"])

MAX_WAIT_S = 60.0
_TRUE = {"true", "1", "yes", "on"}


class OperationEndpoint:
    """GET one operation: the poll path, so an ASGI application over cached bytes, with no model in between."""

    def __init__(self) -> None:
        self._bodies = OperationBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operations: OperationsService = scope["app"].state.services.operations
        operation_id = scope["path_params"]["operation_id"]
        query = scope["query_string"]
        wait_s, force_refresh = _read_query(query.decode("latin-1")) if query else (0.0, False)
        if wait_s:
            await operations.wait_for_end(operation_id, wait_s)
        body = self._bodies.of(await operations.get_operation(operation_id, force_refresh))
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _read_query(query: str) -> tuple[float, bool]:
    values = parse_qs(query, keep_blank_values=True)
    text = values.get("wait", ["0"])[-1]
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= MAX_WAIT_S:
        raise InputError(f"wait must be a number of seconds within 0 and {MAX_WAIT_S:g}; it is {text!r}")
    return wait_s, values.get("force_refresh", [""])[-1].lower() in _TRUE


@router.get("", response_model=OperationList)
async def list_operations(
    services: Injected,
    status: Annotated[OperationStatus | None, Query(description="Only operations in this state.")] = None,
    type: Annotated[str | None, Query(description="Only operations of this type, for example TRAINING.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    page_token: Annotated[str | None, Query(description="`next_page_token` of the page before.")] = None,
) -> Response:
    """All operations, newest first."""
    operations, total = await services.operations.list_operations(
        status=records.OperationStatus(status) if status else None,
        operation_type=type.upper() if type else None,
        limit=limit,
        before=page_token,
    )
    token = operations[-1].operation_id if len(operations) == limit else None
    body = {
        "operations": [operation_fields(operation) for operation in operations],
        "total": total,
        "next_page_token": token,
    }
    return Response(to_json(body), media_type="application/json")


@router.get("/{operation_id}", response_model=Operation)
async def get_operation(
    operation_id: str,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="Answer when it has ended, or after so long.")] = 0,
    force_refresh: Annotated[bool, Query(description="Read the bridge even when the cached view is fresh.")] = False,
) -> None:
    """One operation with its progress, at most one cache TTL old.

    Documents the plain route that stands before it and answers in its place.
    """


@router.get("/{operation_id}/metrics", response_model=MetricsPage)
async def get_metrics(
    operation_id: str,
    services: Injected,
    cursor: Annotated[
        int, Query(description="Index of the first metric wanted; `new_cursor` of the answer before.")
    ] = 0,
    limit: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> Response:
    """Metrics from `cursor` on, during and after the operation, under the same indices."""
    metrics, new_cursor = await services.operations.get_metrics(operation_id, cursor, limit)
    return Response(to_json({"metrics": metrics, "new_cursor": new_cursor}), media_type="application/json")


@router.get("/{operation_id}/results", response_model=Results)
async def get_results(operation_id: str, services: Injected) -> Response:
    """Results of an operation that has ended; 409 before that."""
    results = await services.operations.get_results(operation_id)
    return Response(to_json(results), media_type="application/json")


@router.get("/{operation_id}/artifacts/{name}", response_class=FileResponse)
async def get_artifact(operation_id: str, name: str, services: Injected) -> FileResponse:
    """An artifact's file, by its name in the results."""
    results = await services.operations.get_results(operation_id)
    artifacts: dict[str, Any] = results.get("artifacts") or {}
    if name not in artifacts:
        meant = nearest(name, artifacts)
        raise ArtifactNotFound(
            f"operation {operation_id} has no artifact {name!r}",
            hint=f"did you mean {meant}?" if meant else f"there are: {', '.join(artifacts) or 'none'}",
        )
    path = Path(artifacts[name])
    if not path.is_file():
        raise ArtifactNotFound(f"the file of artifact {name!r} is gone: {path}")
    return FileResponse(path, filename=path.name, content_disposition_type="inline")


@router.post("/{operation_id}/cancel", response_model=Operation)
async def cancel_operation(operation_id: str, services: Injected) -> Response:
    """Ask an operation to end after its current batch; the answer does not wait for that."""
    operation = await services.dispatcher.cancel(operation_id)
    return Response(to_json(operation_fields(operation)), media_type="application/json")


@router.post("/{operation_id}/resume", status_code=status.HTTP_202_ACCEPTED)
async def resume_operation(operation_id: str, services: Injected, response: Response) -> OperationStarted:
    """Go on from the last checkpoint of a failed or cancelled training, as a new operation that names its parent."""
    operation = await services.training.resume(operation_id)
    response.headers["Location"] = f"/api/v1/operations/{operation.operation_id}"
    return started(operation, "Training")
