"""Whether a worker is forked or starts from nothing, a training comes to the same bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.reference import measured
from tests.e2e.system import STRATEGY, System, needs_linux

pytestmark = needs_linux

PROGRAMS = {"fork": "ktrdr.executors.template", "spawn": "ktrdr.executors.worker"}


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, System]]:
    with ExitStack() as closing:
        systems = {}
        for start in PROGRAMS:
            systems[start] = system = System(tmp_path_factory.mktemp(start), KTRDR_WORKER_START=start)
            closing.callback(system.close)
            system.start()
            system.load_sample("--start-date", "2023-01-01")
            system.wait_warm()
        yield systems
        for system in systems.values():
            system.stop()


@pytest.fixture(scope="module")
def trained(systems: dict[str, System]) -> dict[str, str]:
    """One operation by each start, with the program in which it ran as a check."""
    return {start: _train(system, PROGRAMS[start]) for start, system in systems.items()}


def _train(system: System, program: str) -> str:
    operation_id = system.train(STRATEGY)
    assert program in system.worker_of(operation_id).cmdline()
    system.ended(operation_id)
    return operation_id


def test_a_forked_worker_comes_to_the_same_bits(systems: dict[str, System], trained: dict[str, str]) -> None:
    forked, spawned = (systems[start].results(trained[start]) for start in PROGRAMS)

    assert Path(forked["model_path"]).read_bytes() == Path(spawned["model_path"]).read_bytes()
    for part in ("evaluation", "money"):
        assert forked[part] == spawned[part], part
    assert measured(forked["final_metrics"]) == measured(spawned["final_metrics"])


def test_their_metrics_agree_epoch_by_epoch(systems: dict[str, System], trained: dict[str, str]) -> None:
    forked, spawned = (systems[start].metrics(trained[start])["metrics"] for start in PROGRAMS)

    assert len(forked) == 10
    assert [measured(metric) for metric in forked] == [measured(metric) for metric in spawned]


NEW_IMPORTS = """
import sys
from importlib import import_module
from ktrdr.bootstrap import build_lanes
from ktrdr.settings import Settings
(lane,) = (lane for lane in build_lanes(Settings()) if lane.name == "training")
for module in lane.preload:
    import_module(module)
before = set(sys.modules)
module, _, function = lane.warm_up.partition(":")
getattr(import_module(module), function)()
print(*sorted(set(sys.modules) - before))
"""


def test_a_training_imports_next_to_nothing_that_the_template_has_not() -> None:
    """What is left are a few small modules that belong to their libraries alone."""
    done = subprocess.run([sys.executable, "-c", NEW_IMPORTS], check=True, stdout=subprocess.PIPE, text=True)

    assert len(done.stdout.split()) < 10
