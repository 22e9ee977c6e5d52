"""Errors on the wire: RFC 9457 problem details, made in this one place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Scope

from ktrdr import errors
from ktrdr.api.middleware import BodyTooLarge

logger = logging.getLogger(__name__)

STATUS_OF: dict[type[errors.KtrdrError], int] = {
    errors.InputError: 422,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.TrainingDataError: 422,
    errors.ProviderError: 502,
    errors.StorageError: 503,
}


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.KtrdrError, _on_ktrdr_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(BodyTooLarge, _on_body_too_large)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(OSError, _on_system_error)
    app.add_exception_handler(ImportError, _on_unreadable_library)
    app.add_exception_handler(Exception, _on_unexpected)


# What a problem says by itself; the context of an error cannot change it.
_MEMBERS = frozenset({"type", "title", "status", "code", "detail", "hint", "instance"})


def problem(
    request: Request, status: int, code: str, detail: str, hint: str = "", context: Mapping[str, Any] | None = None
) -> Response:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
        "instance": _path(request),
        **{key: value for key, value in (context or {}).items() if key not in _MEMBERS},
    }
    content = to_json(_sendable(errors.bounded_data(body)), inf_nan_mode="strings", fallback=str)
    return Response(content, status_code=status, media_type="application/problem+json")


def _path(request: Request) -> str:
    """The path alone: `request.url` raises for a query that is no UTF-8."""
    path: str = request.scope["path"]
    return path


def _sendable(value: Any) -> Any:
    """What a caller sent comes back in a problem, also when it is no text that UTF-8 knows."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(item) for item in value]
    return value


async def _on_ktrdr_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.KtrdrError)
    status = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), 500)
    if status >= 500:
        logger.error("%s %s: %s", request.method, _path(request), error.detail)
    return problem(request, status, error.code, error.detail, error.hint, error.context)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(found) for found in error.errors()]
    detail = "; ".join(f"{fault['path']}: {fault['message']}" for fault in faults)
    is_json = not any(found["type"] == "json_invalid" for found in error.errors())
    hint = "see the request's schema at /docs" if is_json else "send a JSON document as the body"
    return problem(request, 422, "invalid_request", detail, hint, {"faults": faults})


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    where, *path = found["loc"]
    value = found.get("input")
    shown = value if isinstance(value, str | int | float | bool) and len(str(value)) <= 200 else None
    return {
        "path": ".".join(str(part) for part in path) or str(where),
        "message": found["msg"] + (f"; it is {shown!r}" if shown is not None else ""),
        "value": shown,
    }


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status == 400:
        hint = "send a JSON document in UTF-8 as the body"
        return problem(request, 422, "invalid_request", "the body cannot be read as JSON", hint)
    if status == 404:
        detail = f"there is nothing at {_path(request)}"
    elif status == 405:
        detail = f"{request.method} is not allowed at {_path(request)}"
    else:
        detail = str(error.detail)
    response = problem(request, status, HTTPStatus(status).name.lower(), detail, "the routes are listed at /docs")
    response.headers.update(error.headers or {})
    return response


async def _on_body_too_large(request: Request, error: Exception) -> Response:
    assert isinstance(error, BodyTooLarge)
    return problem(request, 413, "body_too_large", error.detail, "large files of bars go through: ktrdr data import")


async def _on_disconnect(request: Request, error: Exception) -> Response:
    logger.info("%s %s: the client went away before its request was complete", request.method, _path(request))
    return problem(request, 422, "incomplete_request", "the request ended before it was complete")


async def _on_system_error(request: Request, error: Exception) -> Response:
    """The disk fails, or no descriptor is free: the same request may succeed later."""
    logger.error("%s %s met an error of the system", request.method, _path(request), exc_info=error)
    return await _on_ktrdr_error(
        request, errors.StorageError(f"the system cannot do this just now: {error}", hint="try again; see ktrdr.log")
    )


async def _on_unreadable_library(request: Request, error: Exception) -> Response:
    """The disk failed while a library was imported; compiled ones cannot be imported again by the same process."""
    logger.error("%s %s needs a library that could not be imported", request.method, _path(request), exc_info=error)
    hint = "try again; if this goes on, restart the server: trainings go on meanwhile, and nothing is lost"
    return await _on_ktrdr_error(request, errors.StorageError(f"a library cannot be read: {error}", hint=hint))


def stopped(scope: Scope) -> Response:
    """The answer to a request that a stop of the server has cut short."""
    hint = "try again once it serves; with the same Idempotency-Key nothing is started twice"
    return problem(Request(scope), 503, "server_stopped", "the server was stopped before the request had ended", hint)


async def _on_unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %s ended in an unexpected error", request.method, _path(request), exc_info=error)
    return problem(
        request,
        500,
        "internal_error",
        "the server met an unexpected error; it is described in its log",
        "see ktrdr.log",
    )
