"""Who may call: the token, the Host check against DNS rebinding, and the Origin check against other sites' pages."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ktrdr.api.problems import problem
from ktrdr.api.root_path import path_below_root

OPEN_PATH = "/api/v1/health"
PAGE_PATHS = ("/", "/web/")
ANY_HOST = "*"


class Access:
    """Pure ASGI, because it stands on the poll path.

    With a token every request but the health check and those for the dashboard's files, which are the same everywhere,
    must carry it, and needs no other proof. Without one the caller is trusted for being on this machine, so that a page
    of another site must not be able to speak for him: the Host must be one of `allowed_hosts`, and the Origin of a
    request that changes something must be that same host.
    """

    def __init__(self, app: ASGIApp, token: str, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            status, code, detail, hint = refusal
            response = problem(Request(scope), status, code, detail, hint)
            if status == 401:
                response.headers["www-authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str, str] | None:
        headers = dict(scope["headers"])
        if self._authorization:
            if _is_open(scope) or hmac.compare_digest(headers.get(b"authorization", b""), self._authorization):
                return None
            return 401, "unauthorized", "this server asks for a token", "set KTRDR_API_TOKEN to the server's own"
        host = _hostname(headers.get(b"host", b"").decode("latin-1"))
        if ANY_HOST not in self._allowed_hosts and host not in self._allowed_hosts:
            hint = "name it in KTRDR_ALLOWED_HOSTS where that is meant"
            return 421, "unknown_host", f"this server does not answer for the host {host!r}", hint
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and scope["method"] not in {"GET", "HEAD"} and (urlsplit(origin).hostname or "") != host:
            return (
                403,
                "foreign_origin",
                f"a page of {origin} may not change anything here",
                "use the server's own pages",
            )
        return None


def _is_open(scope: Scope) -> bool:
    path, (page, files) = path_below_root(scope), PAGE_PATHS
    return path == OPEN_PATH or (scope["method"] in {"GET", "HEAD"} and (path == page or path.startswith(files)))


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
