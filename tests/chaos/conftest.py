"""One server and one home for all of these tests: what a test does to them, the next one must survive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.reference import BRIEF, Reference, train_undisturbed
from tests.chaos.surroundings import Surroundings
from tests.e2e.system import System


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"))


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    return Surroundings(tmp_path_factory.mktemp("surroundings"))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, surroundings: Surroundings) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("chaos")
    system = System(
        folder / "system",
        LOG_LEVEL="INFO",
        KTRDR_MAX_CONCURRENT="2",
        OPERATIONS_CACHE_TTL="0",
        **surroundings.settings,
    )
    system.wrapper = surroundings.wrapper
    try:
        system.start()
        system.load_sample("--start-date", "2023-06-01")
        yield system
        system.stop()
    finally:
        system.close()


@pytest.fixture(scope="session")
def references(system: System) -> dict[str, Reference]:
    return train_undisturbed(system, BRIEF)
