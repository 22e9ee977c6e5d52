"""A server on a loopback port that answers what a test tells it to, and notes what it was asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tests.sample_results import classification, training

Answer = tuple[int, Any]
BROKEN: Answer = (0, None)


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FakeServer:
    """`on("GET", "/data", a, b)`: the first request gets `a`, all later ones `b`. BROKEN breaks the connection."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    _answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)

    def on(self, method: str, path: str, *answers: Any) -> None:
        self._answers[method, path] = [answer if isinstance(answer, tuple) else (200, answer) for answer in answers]

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        answers = self._answers.get((asked.method, asked.path))
        if not answers:
            return problem(404, "not_found", f"no route {asked.method} {asked.path}")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def paths(self, method: str) -> list[str]:
        return [asked.path for asked in self.asked if asked.method == method]


def problem(status: int, code: str, detail: str, hint: str = "", **context: Any) -> Answer:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, "hint": hint}
    return status, {**body, "instance": "", **context}


def _handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).removeprefix("/api/v1")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = fake.answer(Asked(self.command, path, dict(parse_qsl(parts.query)), body, headers))
            if not status:
                self.close_connection = True
                return
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if isinstance(answer, bytes) else "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET
        do_PUT = do_GET
        do_PATCH = do_GET
        do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            return None

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return None


@contextmanager
def serving(fake: FakeServer, port: int = 0) -> Iterator[FakeServer]:
    server = _Server(("127.0.0.1", port), _handler(fake))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A fake server that KTRDR_API_URL points to; the working folder is empty, without a `.env`."""
    monkeypatch.chdir(tmp_path)
    with serving(FakeServer()) as fake:
        monkeypatch.setenv("KTRDR_API_URL", fake.url)
        yield fake


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def ktrdr(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command line in this process."""
    from ktrdr.cli import main

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


TRAINING = "op_training_20230630_abc123"
LOAD = "op_data_load_20230630_abc123"


def operation(status: str, epochs: int = 0, **changes: Any) -> dict[str, Any]:
    """A training of 4 epochs as the server shows it."""
    running = status != "PENDING"
    return {
        "operation_id": TRAINING,
        "status": status,
        "operation_type": "TRAINING",
        "created_at": "2023-06-30T10:00:00Z",
        "updated_at": "2023-06-30T10:00:02Z",
        "started_at": "2023-06-30T10:00:01Z" if running else None,
        "completed_at": "2023-06-30T10:00:05Z" if status in ("COMPLETED", "FAILED", "CANCELLED") else None,
        "progress": {
            "percentage": 25.0 * epochs,
            "message": f"Epoch {epochs}/4" if running else "Waiting for a worker",
            "current_step": epochs,
            "items_processed": 32 * epochs,
            "epoch_index": epochs,
            "total_epochs": 4,
        },
        "metadata": {"symbols": ["AAPL"], "timeframes": ["1d"], "strategy": "test_e2e"},
        "error": None,
        "parent_id": None,
        **changes,
    }


def epochs(first: int, last: int) -> dict[str, Any]:
    """The page of metrics with these epochs; epoch 2 has the least validation loss."""
    rows = [
        {
            "epoch": epoch,
            "train_loss": 0.7 - epoch / 100,
            "train_accuracy": 0.5 + epoch / 100,
            "val_loss": 0.69 + abs(epoch - 2) / 100,
            "val_accuracy": 0.55,
            "learning_rate": 0.001,
            "duration": 0.5,
            "timestamp": "2023-06-30T10:00:01Z",
        }
        for epoch in range(first, last + 1)
    ]
    return {"metrics": rows, "new_cursor": last}


def results(accuracy: float = 0.6, **changes: Any) -> dict[str, Any]:
    """Of a training, as the server sends them."""
    whole = training(f"/home/models/{TRAINING}", evaluation=classification(accuracy), **changes)
    return whole.model_dump(mode="json", exclude_unset=True)


def started(operation_id: str = TRAINING, message: str = "Training started") -> Answer:
    return 202, {
        "operation_id": operation_id,
        "status": "running",
        "message": message,
        "created_at": "2023-06-30T10:00:00Z",
    }


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    file = tmp_path / "test_e2e.yaml"
    file.write_text("name: A strategy\nmodel: {type: lstm}\n", encoding="utf-8")
    return file


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The programs that command lines become; here each ends at once. The working folder is empty."""
    monkeypatch.chdir(tmp_path)
    seen: list[list[str]] = []

    def execv(_: str, command: list[str]) -> None:
        seen.append(command)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "platform", "linux")
    return seen
