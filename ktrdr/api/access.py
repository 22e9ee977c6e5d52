"""Who may call: the token, the Host check against DNS rebinding, and the check against pages of other origins."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ktrdr.api.problems import problem
from ktrdr.api.root_path import path_below_root

OPEN_PATH = "/api/v1/health"
PAGE_PATHS = ("/", "/web/")
ANY_HOST = "*"
_PORTS = {"http": 80, "https": 443}
_Headers = Mapping[bytes, bytes]


class _Refusal(NamedTuple):
    status: int
    code: str
    detail: str
    hint: str


class Access:
    """Pure ASGI, because it stands on the poll path.

    With a token every request but the health check and those for the dashboard's files, which are the same everywhere,
    must carry it, and needs no other proof. Without one the caller is trusted for being on this machine, so that a page
    of another origin must not be able to speak for him: the Host must be one of `allowed_hosts`, and such a page can do
    nothing but link to the server's pages.
    """

    def __init__(self, app: ASGIApp, token: str, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refuse(scope)):
            response = problem(Request(scope), *refusal)
            if refusal.status == 401:
                response.headers["www-authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> _Refusal | None:
        headers = dict(scope["headers"])
        if self._authorization:
            if _is_open(scope) or hmac.compare_digest(headers.get(b"authorization", b""), self._authorization):
                return None
            return _Refusal(
                401, "unauthorized", "this server asks for a token", "set KTRDR_API_TOKEN to the server's own"
            )
        host = _hostname(headers.get(b"host", b"").decode("latin-1"))
        if ANY_HOST not in self._allowed_hosts and host not in self._allowed_hosts:
            hint = "name it in KTRDR_ALLOWED_HOSTS where that is meant"
            return _Refusal(421, "unknown_host", f"this server does not answer for the host {host!r}", hint)
        if not _is_own_origin(scope["scheme"], headers) and not _is_link(scope["method"], headers):
            origin = headers.get(b"origin", b"another origin").decode("latin-1")
            return _Refusal(
                403, "foreign_origin", f"a page of {origin} may not ask this server", "use the server's own pages"
            )
        return None


def _is_open(scope: Scope) -> bool:
    path, (page, files) = path_below_root(scope), PAGE_PATHS
    return path == OPEN_PATH or (scope["method"] in {"GET", "HEAD"} and (path == page or path.startswith(files)))


def _is_own_origin(scheme: str, headers: _Headers) -> bool:
    """Whether the request comes from a page of this server, or from no page at all.

    A browser that sends Sec-Fetch-Site has compared the origins itself; of others the Origin is compared with the
    address that they called. Programs send neither.
    """
    if site := headers.get(b"sec-fetch-site"):
        return site in {b"same-origin", b"none"}
    if (origin := headers.get(b"origin")) is None:
        return True
    host = headers.get(b"host", b"").decode("latin-1")
    return _is_same_origin(origin.decode("latin-1"), f"{scheme}://{host}")


def _is_link(method: str, headers: _Headers) -> bool:
    """Whether somebody followed a link to a document, which is then a page of its own."""
    wanted = (headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest"))
    return method == "GET" and wanted == (b"navigate", b"document")


@lru_cache(maxsize=256)
def _is_same_origin(origin: str, address: str) -> bool:
    """Whether both have the same scheme, host and port."""
    called = _split_origin(address)
    return called is not None and _split_origin(origin) == called


def _split_origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
