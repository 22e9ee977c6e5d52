"""The whole application behind a real port of this process, which runs operations too."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from ktrdr.bootstrap import build_lanes, build_server, build_services
from ktrdr.executors.inline import InlineExecutor
from ktrdr.settings import Settings

API = "/api/v1"
STRATEGY = """name: Two epochs
model: {type: mlp, layers: 1, hidden_size: 8}
training: {epochs: 2, batch_size: 64}
indicators: [{name: rsi, period: 14}]
"""
SEARCH = STRATEGY.replace("hidden_size: 8", "hidden_size: {int: [4, 8]}") + "search: {trials: 2}\n"
START = {"strategy": STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"]}
LOAD = {"symbol": "AAPL", "timeframe": "1d", "provider": "sample"}
CSV = b"""timestamp,open,high,low,close,volume
2024-01-02,10,11,9,10.5,100
2024-01-03,10.5,12,10,11.5,200
"""
TABLE = b"""period,release,cpi
2024-01,2024-02-13,3.1
"""
_OUR_FAULTS = ("worker_error", "worker_died", "bridge_failed", "storage_failed")


class _Traces(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@dataclass
class Live:
    http: httpx.Client
    home: Path
    training: str = ""
    load: str = ""
    bundle: bytes = b""
    _traces: _Traces = field(default_factory=_Traces)

    @property
    def url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"{API}{path}", params=query or None)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """`body` is sent as JSON, `content` as it is."""
        return self.http.post(f"{API}{path}", json=body, **options)

    def end_of(self, operation_id: str) -> dict[str, Any]:
        """The operation once it has ended."""
        ended: dict[str, Any] = self.get(f"/operations/{operation_id}", wait=60).json()
        return ended

    def complete(self, path: str, body: dict[str, Any]) -> str:
        """The id of the operation that this request starts, which must complete."""
        operation_id: str = self.post(path, body).json()["operation_id"]
        assert self.end_of(operation_id)["status"] == "COMPLETED"
        return operation_id

    def count(self) -> int:
        """How many operations there are."""
        total: int = self.get("/operations").json()["total"]
        return total

    def unfinished(self) -> list[dict[str, Any]]:
        return [*self._of_status("PENDING"), *self._of_status("RUNNING")]

    def stack_traces(self) -> list[str]:
        """Those that this process logged, and the workers' log where it has any."""
        log = self.home / "logs" / "ktrdr.log"
        text = log.read_text(encoding="utf-8") if log.exists() else ""
        return self._traces.found + ([text] if "Traceback" in text else [])

    def crashes(self) -> list[str]:
        """Operations that ended by a fault of ours."""
        failed = self._of_status("FAILED")
        return [f"{one['operation_id']}: {one['error']}" for one in failed if one["error"]["code"] in _OUR_FAULTS]

    def end_all(self, within_s: float, loads_may_take_s: float = 5.0) -> list[str]:
        """Cancel what has not ended, loads after a while only; what is left all the same."""
        began = time.monotonic()
        while unfinished := self.unfinished():
            elapsed_s = time.monotonic() - began
            if elapsed_s > within_s:
                break
            for operation in unfinished:
                if operation["operation_type"] != "DATA_LOAD" or elapsed_s > loads_may_take_s:
                    self.post(f"/operations/{operation['operation_id']}/cancel")
            time.sleep(0.2)
        return [f"{operation['operation_id']} {operation['status']}" for operation in unfinished]

    def _of_status(self, status: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: str | None = ""
        while token is not None:
            params = {"status": status, "limit": "1000"} | ({"page_token": token} if token else {})
            page = self.get("/operations", **params).json()
            found, token = [*found, *page["operations"]], page["next_page_token"]
        return found


@contextmanager
def live(home: Path, **changes: Any) -> Iterator[Live]:
    """A server whose settings differ from the usual ones by `changes`."""
    settings = Settings(ktrdr_home=home, ktrdr_standby_workers=0, ktrdr_max_concurrent=1, **changes)
    services = build_services(settings, InlineExecutor(build_lanes(settings)))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(build_server(settings, services))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    traces = _Traces()
    logging.getLogger().addHandler(traces)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=70, trust_env=False) as http:
            yield Live(http, home, _traces=traces)
    finally:
        logging.getLogger().removeHandler(traces)
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def with_a_year(home: Path) -> Iterator[Live]:
    """With the sample's bars of 2023."""
    with live(home) as server:
        server.load = server.complete("/data/load", LOAD | {"start_date": "2023-01-01", "end_date": "2023-12-31"})
        yield server


@contextmanager
def furnished(home: Path) -> Iterator[Live]:
    """With something of everything in it."""
    with live(home) as server:
        server.load = server.complete("/data/load", LOAD)
        server.training = server.complete("/training/start", START)
        server.post("/tables/macro/import", content=TABLE, params={"known_at": "release", "filename": "macro.csv"})
        server.bundle = server.get(f"/models/{server.training}/bundle").content
        yield server
