from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "home" / "ledger.sqlite")
