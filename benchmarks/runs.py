"""A table of 10,000 runs: filtered and sorted by the command line, by a page's request, and read at a start."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

import httpx
import psutil

from benchmarks.outcome import Figure, below
from benchmarks.system import environment
from ktrdr.operations.operation import Operation, new_operation_id
from ktrdr.operations.store import EndedOperation
from ktrdr.payloads.runs import RunSummary
from ktrdr.registry.runs import SqlRunStore
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.e2e.system import System

RUNS = 10_000
ROUNDS = 9
_PER_TRANSACTION = 500
_QUERY = {"where": ["training.learning_rate<0.01", "status=completed"], "sort": "-lead"}
_OPTIONS = ["--where", "training.learning_rate<0.01", "--where", "status=completed", "--sort", "-lead"]


def run(runs: int = RUNS) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        system = System(Path(folder) / "runs", LOG_LEVEL="INFO")
        try:
            return _measure(system, runs)
        finally:
            system.close()


def _measure(system: System, runs: int) -> list[Figure]:
    system.start()
    system.load_sample("--start-date", "2023-06-01")
    before_mb = psutil.Process(system.pid).memory_info().rss / 1e6
    trained = system.train()
    system.wait_for_end(trained)
    summary = RunSummary.model_validate(system.get(f"/runs/{trained}").json())
    system.stop()
    asyncio.run(_multiply(system.home, trained, summary, runs))
    system.start()
    began = time.perf_counter()
    first = _table(system)
    first_s = time.perf_counter() - began
    if first["total"] < runs / 4:
        raise RuntimeError(f"only {first['total']} runs match")
    environ = environment() | {"KTRDR_API_URL": system.url}
    command = [sys.executable, "-m", "ktrdr.cli", "runs", *_OPTIONS]
    server = psutil.Process(system.pid)
    by_command = _cost(lambda: _output(command, environ), server)
    by_request, as_file = _cost(lambda: _table(system), server), _cost(lambda: _csv(system), server)
    return [
        Figure(f"ktrdr runs, {runs:,} runs filtered and sorted", by_command.seconds, "s", below(0.3)),
        Figure("… computed by the command and the server", by_command.computed_s, "s"),
        Figure("GET /runs, the same", by_request.seconds, "s", below(0.1)),
        Figure("… computed by the server", by_request.computed_s, "s"),
        Figure("GET /runs?format=csv, all runs and columns", as_file.seconds, "s"),
        Figure("the first GET /runs after a start", first_s, "s"),
        Figure("resident memory of the server", server.memory_info().rss / 1e6, "MB"),
        Figure("… before it had read the runs", before_mb, "MB"),
    ]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request took.

    seconds: until its answer
    computed_s: processor time, which other work on the machine hardly lengthens
    """

    seconds: float
    computed_s: float


def _cost(ask: Callable[[], object], server: psutil.Process) -> Cost:
    """Medians of several requests, after one that is not counted."""
    seconds, computed = [], []
    for _ in range(ROUNDS + 1):
        began, used = time.perf_counter(), _computed_s(server)
        ask()
        seconds.append(time.perf_counter() - began)
        computed.append(_computed_s(server) - used)
    return Cost(median(seconds[1:]), median(computed[1:]))


def _computed_s(server: psutil.Process) -> float:
    """Processor time of the server, and of the commands that have ended."""
    own, commands = server.cpu_times(), psutil.Process().cpu_times()
    return own.user + own.system + commands.children_user + commands.children_system


def _table(system: System) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{system.url}/api/v1/runs", params=_QUERY, timeout=60).raise_for_status().json()
    return found


def _csv(system: System) -> str:
    return httpx.get(f"{system.url}/api/v1/runs", params={"format": "csv"}, timeout=60).raise_for_status().text


def _output(command: list[str], environ: dict[str, str]) -> bytes:
    return subprocess.run(command, env=environ, check=True, capture_output=True).stdout


async def _multiply(home: Path, operation_id: str, summary: RunSummary, runs: int) -> None:
    """As many copies of a training that has ended, each with other settings and measures."""
    store = SqlOperationStore(sqlite_url(home / "registry.sqlite"))
    await store.open()
    original, results = await store.get(operation_id), await store.results(operation_id)
    assert original
    assert results
    copies = list(_copies(original, summary, runs))
    for first in range(0, runs, _PER_TRANSACTION):
        batch = copies[first : first + _PER_TRANSACTION]
        assert await store.add_ended([EndedOperation(operation, results, []) for operation, _ in batch])
        stored = {operation.operation_id: own.model_dump_json() for operation, own in batch}
        await SqlRunStore(store).put(stored)
    await store.close()


def _copies(original: Operation, summary: RunSummary, runs: int) -> Iterator[tuple[Operation, RunSummary]]:
    chance = random.Random(7)
    for number in range(runs):
        instant = original.created_at + timedelta(seconds=number)
        copy = replace(original, operation_id=new_operation_id("TRAINING"), created_at=instant, idempotency_key=None)
        parameters = {
            **summary.parameters,
            "training.learning_rate": round(10 ** chance.uniform(-4, -1), 6),
            "model.hidden_size": chance.choice([16, 32, 64]),
            "indicators[0].period": chance.randint(5, 60),
        }
        measures = summary.measures.model_copy(
            update={"lead": chance.gauss(0, 0.02), "val_loss": chance.gauss(0.69, 0.01), "p": chance.random()}
        )
        changes = {"operation_id": copy.operation_id, "created_at": instant, "parameters": parameters}
        yield copy, summary.model_copy(update={**changes, "measures": measures})
