"""The dashboard: its page at the root, its scripts and styles under names that change with them."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ktrdr.web.site import StaticFile, load_site

PREFIX = "/web/"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_GUARDS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FOR_EVER = "public, max-age=31536000, immutable"


async def page(request: Request) -> Response:
    return _answer(request, load_site().page, "no-cache")


async def file(request: Request) -> Response:
    site = load_site()
    found = site.files.get(request.path_params["path"])
    if found is None or request.path_params["release"] != site.release:
        raise HTTPException(404)
    return _answer(request, found, _FOR_EVER)


ROUTES = (Route("/", page), Route(PREFIX + "{release}/{path:path}", file))


def _answer(request: Request, static: StaticFile, cache_control: str) -> Response:
    headers = {**_GUARDS, "cache-control": cache_control, "etag": static.etag, "vary": "accept-encoding"}
    if static.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(static.body, media_type=static.media_type, headers=headers)
    headers["content-encoding"] = "gzip"
    return Response(static.compressed, media_type=static.media_type, headers=headers)
