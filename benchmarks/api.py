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
from statistics import median

import psutil

from benchmarks.outcome import Figure, at_least, below
from benchmarks.system import HOST, Server, await_port, free_port

CONNECTIONS = (1, 16, 100)
CONNECTIONS_WHILE_TRAINING = 16
SECONDS = 2.0
ROUNDS = 7
TRAININGS = 5
POLLS_PER_SECOND = 20

Load = dict[str, float]


def run(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Figure]:
    with Server() as server:
        operation_id = server.start_short_training()
        server.wait_for_end(operation_id)
        server.await_warm_worker()
        path = f"/api/v1/operations/{operation_id}"
        with bare_route(server.get_bytes(f"/operations/{operation_id}")) as (bare, bare_port):
            contestants = {"ours": (server.process, server.port), "bare": (bare, bare_port)}
            loads: dict[tuple[str, int], list[Load]] = {}
            for turn in range(rounds):
                for connections in CONNECTIONS:
                    for name in list(contestants)[:: 1 if turn % 2 else -1]:
                        load = _measured(*contestants[name], path, connections, seconds)
                        loads.setdefault((name, connections), []).append(load)
            idle = [figure for n in CONNECTIONS for figure in _idle_figures(n, loads["ours", n], loads["bare", n])]
            return [*idle, *_figures_while_training(server, bare_port, path, TRAININGS, seconds)]


def _idle_figures(connections: int, ours: list[Load], others: list[Load]) -> Iterator[Figure]:
    where = f"GET operation, idle, {connections} connection{'s' * (connections > 1)}"
    many, hundred = connections > 1, connections == 100
    yield Figure(f"{where}: requests/s", _median(ours, "per_second"), "1/s")
    yield Figure(f"{where}: bare route", _median(others, "per_second"), "1/s")
    yield Figure(f"{where}: ÷ bare route", _ratio(ours, others, "per_second"), "×", at_least(0.8) if many else None)
    yield Figure(f"{where}: ÷ bare route, per processor second", _ratio(ours, others, "per_cpu_second"), "×")
    yield Figure(f"{where}: p50", _median(ours, "p50_ms"), "ms")
    yield Figure(f"{where}: p99", _median(ours, "p99_ms"), "ms", below(30) if hundred else None)
    yield Figure(f"{where}: p99 of the bare route", _median(others, "p99_ms"), "ms")


def _figures_while_training(
    server: Server, bare_port: int, idle_path: str, trainings: int, seconds: float
) -> Iterator[Figure]:
    """The training's own operation is polled, so that its view is refreshed from its bridge again and again."""
    connections = CONNECTIONS_WHILE_TRAINING
    idle, busy, bare_idle, bare_busy, gentle = [], [], [], [], []
    for _ in range(trainings):
        server.await_warm_worker()
        idle.append(put_load(server.port, idle_path, connections, seconds))
        bare_idle.append(put_load(bare_port, idle_path, connections, seconds))
        with server.endless_training() as operation_id:
            path = f"/api/v1/operations/{operation_id}"
            busy.append(put_load(server.port, path, connections, seconds))
            bare_busy.append(put_load(bare_port, path, connections, seconds))
            gentle.append(put_load(server.port, path, connections, seconds, POLLS_PER_SECOND))
    where = f"GET operation while training, {connections} connections"
    yield Figure(f"{where}: requests/s", _median(busy, "per_second"), "1/s")
    yield Figure(f"{where}: p50", _median(busy, "p50_ms"), "ms")
    yield Figure(f"{where}: p99", _median(busy, "p99_ms"), "ms")
    yield Figure(f"{where}: p99 ÷ idle p99", _ratio(busy, idle, "p99_ms"), "×", below(5))
    yield Figure(f"{where}: the same of the bare route", _ratio(bare_busy, bare_idle, "p99_ms"), "×")
    yield Figure(f"{where}, each {POLLS_PER_SECOND}/s: p50", _median(gentle, "p50_ms"), "ms")
    yield Figure(f"{where}, each {POLLS_PER_SECOND}/s: p99", _median(gentle, "p99_ms"), "ms")
    yield Figure(f"{where}: errors", sum(load["errors"] for load in (*busy, *gentle)), "", below(1))


def _median(loads: list[Load], field: str) -> float:
    return median(load[field] for load in loads)


def _ratio(loads: list[Load], others: list[Load], field: str) -> float:
    return median(load[field] / other[field] for load, other in zip(loads, others, strict=True))


def _measured(process: subprocess.Popen[bytes], port: int, path: str, connections: int, seconds: float) -> Load:
    """With the requests that the server answered in a second of its processor time, which a busy machine leaves be."""
    server = psutil.Process(process.pid)
    before = server.cpu_times()
    load = put_load(port, path, connections, seconds)
    after = server.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return {**load, "per_cpu_second": load["requests_in_all"] / used_s}


def put_load(port: int, path: str, connections: int, seconds: float, per_second: float = 0.0) -> Load:
    command = [sys.executable, "-m", "benchmarks.load", HOST, str(port), path, str(connections), str(seconds)]
    if per_second:
        command.append(str(per_second))
    found: Load = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


@contextmanager
def bare_route(body: bytes) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="ktrdr-bench-") as file:
        file.write(body)
        file.flush()
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_server", str(port), file.name])
        try:
            await_port(port, process)
            yield process, port
        finally:
            process.terminate()
            process.wait(30)
