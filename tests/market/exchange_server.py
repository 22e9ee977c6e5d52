"""A local HTTP server that answers as a source of bars does, with what a test gives it, in the source's own format."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.market.answers import SHARE, chart

CHART = "/v8/finance/chart/"


@dataclass(frozen=True, slots=True)
class Answer:
    """`cut` leaves out so many of the promised bytes; `slow_s` lets the asker wait."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    cut: int = 0
    slow_s: float = 0.0

    @classmethod
    def of(cls, body: Any, status: int = 200) -> Answer:
        return cls(json.dumps(body).encode(), status)


HTML = Answer(b"<!doctype html><html><body>Oops</body></html>", kind="text/html")

Chart = Callable[[dict[str, str]], "Answer"]
Answering = Callable[[str, dict[str, str]], Answer]


@dataclass
class Source:
    """`answer(path, query)` is asked for each request; `asked` holds what came."""

    answer: Answering
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def serving(answer: Answering) -> Iterator[Source]:
    source = Source(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            source.asked.append((parts.path, query))
            found = source.answer(parts.path, query)
            time.sleep(found.slow_s)
            self.send_response(found.status)
            self.send_header("content-type", found.kind)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body[: len(found.body) - found.cut])

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            return None

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            return None

    server = Quiet(("127.0.0.1", 0), Handler)
    source.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def yahoo(chart: Chart) -> Iterator[Source]:
    """Greets as Yahoo does; requests for bars are answered by `chart`."""
    with serving(lambda path, query: chart(query) if CHART in path else Answer(b"crumb", kind="text/plain")) as source:
        yield source


def yahoo_minutes(query: dict[str, str]) -> Answer:
    """A bar a minute from 15:00 to 15:10 UTC of each day."""
    first, last = int(query.get("period1", 0)), int(query.get("period2", 0))
    stamps = [stamp for stamp in range(first - first % 60, last, 60) if 54_000 <= stamp % 86_400 < 54_600]
    return Answer.of(chart(SHARE, [stamp for stamp in stamps if stamp >= first], "1m"))
