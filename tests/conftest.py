"""What all rooms' tests share, and a watch on who starts processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.postgres import WHY_NOT, Cluster, cluster

SYSTEMS = {"chaos", "e2e"}
"""The folders whose tests drive whole systems."""
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}
started: list[str] = []


def pytest_configure() -> None:
    sys.addaudithook(_on_audit)
    # In the background a shell has it ignored, and so would have the children that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _on_audit(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        started.append(f"{event} {arguments[:1]}")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, because tests of whole systems wait for much of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives whole systems, before `-m` selects by markers; begin with it, because it takes longest."""
    for item in items:
        if item.path.parent.name in SYSTEMS or "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _check_processes(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _check_processes(item)


def _check_processes(item: pytest.Item) -> Iterator[None]:
    """`make test-fast` goes by the markers, so they must be true."""
    started.clear()
    yield
    if started and not {"e2e", "processes"} & {marker.name for marker in item.iter_markers()}:
        pytest.fail(f"this test starts processes and is not marked so: {started[0]}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    with cluster() as running:
        yield running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
