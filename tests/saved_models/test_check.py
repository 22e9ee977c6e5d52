"""What a check finds in the folders of models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ktrdr.findings import Backup, Finding, Level
from ktrdr.saved_models.check import check
from ktrdr.saved_models.writing import write_model
from tests.damage import Damage, cut, fill

DONE = "op_training_a"
IDS = frozenset({DONE})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / DONE
    folder.mkdir(parents=True)
    write_model(folder, {"weights": torch.ones(8)}, {"format": 1})
    (folder / "metrics.parquet").write_bytes(b"PAR1 something PAR1")
    return tmp_path / "models"


def messages(findings: list[Finding], level: Level = Level.FAULT) -> list[str]:
    return [finding.what for finding in findings if finding.level is level]


def test_a_whole_model_is_sound(root: Path) -> None:
    assert [(finding.level, finding.what) for finding in check(root, IDS, IDS)] == [(Level.OK, "1 folder")]


DAMAGED: dict[str, tuple[Damage, str]] = {
    "model.safetensors": (cut, "it is no safetensors file (its header is cut off)"),
    "model.json": (fill, "Expecting value"),
    "metrics.parquet": (cut, "it is no whole Parquet file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_moved_away_when_asked_and_is_missing_then(root: Path, name: str) -> None:
    damage, words = DAMAGED[name]
    damage(root / DONE / name)

    (fault,) = check(root, IDS, IDS)

    assert fault.what.startswith(f"{DONE}/{name} is damaged: {words}")
    assert fault.repair
    backup = Backup(root.parent)
    fault.repair(backup)
    assert (backup.folder / "models" / DONE / name).exists()
    assert messages(check(root, IDS, IDS)) == [f"{DONE}/{name} is gone"]


def test_a_completed_training_without_its_folder_cannot_be_repaired(root: Path) -> None:
    (fault,) = check(root, IDS | {"op_gone"}, IDS | {"op_gone"})

    assert (fault.level, fault.what) == (Level.FAULT, "op_gone is COMPLETED and its folder is gone")
    assert "train again" in fault.advice
    assert fault.repair is None


def test_files_without_record_are_noted_where_records_are_known(root: Path) -> None:
    assert messages(check(root, frozenset(), frozenset()), Level.NOTE) == [f"{DONE} has files but no record"]
    assert messages(check(root, None, frozenset()), Level.NOTE) == []


def test_a_training_that_has_not_completed_needs_no_files(root: Path) -> None:
    for path in (root / DONE).iterdir():
        path.unlink()

    assert messages(check(root, IDS, frozenset())) == []
    assert len(messages(check(root, IDS, IDS))) == 3


def test_a_training_in_folds_has_no_weights_of_its_own(root: Path) -> None:
    folds = root / "op_training_folds"
    folds.mkdir()
    (folds / "model.json").write_text(json.dumps({"operation_ids": [DONE]}))

    assert messages(check(root, IDS | {folds.name}, IDS | {folds.name})) == []

    (folds / "model.json").unlink()
    assert f"{folds.name}/model.json is gone" in messages(check(root, IDS | {folds.name}, IDS | {folds.name}))
