"""What a check finds in the store of bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr.findings import Backup, Level
from ktrdr.market.check import check
from ktrdr.market.provider import fetch
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.store import BarStore
from tests.damage import Damage, fill, flip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    bars = fetch(SampleProvider(), "AAPL", "1d")
    BarStore(tmp_path / "bars").merge("AAPL", "1d", bars.frame, bars.provider)
    return tmp_path / "bars"


def test_sound_series_are_counted(root: Path) -> None:
    (sound,) = check(root)

    assert (sound.level, sound.what) == (Level.OK, "1 series")


@pytest.mark.parametrize("damage", [fill, lambda path: flip(path, 0.3)], ids=["garbage", "a flipped bit"])
def test_a_damaged_series_is_moved_away_when_asked(root: Path, damage: Damage) -> None:
    path = root / "AAPL" / "1d.parquet"
    damage(path)
    content = path.read_bytes()

    (fault,) = check(root)

    assert fault.level is Level.FAULT
    assert fault.what.startswith("AAPL/1d.parquet is damaged")
    assert "ktrdr data load AAPL 1d --replace" in fault.advice
    assert fault.repair
    backup = Backup(root.parent)
    fault.repair(backup)
    assert (backup.folder / "bars" / "AAPL" / "1d.parquet").read_bytes() == content
    assert [finding.what for finding in check(root)] == ["0 series"]
