"""The server that the acceptance scenarios share, and what they saw of it."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import HAS_SHELL, STRATEGY, TERMINAL, Done, System, lengthened

HALF_A_YEAR = ("--start-date", "2023-01-01", "--end-date", "2023-06-30")
LONG_S = 5.0
"""About how long a training should run for a test to watch it; a slow machine takes longer, and that is fine."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The post checks look back on the scenarios, so they come last."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: item.path == here / "test_post_checks.py")


@dataclass(frozen=True, slots=True)
class Started:
    """The guide's job, as its command line told it and as the API showed it at once."""

    done: Done
    first_view: dict[str, Any]

    @property
    def operation_id(self) -> str:
        operation_id: str = json.loads(self.done.out)["operation_id"]
        return operation_id


@dataclass(slots=True)
class Watched:
    """A longer training, seen by a client that polled until its end."""

    operation_id: str
    views: list[dict[str, Any]] = field(default_factory=list)
    pages: list[dict[str, Any]] = field(default_factory=list)
    polling_script: str = ""
    cursor_script: str = ""
    waiting_script: str = ""


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A server with a year of daily bars; it must stop as it should at the end."""
    system = System(tmp_path_factory.mktemp("backend"), KTRDR_MAX_CONCURRENT="2")
    try:
        system.start()
        system.load_sample("--start-date", "2023-01-01", "--end-date", "2023-12-31")
        yield system
        system.stop()
    finally:
        system.close()


@pytest.fixture(scope="session")
def started(backend: System) -> Started:
    backend.wait_warm()
    command = ("models", "train", "--strategy", STRATEGY, "--symbols", "AAPL", "--timeframes", "1d", *HALF_A_YEAR)
    with backend.popen(*command) as process:
        assert process.stderr
        announcement = process.stderr.readline()
        first_view = backend.operation(announcement.split()[-1])
        out, err = process.communicate()
    return Started(Done(process.returncode, out, announcement + err), first_view)


@pytest.fixture(scope="session")
def completed(backend: System, started: Started) -> dict[str, Any]:
    """The guide's job at its end."""
    return backend.ended(started.operation_id)


@pytest.fixture(scope="session")
def pace_s(backend: System, completed: dict[str, Any]) -> float:
    """What an epoch takes here, so that trainings to be watched can be made long enough."""
    durations: list[float] = [metric["duration"] for metric in backend.metrics(completed["operation_id"])["metrics"]]
    return min(0.04, statistics.median(durations))


POLLING_SCRIPT = """
for i in {1..6}; do
  echo "=== Poll $i ==="
  curl -s http://localhost:8000/api/v1/operations/$OPERATION_ID | jq '.progress'
  sleep 1
done
"""

WAITING_SCRIPT = """
while true; do
  STATUS=$(curl -s http://localhost:8000/api/v1/operations/$OPERATION_ID | jq -r '.status')
  echo "Status: $STATUS"
  if [ "$STATUS" = "COMPLETED" ]; then
    echo "Training completed!"
    break
  fi
  sleep 1
done
"""

# The wait in the middle lasts until the training has ended, so that nothing is added between the last two queries.
CURSOR_SCRIPT = """
echo "=== Initial Query (cursor=0, get all metrics) ==="
RESPONSE=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID/metrics?cursor=0")
echo "$RESPONSE" | jq '.' > /dev/null
CURSOR=$(echo "$RESPONSE" | jq -r '.new_cursor')
COUNT=$(echo "$RESPONSE" | jq '.metrics | length')
echo "Received $COUNT metrics, new cursor: $CURSOR"

until [ "$STATUS" = "COMPLETED" ]; do
  STATUS=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID?wait=20" | jq -r '.status')
done

echo "=== Incremental Query (cursor=$CURSOR, get only new metrics) ==="
RESPONSE=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID/metrics?cursor=$CURSOR")
NEW_CURSOR=$(echo "$RESPONSE" | jq -r '.new_cursor')
NEW_COUNT=$(echo "$RESPONSE" | jq '.metrics | length')
echo "Received $NEW_COUNT new metrics, new cursor: $NEW_CURSOR"

echo "=== Verify no duplicates (query again with old cursor) ==="
RESPONSE=$(curl -s "http://localhost:8000/api/v1/operations/$OPERATION_ID/metrics?cursor=$CURSOR")
DUPLICATE_COUNT=$(echo "$RESPONSE" | jq '.metrics | length')
echo "Should get same $NEW_COUNT metrics (not duplicated)"
echo "Received $DUPLICATE_COUNT metrics"

if [ "$DUPLICATE_COUNT" -eq "$NEW_COUNT" ]; then
  echo "✅ PASS: No duplicates"
else
  echo "❌ FAIL: Duplicate count mismatch"
fi
"""


@pytest.fixture(scope="session")
def watched(backend: System, pace_s: float, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    backend.wait_warm()
    strategy = lengthened(tmp_path_factory.mktemp("strategies"), round(LONG_S / pace_s))
    seen = Watched(backend.train(strategy))
    backend.wait_for_epochs(seen.operation_id, 5)
    scripts = []
    if HAS_SHELL:
        texts = (POLLING_SCRIPT, CURSOR_SCRIPT, WAITING_SCRIPT)
        scripts = [backend.bash_popen(f"OPERATION_ID={seen.operation_id}\n{text}") for text in texts]
    cursor = 0
    while not seen.views or seen.views[-1]["status"] not in TERMINAL:
        seen.pages.append(backend.metrics(seen.operation_id, cursor))
        cursor = seen.pages[-1]["new_cursor"]
        seen.views.append(backend.operation(seen.operation_id))
        time.sleep(0.2)
    seen.pages.append(backend.metrics(seen.operation_id, cursor))
    if scripts:
        said = (script.communicate()[0] for script in scripts)
        seen.polling_script, seen.cursor_script, seen.waiting_script = said
    return seen
