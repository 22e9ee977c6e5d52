"""How long a server is away that has many finished operations behind it and one that runs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from ktrdr.operations.operation import INITIAL_PROGRESS, Operation
from ktrdr.operations.status import OperationStatus
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.e2e.system import System, lengthened, until

_EPOCHS = 50


async def _fill(registry: Path, finished: int) -> None:
    store = SqlOperationStore(sqlite_url(registry))
    await store.open()
    began = datetime.now(UTC) - timedelta(days=30)
    for number in range(finished):
        instant = began + timedelta(minutes=number)
        operation = Operation(
            operation_id=f"op_training_{instant:%Y%m%d}_{number:06d}",
            operation_type="TRAINING",
            status=OperationStatus.COMPLETED,
            created_at=instant,
            updated_at=instant,
            started_at=instant,
            completed_at=instant,
            metadata={"symbols": ["AAPL"], "timeframes": ["1d"], "strategy": "many"},
            progress={**INITIAL_PROGRESS, "percentage": 100.0, "message": "Training completed"},
        )
        await store.add(operation)
        metrics = [{"epoch": epoch, "train_loss": 0.7, "val_loss": 0.7} for epoch in range(1, _EPOCHS + 1)]
        await store.finish(operation, {"status": "success", "final_metrics": {}}, metrics)
    await store.close()


@dataclass(frozen=True, slots=True)
class Restart:
    """`seconds` from starting the process to its first answer; `cpu_s` is what it computed until then."""

    seconds: float
    cpu_s: float


def measure(folder: Path, finished: int = 1000, rounds: int = 5) -> list[Restart]:
    """As many kills of a server and what came after each."""
    system = System(folder, LOG_LEVEL="INFO")
    try:
        system.start()
        system.load_sample()
        system.stop()
        asyncio.run(_fill(system.home / "registry.sqlite", finished))
        system.start()
        running = system.train(lengthened(folder, 100_000, "endless"))
        system.wait_for_epochs(running, 2)
        restarts = [_restart(system, running, finished) for _ in range(rounds)]
        system.post(f"/operations/{running}/cancel")
        system.ended(running, "CANCELLED")
        system.stop()
    finally:
        system.close()
    return restarts


def _restart(system: System, running: str, finished: int) -> Restart:
    system.wait_warm()
    until(lambda: len(system.idle()) == len(system.standby()))  # those of the server before have noticed its end
    reported = system.metrics(running)["new_cursor"]
    system.kill()
    began = time.perf_counter()
    system.start()
    took, cpu = time.perf_counter() - began, psutil.Process(system.pid).cpu_times()
    assert system.operation(running)["status"] == "RUNNING"
    assert system.metrics(running)["new_cursor"] >= reported
    assert system.get("/operations").json()["total"] >= finished
    return Restart(took, cpu.user + cpu.system)
