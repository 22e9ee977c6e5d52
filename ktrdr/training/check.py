"""Checks the files of trainings, without importing torch, which would take longer than the checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ktrdr.findings import Finding, damage, damaged_file
from ktrdr.training.fingerprint import CHECKPOINTS, checkpoint_head
from ktrdr.training.tensor_file import TensorFile

MODELS = "models"


def check(folder: Path) -> Iterator[Finding]:
    """Checks the checkpoints in the folder of one training."""
    for path in sorted((folder / CHECKPOINTS).glob("*.safetensors")):
        if found := damage(_check_checkpoint, path):
            advice = "a training is resumed from the one before it, where there is one"
            yield damaged_file(MODELS, path, folder.parent, found, advice)


def _check_checkpoint(path: Path) -> None:
    file = TensorFile.open(path)
    if checkpoint_head(file).get("crc32") != file.crc32():
        raise ValueError("its content does not match its checksum")
