"""What surrounds every request: an id, a limit on its body, a line in the log, a count."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ktrdr.api.root_path import path_below_root
from ktrdr.logs import on_behalf_of

logger = logging.getLogger(__name__)

BODY_LIMIT = 2 * 1024 * 1024
UPLOAD_LIMIT = 1024 * 1024 * 1024
_UPLOADS = ("/import", "/models/bundles")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class RequestMetrics:
    """Requests and their seconds, by method, route and status."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seconds: defaultdict[tuple[str, str, int], float] = field(default_factory=lambda: defaultdict(float))


class BodyTooLarge(HTTPException):
    """An HTTPException, since FastAPI hides every other error that the reading of a body raises."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body is larger than {limit:,} bytes")


class RequestContext:
    """Pure ASGI, because it stands on the poll path.

    `answer_stopped` makes the answer to a request that a stop of the server has cut short.
    """

    def __init__(self, app: ASGIApp, traffic: RequestMetrics, answer_stopped: Callable[[Scope], Response]) -> None:
        self._app = app
        self._traffic = traffic
        self._answer_stopped = answer_stopped
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or f"req-{next(self._numbers):x}"
        token = on_behalf_of.set(request_id)
        started = time.perf_counter()
        status, has_answer = 500, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, has_answer
            if message["type"] == "http.response.start":
                status, has_answer = message["status"], True
                message["headers"].append((b"x-request-id", request_id.encode("latin-1")))
            await send(message)

        is_read = scope["method"] in {"GET", "HEAD"}
        try:
            await self._app(scope, receive if is_read else _limited(scope, receive), send_with_id)
        except asyncio.CancelledError:  # the server stops, and has waited as long as it may
            if has_answer:
                raise
            await self._answer_stopped(scope)(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            key = (scope["method"], _route(scope), status)
            self._traffic.requests[key] += 1
            self._traffic.seconds[key] += seconds
            level = logging.DEBUG if is_read and status < 500 else logging.INFO
            if logger.isEnabledFor(level):
                logger.log(level, "%s %s %d in %.1f ms", scope["method"], scope["path"], status, seconds * 1000)
            on_behalf_of.reset(token)


def _route(scope: Scope) -> str:
    """The route's own path, with names in place of values: there are only so many of them."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None:
        return path_below_root(scope) if "endpoint" in scope and not scope.get("path_params") else "unmatched"
    return path


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "latin-1")
    return None


def _limited(scope: Scope, receive: Receive) -> Receive:
    limit = UPLOAD_LIMIT if scope["path"].endswith(_UPLOADS) else BODY_LIMIT
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge(limit)
        return message

    return receive_within_limit
