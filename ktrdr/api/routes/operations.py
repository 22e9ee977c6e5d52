"""Operations: list, one, metrics, results, artifacts, cancel, resume, prune, remove."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import FileResponse
from pydantic import StringConstraints
from starlette.types import ASGIApp, Receive, Scope, Send

from ktrdr.api.examples import RESULTS
from ktrdr.api.routes.responses import (
    IdempotencyKey,
    Injected,
    OperationBodies,
    OperationId,
    json_of,
    operation_fields,
    refusals,
    started,
)
from ktrdr.api.schemas.operations import MetricsPage, Operation, OperationList, OperationStarted, Prune, Pruned
from ktrdr.errors import ArtifactNotFound, KtrdrError, nearest
from ktrdr.jobs.kinds import job_of, kind_of
from ktrdr.jobs.parts import TRIAL_TYPE
from ktrdr.operations.operation import Operation as Record
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.plots import PlotJob
from ktrdr.payloads.reading import AnyResults
from ktrdr.payloads.results import FileResults
from ktrdr.payloads.training import TrainingResults

router = APIRouter(prefix="/operations", tags=["operations"])

MAX_WAIT_S = 60.0
_ARTIFACT_TYPES = {
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
    "": "application/octet-stream",
}


class CachedOperationMiddleware:
    """Answers the plain GET of one operation from cached bytes, ahead of routing, validation and models.

    All else goes on to `app`, the same GET too when it has a query or there is no such operation.
    """

    def __init__(self, app: ASGIApp, *, prefix: str, operations: OperationsService) -> None:
        self._app = app
        self._prefix = f"{prefix}{router.prefix}"
        self.path = f"{router.prefix}/{{operation_id}}"
        self._operations = operations
        self._bodies = OperationBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = await self._polled(scope)
        if operation is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self
        body = self._bodies.of(operation)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _polled(self, scope: Scope) -> Record | None:
        if scope["type"] != "http" or scope["query_string"] or scope["method"] != "GET":
            return None
        prefix, _, operation_id = scope["path"].rpartition("/")
        if prefix != self._prefix:
            return None
        try:
            return await self._operations.get_operation(operation_id)
        except KtrdrError:
            return None


@router.get("", response_model=OperationList, responses=refusals(404, 409, 422, 503))
async def list_operations(
    services: Injected,
    status: Annotated[OperationStatus | None, Query(description="Only operations in this state.")] = None,
    type: Annotated[str | None, Query(description="Only operations of this type, for example TRAINING.")] = None,
    parent: Annotated[
        str | None, Query(description="Only those that go on from this operation or are its folds.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    page_token: Annotated[str | None, Query(description="`next_page_token` of the page before.")] = None,
) -> Response:
    """Operations, newest first, trials only by their type or parent; `unreadable` has those that cannot be read."""
    page = await services.operations.list_operations(
        status=status,
        operation_type=type.upper() if type else None,
        parent_id=parent and await services.references.operation_id(parent),
        without_types=() if type or parent else (TRIAL_TYPE,),
        limit=limit,
        before=page_token,
    )
    body = {
        "operations": [operation_fields(operation) for operation in page.operations],
        "total": page.total,
        "next_page_token": page.last_id,
        "unreadable": [asdict(record) for record in page.unreadable],
    }
    return Response(json_of(body), media_type="application/json")


@router.get("/{operation_id}", response_model=Operation, responses=refusals(404, 409, 422, 503))
async def get_operation(
    operation_id: OperationId,
    services: Injected,
    wait: Annotated[
        float,
        Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="Answer when it has ended, or after so long."),
    ] = 0,
    force_refresh: Annotated[bool, Query(description="Read the bridge even when the cached view is fresh.")] = False,
) -> Response:
    """One operation with its progress, at most one cache TTL old."""
    if wait:
        await services.operations.wait_for_end(operation_id, wait)
    operation = await services.operations.get_operation(operation_id, force_refresh)
    return Response(json_of(operation_fields(operation)), media_type="application/json")


@router.get("/{operation_id}/metrics", response_model=MetricsPage, responses=refusals(404, 409, 422, 503))
async def get_metrics(
    operation_id: OperationId,
    services: Injected,
    cursor: Annotated[
        int, Query(description="Index of the first metric wanted; `new_cursor` of the answer before.")
    ] = 0,
    limit: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> Response:
    """Metrics from `cursor` on, during and after the operation, under the same indices."""
    metrics, new_cursor = await services.operations.get_metrics(operation_id, cursor, limit)
    return Response(json_of({"metrics": metrics, "new_cursor": new_cursor}), media_type="application/json")


@router.get(
    "/{operation_id}/results",
    response_model=AnyResults,
    responses=refusals(404, 409, 422, 503) | {200: {"content": {"application/json": {"example": RESULTS}}}},
)
async def get_results(operation_id: OperationId, services: Injected) -> Response:
    """Results of an operation that has ended; 409 before that."""
    results = await services.results.get(operation_id)
    return Response(results.model_dump_json(), media_type="application/json")


@router.get(
    "/{operation_id}/artifacts/{name}",
    response_class=Response,
    responses=refusals(404, 409, 422, 503) | {200: {"content": {kind: {} for kind in _ARTIFACT_TYPES.values()}}},
)
async def get_artifact(operation_id: OperationId, name: str, services: Injected) -> Response:
    """An artifact's file, by its name in the results; the plots of a search's trials are drawn when asked for."""
    results = await services.results.get(operation_id)
    drawable = results.drawable if isinstance(results, TrainingResults) else ()
    if name in drawable:
        png = await services.jobs.draw(PlotJob(model=operation_id, plot=name))
        return Response(png, media_type="image/png", headers={"Content-Disposition": "inline"})
    artifacts = results.artifacts if isinstance(results, FileResults) else {}
    if name not in artifacts:
        known = [*artifacts, *drawable]
        meant = nearest(name, known)
        raise ArtifactNotFound(
            f"operation {operation_id} has no artifact {name!r}",
            hint=f"did you mean {meant}?" if meant else f"there are: {', '.join(known) or 'none'}",
        )
    path = Path(artifacts[name])
    if not path.is_file():
        raise ArtifactNotFound(f"the file of artifact {name!r} is gone: {path}")
    kind = _ARTIFACT_TYPES.get(path.suffix, _ARTIFACT_TYPES[""])
    return FileResponse(path, media_type=kind, filename=path.name, content_disposition_type="inline")


@router.post("/{operation_id}/cancel", response_model=Operation, responses=refusals(403, 404, 409, 422, 503))
async def cancel_operation(operation_id: OperationId, services: Injected) -> Response:
    """Ask an operation to end after its current batch; the answer does not wait for that."""
    operation = await services.dispatcher.cancel(operation_id)
    return Response(json_of(operation_fields(operation)), media_type="application/json")


@router.post(
    "/{operation_id}/resume",
    status_code=status.HTTP_202_ACCEPTED,
    responses=refusals(403, 404, 409, 422, 503),
)
async def resume_operation(
    operation_id: OperationId, services: Injected, response: Response, idempotency_key: IdempotencyKey = None
) -> OperationStarted:
    """Go on with a failed or cancelled training, from its last checkpoint, or with a load of bars, for those that are
    still missing, as a new operation that names its parent."""
    operation = await services.jobs.resume(operation_id, idempotency_key)
    return started(operation, kind_of(job_of(operation)).title, response)


@router.post("/prune", responses=refusals(403, 413, 422, 503))
async def prune_operations(request: Prune, services: Injected) -> Pruned:
    """Remove operations that have ended: their records, metrics and files, models too. Bars stay."""
    return await services.retention.prune(request)


DryRun = Annotated[bool, Query(description="Remove nothing, and say what would go.")]


@router.delete("", responses=refusals(403, 404, 409, 422, 503))
async def remove_operations(
    services: Injected,
    id: Annotated[
        list[Annotated[str, StringConstraints(max_length=64)]],
        Query(min_length=1, max_length=50, description="An operation; once for each."),
    ],
    dry_run: DryRun = False,
) -> Pruned:
    """Remove these operations and their parts, which must have ended: records, metrics and files, models too."""
    return await services.retention.remove(await services.references.operation_ids(id), dry_run=dry_run)


@router.delete("/{operation_id}", responses=refusals(403, 404, 409, 422, 503))
async def remove_operation(operation_id: OperationId, services: Injected, dry_run: DryRun = False) -> Pruned:
    """Remove one operation and its parts, which must have ended: record, metrics and files, its model too."""
    return await services.retention.remove([operation_id], dry_run=dry_run)
