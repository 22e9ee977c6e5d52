"""How operations look on the wire; a view is serialised once and handed out as bytes from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cachetools import LRUCache
from fastapi import Depends, Header, Path, Request, Response
from pydantic_core import to_json

from ktrdr.api.schemas.base import Problem
from ktrdr.api.schemas.operations import OperationStarted, StartedStatus
from ktrdr.api.services.services import Services
from ktrdr.instants import format_instant
from ktrdr.operations.operation import Operation
from ktrdr.operations.status import OperationStatus

_BODIES_KEPT = 1024


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Injected = Annotated[Services, Depends(services_of)]
_Reference = Annotated[
    str, Path(alias="operation_id", description="An id, any ending that only one id has, or `last` for the newest.")
]


async def _operation_id(reference: _Reference, services: Injected) -> str:
    return await services.references.operation_id(reference)


async def _model_id(reference: _Reference, services: Injected) -> str:
    return await services.references.model_id(reference)


OperationId = Annotated[str, Depends(_operation_id)]
"""The whole id of the operation that the path names."""

ModelId = Annotated[str, Depends(_model_id)]
"""The same where a model is needed: `last` is then the newest that has one."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=128,
        pattern="^[!-~]+$",
        description="A repeated request with the same key gets the first one's operation.",
    ),
]

_REFUSALS = {
    401: "The server asks for a token, and this is not it.",
    403: "A page of another site may change nothing here.",
    404: "What was named does not exist.",
    409: "Right in itself, but not in the present state.",
    413: "The body is too large.",
    421: "The server does not answer for this host.",
    422: "What was sent cannot be right; `detail` says where and why.",
    500: "An unexpected error, described in the server's log.",
    503: "The disk, the registry or a bridge cannot be used.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems that a route may answer with, for its documentation."""
    return {status: {"model": Problem, "description": _REFUSALS[status]} for status in statuses}


def json_of(content: Any) -> bytes:
    """JSON as every client reads it: a number that is none is null."""
    return to_json(content, inf_nan_mode="null")


def operation_fields(operation: Operation) -> dict[str, Any]:
    return {
        "operation_id": operation.operation_id,
        "status": operation.status,
        "operation_type": operation.operation_type,
        "created_at": format_instant(operation.created_at),
        "updated_at": format_instant(operation.updated_at),
        "started_at": operation.started_at and format_instant(operation.started_at),
        "completed_at": operation.completed_at and format_instant(operation.completed_at),
        "progress": operation.progress,
        "metadata": operation.metadata,
        "error": operation.error,
        "parent_id": operation.parent_id,
    }


def started(operation: Operation, what: str, response: Response) -> OperationStarted:
    """Point `response` to the operation. Where the request is a repeated one, the operation may have ended since."""
    response.headers["Location"] = f"/api/v1/operations/{operation.operation_id}"
    status, word = _STARTED[operation.status]
    return OperationStarted(
        operation_id=operation.operation_id,
        status=status,
        message=f"{what} {word}",
        created_at=operation.created_at,
    )


_STARTED: Mapping[OperationStatus, tuple[StartedStatus, str]] = {
    OperationStatus.PENDING: ("pending", "queued: all workers are busy"),
    OperationStatus.RUNNING: ("running", "started"),
    OperationStatus.COMPLETED: ("completed", "completed"),
    OperationStatus.FAILED: ("failed", "failed"),
    OperationStatus.CANCELLED: ("cancelled", "cancelled"),
}


class OperationBodies:
    """The bytes of the views last asked for; a view is immutable, so its identity is its version."""

    def __init__(self) -> None:
        self._bodies: LRUCache[str, tuple[Operation, bytes]] = LRUCache(_BODIES_KEPT)

    def of(self, operation: Operation) -> bytes:
        view, body = self._bodies.get(operation.operation_id, (None, b""))
        if view is not operation:
            body = json_of(operation_fields(operation))
            self._bodies[operation.operation_id] = (operation, body)
        return body
