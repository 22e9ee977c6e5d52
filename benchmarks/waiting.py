"""What 5,000 waiting trainings cost: a restart of the server, one more start, and open files."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

import psutil

from benchmarks.outcome import Figure, below
from ktrdr.operations.operation import Operation, new_operation_id
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.chaos.reference import BRIEF, request
from tests.e2e.system import System, lengthened

WAITING = 5_000
STARTS = 10
RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step took.

    seconds: until its answer
    computed_s: processor time of the server
    """

    seconds: float
    computed_s: float


def run(waiting: int = WAITING) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        system = System(Path(folder) / "waiting", LOG_LEVEL="INFO", KTRDR_MAX_CONCURRENT="1")
        try:
            return _measure(system, Path(folder), waiting)
        finally:
            system.close()


def _measure(system: System, folder: Path, waiting: int) -> list[Figure]:
    system.start()
    system.load_sample("--start-date", "2023-06-01")
    running = system.train(lengthened(folder, 100_000, "endless"))
    first = _start(system)
    few = _cost(system)
    system.stop()
    asyncio.run(_multiply(system.home, first, waiting))
    system.start()
    restarts = [_restart(system) for _ in range(RESTARTS)]
    shown = system.get("/operations", status="PENDING", limit=1).json()["total"]
    if shown < waiting:
        raise RuntimeError(f"{shown} of {waiting} operations wait")
    many = _cost(system)
    files = psutil.Process(system.pid).num_fds()
    system.post(f"/operations/{running}/cancel")
    return [
        Figure(f"restart to serving, {waiting:,} waiting", median(one.seconds for one in restarts), "s", below(3)),
        Figure("… computed by the server until then", median(one.computed_s for one in restarts), "s"),
        Figure("one more start", many.seconds * 1000, "ms", below(50)),
        Figure("… computed by the server", many.computed_s * 1000, "ms"),
        Figure(f"… ÷ with {STARTS} waiting", many.computed_s / few.computed_s, "×", below(2)),
        Figure("… open files of the server", files, "", below(200)),
    ]


def _start(system: System) -> str:
    operation_id: str = system.post("/training/start", request(BRIEF["quick_mlp"])).json()["operation_id"]
    return operation_id


def _computed_s(system: System) -> float:
    """Processor time of the server until now, which other work on the machine does not lengthen."""
    used = psutil.Process(system.pid).cpu_times()
    return used.user + used.system


def _cost(system: System) -> Cost:
    system.wait_warm()
    _start(system)  # the first one waits for what the server imports late
    began, computed = time.perf_counter(), _computed_s(system)
    for _ in range(STARTS):
        _start(system)
    return Cost((time.perf_counter() - began) / STARTS, (_computed_s(system) - computed) / STARTS)


def _restart(system: System) -> Cost:
    system.kill()
    began = time.perf_counter()
    system.start()
    return Cost(time.perf_counter() - began, _computed_s(system))


async def _multiply(home: Path, operation_id: str, waiting: int) -> None:
    """As many copies of a waiting operation, records and folders."""
    store = SqlOperationStore(sqlite_url(home / "registry.sqlite"))
    await store.open()
    original = await store.get(operation_id)
    assert original
    for number in range(waiting):
        instant = original.created_at + timedelta(seconds=1 + number / 1000)
        copy = replace(original, created_at=instant, updated_at=instant)
        while not await store.add(copy := replace(copy, operation_id=new_operation_id("TRAINING"))):
            pass
        _copy_folder(home, original, copy)
    await store.close()


def _copy_folder(home: Path, original: Operation, copy: Operation) -> None:
    source, target = (home / "operations" / operation.operation_id for operation in (original, copy))
    target.mkdir()
    for name in os.listdir(source):
        shutil.copy2(source / name, target / name)
