"""What all rooms' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_BARS = Path(__file__).resolve().parents[2] / "shared" / "data" / "bars"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shared_bars() -> Path:
    """The folder of real bars that lies beside the project, where there is one."""
    if not SHARED_BARS.is_dir():
        pytest.skip("the real bars do not lie beside the project")
    return SHARED_BARS
