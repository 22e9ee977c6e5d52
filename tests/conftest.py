"""What all rooms' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_BARS = Path(__file__).resolve().parents[2] / "shared" / "data" / "bars"


_SLOW_ROOMS = ("chaos", "e2e", "web", "api")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, a file stays whole, and the scenarios, which share a server, too.

    What mostly waits for other processes comes first, so that it waits beside what computes.
    """
    for item in items:
        shares_server = item.path.name.startswith(("test_scenario_", "test_post_checks"))
        item.add_marker(pytest.mark.xdist_group("scenarios" if shares_server else str(item.path)))
    items.sort(key=lambda item: item.path.parent.name not in _SLOW_ROOMS)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shared_bars() -> Path:
    """The folder of real bars that lies beside the project, where there is one."""
    if not SHARED_BARS.is_dir():
        pytest.skip("the real bars do not lie beside the project")
    return SHARED_BARS
