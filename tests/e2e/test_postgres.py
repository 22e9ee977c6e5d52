"""The registry in a real PostgreSQL: a training on it, and all of its processes killed while one runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.system import System, lengthened, until
from tests.postgres import Cluster
from tests.refusals import check_problem

EPOCHS = 60


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, postgres: Cluster) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("postgres"), KTRDR_DATABASE_URL=postgres.new_database())
    try:
        system.start()
        system.load_sample("--start-date", "2023-01-01")
        system.wait_warm()
        yield system
        system.stop()
    finally:
        system.close()


def test_a_training_is_recorded_there_and_nowhere_else(system: System, brief: Path) -> None:
    operation_id = system.train(brief)

    assert system.ended(operation_id)["progress"]["percentage"] == 100.0
    assert len(system.metrics(operation_id)["metrics"]) == 2
    assert operation_id in system.ktrdr("operations", "list").out
    assert not (system.home / "registry.sqlite").exists()


def test_a_training_ends_while_postgresql_is_dead_and_is_recorded_afterwards(
    system: System, postgres: Cluster, tmp_path: Path
) -> None:
    operation_id = system.train(lengthened(tmp_path, EPOCHS))
    system.wait_for_epochs(operation_id, 3)
    worker = system.worker_of(operation_id)
    worker.suspend()
    postgres.kill()
    worker.resume()

    outcome = system.home / "operations" / operation_id / "outcome.json"
    until(outcome.exists)
    check_problem(system.get("/operations"), 503, "storage_failed")
    assert system.operation(operation_id)["status"] == "RUNNING"
    assert system.get("/health/ready").status_code == 503
    assert system.get("/health").status_code == 200
    until(lambda: bool(system.lines(f"{operation_id}.*registry cannot be used")))
    postgres.start()

    assert system.get("/operations").status_code == 200, "the first request after the restart"
    ended = system.ended(operation_id)
    written_at = datetime.fromtimestamp(outcome.stat().st_mtime, UTC)
    assert abs((datetime.fromisoformat(ended["completed_at"]) - written_at).total_seconds()) < 0.01
    assert [metric["epoch"] for metric in system.metrics(operation_id)["metrics"]] == list(range(1, EPOCHS + 1))
    assert system.get("/health/ready").status_code == 200
    assert "Traceback" not in system.log()


def test_a_second_home_is_refused_in_words(system: System, tmp_path: Path) -> None:
    second = System(tmp_path, KTRDR_DATABASE_URL=system.environment["KTRDR_DATABASE_URL"])
    try:
        refused = second.ktrdr("serve", "--port", "0")
    finally:
        second.close()

    assert refused.code == 2
    assert "error: another server uses the registry" in refused.err
    assert "Traceback" not in refused.err
