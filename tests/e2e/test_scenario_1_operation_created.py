"""Scenario 1: a training starts and its operation is registered."""

from __future__ import annotations

import json
import re

from tests.e2e.conftest import Started
from tests.e2e.system import LOG_STAMP, System, needs_shell

ID = r"op_training_\d{8}_[0-9a-z]{6}"
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def test_the_server_is_healthy(backend: System) -> None:
    assert backend.get("/health").json() == {"status": "ok"}


def test_the_bars_are_there(backend: System) -> None:
    shown = backend.ktrdr("data", "show", "AAPL", "1d", "--limit", "5")

    header, *rows = shown.out.splitlines()
    assert shown.code == 0
    assert header.split() == ["timestamp", "open", "high", "low", "close", "volume"]
    assert [row.split()[0] for row in rows][-1] == "2023-12-29"
    assert len(rows) == 5


def test_loading_without_naming_a_provider_works_with_and_without_a_network(backend: System) -> None:
    loaded = backend.ktrdr("data", "load", "AAPL", "1d", "--start-date", "2023-03-01", "--end-date", "2023-03-31")

    assert loaded.code == 0
    assert re.search(r"provider +(yahoo|sample)", loaded.out)


def test_the_command_line_tells_the_operation_id(started: Started) -> None:
    assert started.done.code == 0
    assert re.fullmatch(rf"Training started\. Operation ID: ({ID})\n", started.done.err)
    told = json.loads(started.done.out)
    assert told["operation_id"] in started.done.err
    assert told["status"] == "running"
    assert told["message"] == "Training started"
    assert re.fullmatch(INSTANT, told["created_at"])


def test_the_operation_is_running_at_once(started: Started) -> None:
    view = started.first_view

    assert view["operation_id"] == started.operation_id
    assert view["status"] == "RUNNING"
    assert view["operation_type"] == "TRAINING"
    assert re.fullmatch(INSTANT, view["created_at"])
    assert re.fullmatch(INSTANT, view["updated_at"])
    assert view["created_at"] <= view["updated_at"]


def test_its_progress_begins_at_the_beginning(started: Started) -> None:
    progress = started.first_view["progress"]

    assert isinstance(progress["percentage"], float)
    assert progress["percentage"] < 50
    assert progress["message"]
    if progress["current_step"] == 0:
        assert progress["percentage"] == 0.0
        assert progress["items_processed"] == 0


def test_its_metadata_say_what_was_asked(started: Started) -> None:
    metadata = started.first_view["metadata"]

    assert metadata["symbols"] == ["AAPL"]
    assert metadata["timeframes"] == ["1d"]
    assert metadata["strategy"] == "test_e2e"


def test_its_creation_is_logged(backend: System, started: Started) -> None:
    (line,) = backend.lines(f"Created operation {started.operation_id}")

    assert re.match(rf"{LOG_STAMP} INFO Created operation {ID} \(type=TRAINING\)", line)


@needs_shell
def test_the_log_is_searched_as_the_guide_does(backend: System, started: Started) -> None:
    found = backend.bash('docker logs ktrdr-backend | grep "Created operation.*op_training"')

    assert f"INFO Created operation {started.operation_id}" in found
    health = backend.bash("curl http://localhost:8000/api/v1/health")
    assert json.loads(health) == {"status": "ok"}
