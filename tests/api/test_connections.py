"""Half-open, slow and too many connections, by raw sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from ktrdr.api.connections import BoundedConnection, ConnectionLimits
from tests.e2e.system import System, until
from tests.web.conftest import STRATEGY, start

LIMITS = ConnectionLimits(timeout_s=0.4, count=8)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW = GET.replace(b"/ ", b"/slow ")
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n"
LOST_AFTER_S = 5.0


class _App:
    """Answers when it has the whole body; `/slow` when `go_on` is set, and `/early` without reading."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        if scope["path"] == "/slow":
            await asyncio.to_thread(self.go_on.wait)
        while scope["path"] != "/early":
            message = await receive()
            if message["type"] == "http.disconnect" or not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


class _Served:
    def __init__(self, app: _App) -> None:
        self.app = app
        self._stack = ExitStack()
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            http=partial(BoundedConnection, limits=LIMITS),  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            ws="none",
            timeout_keep_alive=60,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> _Served:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.app.go_on.set()
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def forget(self) -> None:
        """Close all connections, and wait until the server has seen it."""
        self._stack.close()
        until(lambda: not self._server.server_state.connections)

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(self._listener.getsockname(), timeout=LOST_AFTER_S)
        self._stack.enter_context(closing(connection))
        connection.sendall(sent)
        return connection


@pytest.fixture(scope="module")
def server() -> Iterator[_Served]:
    with _Served(_App()) as server:
        yield server


@pytest.fixture
def served(server: _Served) -> Iterator[_Served]:
    yield server
    server.forget()


def is_answered(connection: socket.socket) -> bool:
    return connection.recv(4096).startswith(b"HTTP/1.1 204")


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes the connection without another word."""
    try:
        return connection.recv(4096) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"G", GET[:-2], POST, POST + b"half", b"\r\n"], ids=repr)
def test_a_request_that_does_not_come_whole_is_given_up(served: _Served, sent: bytes) -> None:
    assert is_closed(served.connect(sent))


@pytest.mark.parametrize("sent", [b"\r\n", b"G", POST + b"half"], ids=repr)
def test_so_is_one_on_a_connection_that_was_used_before(served: _Served, sent: bytes) -> None:
    connection = served.connect(GET)
    assert is_answered(connection)

    connection.sendall(sent)

    assert is_closed(connection)


def test_a_header_that_drips_has_one_deadline(served: _Served) -> None:
    connection = served.connect(GET[:-4])
    connection.settimeout(LIMITS.timeout_s / 4)
    pieces = 0
    while pieces < 100:
        try:
            if is_closed(connection):
                break
        except TimeoutError:
            pieces += 1
            connection.sendall(b"x")

    assert 1 <= pieces < 10


def test_a_body_that_goes_on_coming_is_waited_for(served: _Served) -> None:
    connection = served.connect(POST)
    connection.settimeout(LIMITS.timeout_s / 2)
    for _ in range(4):
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(b"slow!")

    assert is_answered(connection)


def test_an_endless_header_is_refused(served: _Served) -> None:
    connection = served.connect(GET[:-2] + b"x: ")

    with pytest.raises(ConnectionError):
        connection.sendall(b"x" * 100_000_000)


def test_a_client_that_goes_on_sending_after_its_answer_has_its_deadline_too(served: _Served) -> None:
    connection = served.connect(POST.replace(b"/ ", b"/early "))
    assert is_answered(connection)

    connection.sendall(b"half")

    assert is_closed(connection)


def test_beyond_the_limit_the_longest_waiting_makes_room_and_none_that_is_served(served: _Served) -> None:
    before = served.app.asked.count("/slow")
    slow = [served.connect(SLOW) for _ in range(LIMITS.count - 2)]
    until(lambda: served.app.asked.count("/slow") == before + len(slow))
    used = served.connect(GET)
    assert is_answered(used)
    idle = served.connect()

    newest = [served.connect(GET), served.connect(GET)]

    assert is_closed(used)
    assert is_closed(idle)
    assert all(is_answered(connection) for connection in newest)
    served.app.go_on.set()
    assert all(is_answered(connection) for connection in slow)


@pytest.mark.slow
@pytest.mark.processes
def test_half_open_connections_leave_files_for_a_training_and_for_others(tmp_path: Path) -> None:
    system = System(tmp_path, LOG_LEVEL="INFO", KTRDR_REQUEST_TIMEOUT="600")
    with ExitStack() as stack:
        stack.callback(system.close)
        system.start(["bash", "-c", 'ulimit -n 128; exec "$@"', "--"])
        load = system.post("/data/load", {"symbol": "AAPL", "timeframe": "1d", "provider": "sample"}).json()
        system.ended(load["operation_id"])

        for number in range(300):
            connection = stack.enter_context(closing(socket.create_connection(("127.0.0.1", system.port))))
            connection.sendall(b"GET /api/v1/health HT" if number % 2 else b"")
        training = start(system, STRATEGY.format(name="Beside them", epochs=2, seed=1))

        system.ended(training)
        assert httpx.get(f"{system.url}/api/v1/health", trust_env=False).json() == {"status": "ok"}
        assert not system.lines("ERROR|Too many open files|Errno 24")
        system.stop()
