"""What a check finds in the checkpoints of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ktrdr.findings import Backup, Level
from ktrdr.training.check import check
from ktrdr.training.checkpoint import Checkpoint, write
from tests.damage import Damage, cut, fill, flip
from tests.training.test_checkpoint import FINGERPRINT, state_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "models" / "op_training_a" / "checkpoints", Checkpoint.capture(state_of(), FINGERPRINT))
    return tmp_path / "models" / "op_training_a"


def another(path: Path) -> None:
    save_file({"a": torch.ones(1)}, path)


DAMAGED: dict[str, tuple[Damage, str]] = {
    "cut off": (cut, "it is not as long as its header says"),
    "a flipped bit": (flip, "its content does not match its checksum"),
    "garbage": (fill, "it is no safetensors file"),
    "another file of tensors": (another, "it is no checkpoint"),
}


def test_whole_checkpoints_are_no_findings(folder: Path) -> None:
    assert list(check(folder)) == []


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_checkpoint_is_moved_away_when_asked(folder: Path, name: str) -> None:
    damage, words = DAMAGED[name]
    damage(folder / "checkpoints" / "epoch-000000.safetensors")

    (fault,) = check(folder)

    assert fault.level is Level.FAULT
    assert fault.what.startswith("op_training_a/checkpoints/epoch-000000.safetensors is damaged: ")
    assert words in fault.what
    assert fault.repair
    backup = Backup(folder.parent.parent)
    fault.repair(backup)
    assert (backup.folder / "models/op_training_a/checkpoints/epoch-000000.safetensors").exists()
    assert list(check(folder)) == []
