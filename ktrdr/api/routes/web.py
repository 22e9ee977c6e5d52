"""The server's own pages: each at its address, its scripts and styles under names that change with them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ktrdr.web.site import Site, StaticFile, load_reference, load_site

_OF_ALL_PAGES = (
    "default-src 'none'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_STRICT = _OF_ALL_PAGES + "style-src 'self'; require-trusted-types-for 'script'"
# Swagger gives its elements styles of their own.
_FOR_SWAGGER = _OF_ALL_PAGES + "style-src 'self' 'unsafe-inline'"
_GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FOR_EVER = "public, max-age=31536000, immutable"


def _routes(address: str, files: str, load: Callable[[], Site], policy: str) -> tuple[Route, Route]:
    """A page at `address`, and its files below `files` and the name of their release."""
    guards = {**_GUARDS, "content-security-policy": policy}

    async def page(request: Request) -> Response:
        return _answer(request, load().page, {**guards, "cache-control": "no-cache"})

    async def file(request: Request) -> Response:
        site = load()
        found = site.files.get(request.path_params["path"])
        if found is None or request.path_params["release"] != site.release:
            raise HTTPException(404)
        return _answer(request, found, {**guards, "cache-control": _FOR_EVER})

    return Route(address, page), Route(files + "{release}/{path:path}", file)


ROUTES = (
    *_routes("/", "/web/", load_site, _STRICT),
    *_routes("/docs", "/reference/", load_reference, _FOR_SWAGGER),
)


def _answer(request: Request, static: StaticFile, headers: dict[str, str]) -> Response:
    headers |= {"etag": static.etag, "vary": "accept-encoding"}
    if static.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(static.body, media_type=static.media_type, headers=headers)
    headers["content-encoding"] = "gzip"
    return Response(static.compressed, media_type=static.media_type, headers=headers)
