"""The API's reference for people, Swagger and ReDoc, from files of an installed package: it works without a network."""

from __future__ import annotations

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

_FILES = "/reference"
_DOCUMENT = "/openapi.json"
_ICON = f"{_FILES}/favicon.png"


async def swagger(_: Request) -> Response:
    return get_swagger_ui_html(
        openapi_url=_DOCUMENT,
        title="ktrdr API",
        swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{_FILES}/swagger-ui.css",
        swagger_favicon_url=_ICON,
    )


async def redoc(_: Request) -> Response:
    return get_redoc_html(
        openapi_url=_DOCUMENT,
        title="ktrdr API",
        redoc_js_url=f"{_FILES}/redoc.standalone.js",
        redoc_favicon_url=_ICON,
        with_google_fonts=False,
    )


ROUTES = (
    Route("/docs", swagger),
    Route("/redoc", redoc),
    Mount(_FILES, StaticFiles(packages=[("fastapi_offline", "static")])),
)
