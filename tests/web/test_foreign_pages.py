"""What a page of another origin can do to a server, in a real browser: nothing, and it learns nothing."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.known_requests import known_requests
from tests.api.live import Live, with_a_year
from tests.refusals import everything

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_PAGE = f"<!doctype html><body><script>{(Path(__file__).parent / 'foreign_page.js').read_text()}</script>".encode()
_PATH_VALUES = {"symbol": "AAPL", "timeframe": "1d", "name": "strategy", "release": "0", "path": "js/app.js"}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def foreign_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site.server_port
        site.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`browser` first, so that it is not started for nothing."""
    with with_a_year(tmp_path_factory.mktemp("foreign") / "home") as server:
        yield server


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_changes_and_learns_nothing(
    browser: Browser, server: Live, foreign_port: int, host: str
) -> None:
    before, refused = everything(server.home), _refused(server)
    requests = list(_requests(server))
    page = browser.new_page()
    page.goto(f"http://{host}:{foreign_port}/")

    learned = page.evaluate("([server, requests]) => attack(server, requests)", [server.url, requests])

    page.close()
    assert learned == []
    assert everything(server.home) == before
    assert _refused(server) - refused > 5 * len(requests)


def _requests(server: Live) -> Iterator[dict[str, str | None]]:
    """One for each method and path of the OpenAPI document, right where that is known, and for the server's pages."""
    known = known_requests(server)
    for path, methods in server.http.get("/openapi.json").json()["paths"].items():
        for method in methods:
            request = known.get(f"{method.upper()} {path}", [{}])[0]
            body = request.get("body")
            yield {
                "method": method.upper(),
                "path": _fill(path, {**_PATH_VALUES, "operation_id": server.load} | request.get("path_parameters", {})),
                "body": body.decode() if isinstance(body, bytes) else body and json.dumps(body),
            }
    for path in ("/metrics", "/openapi.json", "/docs"):
        yield {"method": "GET", "path": path, "body": None}


def _fill(path: str, values: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda name: values[name[1]] or "none", path)


def _refused(server: Live) -> int:
    """How many requests the server has answered with 403."""
    lines = re.findall(
        r'^ktrdr_http_requests_total{.*status="403"} (\S+)$', server.http.get("/metrics").text, re.MULTILINE
    )
    return int(sum(map(float, lines)))
