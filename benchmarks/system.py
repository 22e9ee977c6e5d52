"""A real server process with a home of its own, for a benchmark to ask."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

STARTING_TIMEOUT_S = 120.0
_MEGABYTE_KB = 1024
HOST = "127.0.0.1"
STRATEGY = Path(__file__).parents[1] / "config" / "strategies" / "test_e2e.yaml"
HALF_A_YEAR = {"start_date": "2023-01-01", "end_date": "2023-06-30"}


def environment(**settings: str) -> dict[str, str]:
    """This process's, with the settings of the project at their defaults, and with bytecode kept as pip keeps it."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "LOG_LEVEL", "OPERATIONS_CACHE_TTL"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted and "KTRDR_" not in name}  # noqa: TID251
    return {**kept, **settings}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTING_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no server at port {port}")


def private_mb(pid: int) -> float:
    """Memory that a process shares with no other."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kb) for kb in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE)) / _MEGABYTE_KB


class Server:
    """`python -m ktrdr.server` in a temporary KTRDR_HOME, with sample bars of AAPL loaded and a worker warm."""

    def __init__(self, **settings: str) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="ktrdr-bench-", ignore_cleanup_errors=True)
        self.port = free_port()
        command = [sys.executable, "-m", "ktrdr.server", "--host", HOST, "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=environment(KTRDR_HOME=self._home.name, **settings), stderr=subprocess.DEVNULL
        )
        self._http = httpx.Client(base_url=f"http://{HOST}:{self.port}/api/v1", timeout=90)

    def __enter__(self) -> Self:
        try:
            await_port(self.port, self.process)
            loading = self.post("/data/load", symbol="AAPL", timeframe="1d", provider="sample")
            self.wait_for_end(loading["operation_id"])
            self.await_warm_worker()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self.process.terminate()
        self.process.wait(30)
        self._home.cleanup()

    @property
    def home(self) -> str:
        return self._home.name

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self._http.get(path, params=query).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def get_bytes(self, path: str) -> bytes:
        return self._http.get(path).raise_for_status().content

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self._http.post(path, json=body).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def wait_for_end(self, operation_id: str) -> dict[str, Any]:
        while True:
            operation = self.get(f"/operations/{operation_id}", wait=30)
            if operation["completed_at"]:
                return operation

    def await_warm_worker(self) -> None:
        deadline = time.monotonic() + STARTING_TIMEOUT_S
        while self.get("/health/ready")["workers"]["training"].get("warm", 0) < 1:
            if time.monotonic() > deadline:
                raise RuntimeError("no training worker became warm")
            time.sleep(0.1)

    def await_ended_workers(self) -> None:
        """Until the workers that trials have shared are gone, whose processor time then counts as their parent's."""
        deadline = time.monotonic() + STARTING_TIMEOUT_S
        while any(child.name() == "ktrdr-worker" for child in psutil.Process(self.process.pid).children()):
            if time.monotonic() > deadline:
                raise RuntimeError("a worker does not end")
            time.sleep(0.5)

    def progress(self, operation_id: str) -> dict[str, Any]:
        """As its bridge shows it at this moment."""
        progress: dict[str, Any] = self.get(f"/operations/{operation_id}", force_refresh=True)["progress"]
        return progress

    def start_short_training(self) -> str:
        """The job that ships for a first look: ten epochs on half a year of daily bars."""
        return self.start_training(STRATEGY.read_text(), **HALF_A_YEAR)

    @contextmanager
    def endless_training(self, *, epoch: int = 2, **dates: str) -> Iterator[str]:
        """One on AAPL's sample bars that runs until the block ends, in this epoch or a later one when it begins."""
        self.await_warm_worker()
        operation_id = self.start_training(re.sub(r"epochs: \d+", "epochs: 100000", STRATEGY.read_text()), **dates)
        try:
            while self.progress(operation_id)["current_step"] < epoch:
                time.sleep(0.002)
            yield operation_id
        finally:
            operation = self.get(f"/operations/{operation_id}")
            if operation["completed_at"]:
                raise RuntimeError(f"the training ended early: {operation['status']}, {operation['error']}")
            self.post(f"/operations/{operation_id}/cancel")
            self.wait_for_end(operation_id)

    def start_training(self, strategy: str, **dates: str) -> str:
        """A strategy's text on AAPL's sample bars of these dates, or of all."""
        started = self.post("/training/start", strategy=strategy, symbols=["AAPL"], timeframes=["1d"], **dates)
        operation_id: str = started["operation_id"]
        return operation_id
