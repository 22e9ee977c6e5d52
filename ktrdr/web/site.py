"""The files of the server's own pages as they travel: read once, compressed once, named after what is in them."""

from __future__ import annotations

import gzip
import hashlib
import logging
import mimetypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

logger = logging.getLogger(__name__)

PAGE = "index.html"
SHEET = "app.css"
_HERE = Path(__file__).parent
_RELEASE_MARK = b"__RELEASE__"
_MODULES_MARK = b"<!-- modulepreload -->"
_SHEET_IMPORT = re.compile(rb'^@import url\("([^"]+)"\) layer\((\w+)\);$', re.MULTILINE)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    body: bytes
    compressed: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class VendoredFile:
    """A file of another installed package: `sha256` is that of its makers' own release, and nothing else is served."""

    name: str
    distribution: str
    path: str
    sha256: str


CHARTS = VendoredFile(
    name="lightweight-charts.js",  # TradingView Lightweight Charts 5.2.0, Apache License 2.0
    distribution="lwcharts",
    path="lwcharts/vendor/lightweight-charts.standalone.production.js",
    sha256="c0992580867c4912cc9385b3c2728315bcc1a76c7f1087dca908430fccdf31d7",
)
SWAGGER = (  # Swagger UI 5.32.6, Apache License 2.0
    VendoredFile(
        name="swagger-ui-bundle.js",
        distribution="fastapi-offline",
        path="fastapi_offline/static/swagger-ui-bundle.js",
        sha256="4b5a9b35a1adf37f00d39c0bae23cdb37007e2946240ef035137cc85b4d55349",
    ),
    VendoredFile(
        name="swagger-ui.css",
        distribution="fastapi-offline",
        path="fastapi_offline/static/swagger-ui.css",
        sha256="ca238f7d7c2cf4480c1e77a9c3b9da915ab216e96ffd354e69076560c650c6de",
    ),
)


@dataclass(frozen=True, slots=True)
class Site:
    """`release` changes with any file; under its name all of them may be kept for ever."""

    release: str
    page: StaticFile
    files: dict[str, StaticFile]


@cache
def load_site() -> Site:
    """The dashboard. The charts are missing where their package is, and the page then says so."""
    return _load(_HERE / "static", CHARTS)


@cache
def load_reference() -> Site:
    """The API's reference for people, at `/docs`. Without Swagger's package it only leads to the document."""
    return _load(_HERE / "reference", *SWAGGER)


def _load(folder: Path, *borrowed: VendoredFile) -> Site:
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _own_files(folder)}
    found = {file.name: borrow(file) for file in borrowed}
    contents |= {name: body for name, body in found.items() if body is not None}
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(name.encode() + b"\0" + contents[name])
    release = digest.hexdigest()[:16]
    _join_style_sheets(contents)
    page = contents.pop(PAGE).replace(_MODULES_MARK, _preloads(contents)).replace(_RELEASE_MARK, release.encode())
    files = {name: _static_file(name, body) for name, body in contents.items()}
    return Site(release, _static_file(PAGE, page), files)


def _join_style_sheets(contents: dict[str, bytes]) -> None:
    """Puts the sheets that app.css imports in place of their imports, each in its layer: one request for all."""
    if sheet := contents.get(SHEET):
        contents[SHEET] = _SHEET_IMPORT.sub(
            lambda found: b"@layer %s {\n%s}" % (found[2], contents.pop(found[1].decode())), sheet
        )


def _preloads(contents: Iterable[str]) -> bytes:
    """Links to all modules, so that a browser need not find one after the other in their imports."""
    links = [f'<link rel="modulepreload" href="web/__RELEASE__/{name}">' for name in contents if name.startswith("js/")]
    return "\n    ".join(links).encode()


def borrow(file: VendoredFile) -> bytes | None:
    """Its bytes, found without importing its package; None, and a line in the log, where they are not the right."""
    try:
        body = Path(str(distribution(file.distribution).locate_file(file.path))).read_bytes()
    except (PackageNotFoundError, OSError) as error:
        logger.warning("A page lacks %s of the package %s: %s", file.name, file.distribution, error)
        return None
    if hashlib.sha256(body).hexdigest() != file.sha256:
        logger.warning("A page lacks %s of the package %s: it was altered", file.name, file.distribution)
        return None
    return body


def _own_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES)


def _static_file(name: str, body: bytes) -> StaticFile:
    suffix = Path(name).suffix
    media_type = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return StaticFile(body, gzip.compress(body, 9, mtime=0), f"{media_type}; charset=utf-8", etag)
