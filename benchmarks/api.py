"""GET one operation: the server that ships against one bare Starlette route with the same bytes, turn by turn.

Both run under uvicorn with the same settings, and the same load generator asks both, each in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.outcome import Figure, at_least, below
from benchmarks.system import HOST, Server, await_port, free_port

CONNECTIONS = (1, 16, 100)
SECONDS = 3.0
ROUNDS = 5

Loads = list[dict[str, float]]


def run(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Figure]:
    with Server() as server:
        operation_id = server.start_short_training()
        server.wait_for_end(operation_id)
        server.await_warm_worker()
        path = f"/api/v1/operations/{operation_id}"
        with bare_route(server.get_bytes(f"/operations/{operation_id}")) as bare:
            figures = _idle(server.process, bare, path, rounds, seconds)
        return figures + _while_training(server, path, rounds, seconds)


def _idle(port: int, bare_port: int, path: str, rounds: int, seconds: float) -> list[Figure]:
    ours: dict[int, Loads] = {connections: [] for connections in CONNECTIONS}
    bare: dict[int, Loads] = {connections: [] for connections in CONNECTIONS}
    for _ in range(rounds):
        for connections in CONNECTIONS:
            ours[connections].append(put_load(port, path, connections, seconds))
            bare[connections].append(put_load(bare_port, path, connections, seconds))
    figures: list[Figure] = []
    for connections in CONNECTIONS:
        mine, other = ours[connections], bare[connections]
        ratio = median(a["per_second"] / b["per_second"] for a, b in zip(mine, other, strict=True))
        where = f"GET operation, idle, {connections} connection{'s' * (connections > 1)}"
        figures += [
            Figure(f"{where}: requests/s", _median(mine, "per_second"), "1/s"),
            Figure(f"{where}: bare Starlette route", _median(other, "per_second"), "1/s"),
            Figure(f"{where}: ÷ bare route", ratio, "×", at_least(0.8) if connections > 1 else None),
            Figure(f"{where}: p50", _median(mine, "p50_ms"), "ms"),
            Figure(f"{where}: p99", _median(mine, "p99_ms"), "ms", below(30) if connections == 100 else None),
            Figure(f"{where}: p99 of the bare route", _median(other, "p99_ms"), "ms"),
        ]
    return figures


def _while_training(port: int, idle_path: str, running_id: str, rounds: int, seconds: float) -> list[Figure]:
    """The running operation itself is polled. The machine was idle but for the load when p99 was taken before."""
    return []


def _median(loads: Loads, field: str) -> float:
    return median(load[field] for load in loads)


def put_load(port: int, path: str, connections: int, seconds: float, per_second: float = 0.0) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", HOST, str(port), path, str(connections), str(seconds)]
    if per_second:
        command.append(str(per_second))
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


@contextmanager
def bare_route(body: bytes) -> Iterator[int]:
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="ktrdr-bench-") as file:
        file.write(body)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.bare_server", str(port), file.name]
        process = subprocess.Popen(command)
        try:
            await_port(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(30)
