"""What must hold after all scenarios."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.operations.bridge import ProgressBridge
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore
from ktrdr.settings import Settings
from ktrdr.training.observer import EpochMetrics
from tests.e2e.system import REPOSITORY, TERMINAL, System, lengthened, needs_shell

CLIENTS = 8
PROGRESS_BRIDGE = REPOSITORY / "ktrdr/jobs/training_bridge.py"


def test_every_operation_is_completed_or_running(backend: System, completed: dict[str, Any]) -> None:
    statuses = {operation["operation_id"]: operation["status"] for operation in backend.operations()}

    assert completed["operation_id"] in statuses
    assert set(statuses.values()) <= {"COMPLETED", "RUNNING"}


@needs_shell
def test_the_guides_summary_shows_them(backend: System, completed: dict[str, Any]) -> None:
    base = "curl -s http://localhost:8000/api/v1/operations"

    summary = backend.bash(
        f"{base} | jq '[.operations[] | {{id: .operation_id, status: .status, type: .operation_type}}]'"
    )
    listed = backend.bash(
        f"{base} | jq '.operations[] | {{id: .operation_id, status: .status, percentage: .progress.percentage}}'"
    )
    counted = backend.bash(f"{base}/{completed['operation_id']}/metrics | jq '.metrics | length'")

    assert completed["operation_id"] in summary
    assert '"status": "COMPLETED"' in summary
    assert '"status": "FAILED"' not in summary
    assert completed["operation_id"] in listed
    assert counted.strip() == "10"


@pytest.fixture(scope="module")
def crowd(backend: System, pace_s: float, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The log of a training that several clients watched at once."""
    backend.wait_warm()
    operation_id = backend.train(lengthened(tmp_path_factory.mktemp("strategies"), round(2.5 / pace_s)))
    seen = backend.mark()

    def client(_: int) -> None:
        with httpx.Client(trust_env=False, timeout=60) as http:
            while http.get(f"{backend.url}/api/v1/operations/{operation_id}").json()["status"] not in TERMINAL:
                time.sleep(0.1)

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, range(CLIENTS)))
    return "\n".join(backend.lines(f"Cache (hit|miss) for operation {operation_id}", seen))


def test_several_clients_are_served_from_the_cache(crowd: str) -> None:
    hits, misses = crowd.count("Cache hit"), crowd.count("Cache miss")

    assert misses > 0
    assert hits / (hits + misses) > 0.8


def test_a_lifetime_of_the_cache_costs_one_read_of_the_bridge_however_many_ask(crowd: str) -> None:
    assert all(float(age) >= 1.0 for age in re.findall(r"Cache miss .*age=(\d+\.\d)s", crowd))


@needs_shell
def test_the_guides_counts_of_the_cache(backend: System, crowd: str) -> None:
    assert crowd
    hits = int(backend.bash('docker logs ktrdr-backend | grep "Cache hit" | wc -l'))
    misses = int(backend.bash('docker logs ktrdr-backend | grep "Cache miss" | wc -l'))

    assert hits / (hits + misses) > 0.8


@pytest.mark.parametrize("forbidden", ["asyncio.create_task", "metrics_callback", "async def"])
def test_the_bridge_pushes_nothing(forbidden: str) -> None:
    assert forbidden not in PROGRESS_BRIDGE.read_text(encoding="utf-8")


METHODS = ("_update_state", "_append_metric", "get_status", "get_metrics", "on_phase", "on_batch", "on_epoch")


@pytest.mark.parametrize("name", METHODS)
def test_the_bridge_has_its_methods_and_all_are_plain(name: str) -> None:
    method = getattr(TrainingProgressBridge, name)

    assert callable(method)
    assert not inspect.iscoroutinefunction(method)


def test_the_bridge_keeps_its_history(tmp_path: Path) -> None:
    TrainingProgressBridge.create_for(tmp_path / "bridge", epochs=2)
    with TrainingProgressBridge(tmp_path / "bridge", writable=True) as writer, ProgressBridge(writer.path) as reader:
        metrics = EpochMetrics(1, 32, 0.7, 0.5, 0.6, 0.5, 0.001, 0.1, ended_at=0.0)
        writer.on_epoch(metrics)
        writer.on_epoch(metrics, progress_type="batch")

        assert len(reader._metrics_history) == 1


def test_the_service_has_its_internals_and_forgets_them_at_the_end(tmp_path: Path) -> None:
    async def live() -> None:
        store = InMemoryOperationStore()
        service = OperationsService(store)
        TrainingProgressBridge.create_for(tmp_path / "bridge", epochs=1)
        instant = datetime.now(UTC)
        operation = Operation("op_x", "TRAINING", OperationStatus.PENDING, instant, instant, metadata={}, progress={})
        await store.add(operation)
        service.register_local_bridge(operation.operation_id, ProgressBridge(tmp_path / "bridge"))
        internals = (service._local_bridges, service._metrics_cursors, service._last_refresh)

        service._refresh_from_bridge(operation, service._local_bridges[operation.operation_id])
        assert all(operation.operation_id in known for known in internals)
        assert service._cache_ttl == Settings.model_fields["operations_cache_ttl"].default == 1.0

        await service.fail_operation(operation.operation_id, {"code": "x", "detail": "x", "hint": ""})
        assert not any(internals)
        assert callable(service.complete_operation)

    asyncio.run(live())
