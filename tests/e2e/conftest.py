"""The server that the acceptance scenarios share, and what they saw of it."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    """The scenarios come first, then the checks that look back on them, then what leaves failures on their server."""
    places = [place for place, item in enumerate(items) if item.path.is_relative_to(Path(__file__).parent)]
    ordered = sorted((items[place] for place in places), key=_turn)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _turn(item: pytest.Item) -> int:
    if item.path.name.startswith("test_scenario_"):
        return 0
    return 1 if item.path.name == "test_post_checks.py" else 2


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
    waiting_script: str = ""


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A server with a year of daily bars, on which two trainings run at a time."""
    system = System(tmp_path_factory.mktemp("backend"), KTRDR_MAX_CONCURRENT="2")
    yield from _serving(system, "--start-date", "2023-01-01", "--end-date", "2023-12-31")


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A server with two years of daily bars, on which one training runs at a time."""
    system = System(tmp_path_factory.mktemp("narrow"), KTRDR_MAX_CONCURRENT="1")
    yield from _serving(system, "--start-date", "2023-01-01")


def _serving(system: System, *dates: str) -> Iterator[System]:
    """It must stop as it should at the end."""
    try:
        system.start()
        system.load_sample(*dates)
        yield system
        system.stop()
    finally:
        system.close()


@pytest.fixture(scope="session")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lengthened(tmp_path_factory.mktemp("strategies"), 2, "brief")


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lengthened(tmp_path_factory.mktemp("strategies"), 100_000, "endless")


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


@dataclass(frozen=True, slots=True)
class CursorScript:
    """What the guide's cursor script printed, and whether the cache's TTL outlasted its last two queries."""

    printed: str
    ends_with_a_hit: bool


CURSOR_CASES = (("0", "slow"), ("1", "fast"), ("1", "slow"), ("5", "fast"))
"""Cache TTLs, and trainings with many epochs between two queries or with less than one."""


@pytest.fixture(scope="session")
def cursor_scripts(
    backend: System, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Future[CursorScript]]]:
    """The guide's cursor script, each time as the only client of a training that outlasts it."""
    folder = tmp_path_factory.mktemp("cursors")
    with ThreadPoolExecutor(len(CURSOR_CASES)) as servers:
        yield {
            case: servers.submit(_cursor_script, folder / "-".join(case), backend.home / "bars", *case)
            for case in CURSOR_CASES
            if HAS_SHELL
        }


def _cursor_script(folder: Path, bars: Path, ttl_s: str, speed: str) -> CursorScript:
    system = System(folder, OPERATIONS_CACHE_TTL=ttl_s, KTRDR_STANDBY_WORKERS="0")
    try:
        shutil.copytree(bars, system.home / "bars")
        system.start()
        strategy = lengthened(folder, epochs=100_000)
        if speed == "slow":
            strategy.write_text(strategy.read_text().replace("batch_size: 32", "batch_size: 1"))
        operation_id = system.train(strategy)
        system.wait_for_epochs(operation_id, 5)
        printed, _ = system.guide_script("test_cursor_behavior.sh", operation_id).communicate()
        last_read = system.lines(rf"Cache (hit|miss) for operation {operation_id} ")[-1]
        return CursorScript(printed, ends_with_a_hit="Cache hit" in last_read)
    finally:
        system.close()


@pytest.fixture(scope="session")
def watched(
    backend: System,
    pace_s: float,
    cursor_scripts: dict[tuple[str, str], Future[CursorScript]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Watched:
    """The scripts beside it, and those on servers of their own, take half a minute together."""
    backend.wait_warm()
    strategy = lengthened(tmp_path_factory.mktemp("strategies"), round(LONG_S / pace_s))
    seen = Watched(backend.train(strategy))
    backend.wait_for_epochs(seen.operation_id, 5)
    names = ("test_progress_polling.sh", "wait_for_completion.sh") if HAS_SHELL else ()
    scripts = [backend.guide_script(name, seen.operation_id) for name in names]
    cursor = 0
    while not seen.views or seen.views[-1]["status"] not in TERMINAL:
        seen.pages.append(backend.metrics(seen.operation_id, cursor))
        cursor = seen.pages[-1]["new_cursor"]
        seen.views.append(backend.operation(seen.operation_id))
        time.sleep(0.2)
    seen.pages.append(backend.metrics(seen.operation_id, cursor))
    if scripts:
        seen.polling_script, seen.waiting_script = (script.communicate()[0] for script in scripts)
    return seen
