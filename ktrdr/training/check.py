"""Checks the files of trainings, without importing torch, which would take longer than the checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ktrdr.findings import Finding, Level, damage
from ktrdr.training.fingerprint import CHECKPOINTS, checkpoint_head
from ktrdr.training.tensor_file import TensorFile

MODELS = "models"


def check(folder: Path) -> Iterator[Finding]:
    """Checks the checkpoints in the folder of one training."""
    for path in sorted((folder / CHECKPOINTS).glob("*.safetensors")):
        if reason := damage(_check_checkpoint, path):
            yield damaged_file(path, folder, reason, "a training is resumed from the one before it, where there is one")


def damaged_file(path: Path, folder: Path, reason: str, advice: str) -> Finding:
    """A fault of a file in a training's `folder`, repaired by moving the file away."""
    what = f"{path.relative_to(folder.parent)} is damaged: {reason}"
    return Finding(Level.FAULT, MODELS, what, f"{advice}; --repair moves it away", lambda backup: backup.move(path))


def _check_checkpoint(path: Path) -> None:
    file = TensorFile.open(path)
    if checkpoint_head(file).get("crc32") != file.crc32():
        raise ValueError("its content does not match its checksum")
