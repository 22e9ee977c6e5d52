"""Checkpoints: everything that a training needs to continue bit for bit, in one file that is whole or absent.

One file holds the history and the trainer's state, so that no two files can disagree. A network's state is its weights,
the best epoch's weights, the optimiser's moments and the generators' states; boosting's is its trees. Tensors are
safetensors, and the rest is JSON in the same file's header.

The state is captured in memory after every epoch. It is written when the last write is `interval_s` old, so that the
disk does not dominate short epochs. A kill loses the work since the last write, and repeating that work gives the same
bits. A stop and the end of the training write what is pending.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ktrdr.errors import StorageError
from ktrdr.training.files import storage_error, write_file
from ktrdr.training.fingerprint import (
    FORMAT,
    METADATA_KEY,
    Fingerprint,
    checkpoint_head,
    checkpoint_name,
    newest_first,
)
from ktrdr.training.loop import TrainingState
from ktrdr.training.observer import EpochMetrics
from ktrdr.training.tensor_file import TensorFile

logger = logging.getLogger(__name__)

CHECKPOINTS_TO_KEEP = 2


@dataclass(frozen=True)
class Checkpoint:
    """The state after one epoch, independent of further training.

    fingerprint: the inputs of the training
    history, best_epoch, best_val_loss, stopping_reference, epochs_without_gain: as in `TrainingState`
    make_tensors: makes the trainer's state on first use of `tensors`
    """

    fingerprint: Fingerprint
    history: tuple[EpochMetrics, ...]
    best_epoch: int
    best_val_loss: float
    stopping_reference: float
    epochs_without_gain: int
    make_tensors: Callable[[], dict[str, Tensor]]

    @classmethod
    def capture(cls, state: TrainingState, fingerprint: Fingerprint) -> Checkpoint:
        return cls(
            fingerprint,
            tuple(state.history),
            state.best_epoch,
            state.best_val_loss,
            state.stopping_reference,
            state.epochs_without_gain,
            state.trainer.capture(),
        )

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return self.make_tensors()

    def restore(self, state: TrainingState) -> None:
        """Restore `state`, built from the same strategy, and torch's generator to this checkpoint."""
        state.trainer.restore(self.tensors)
        state.history = list(self.history)
        state.best_epoch, state.best_val_loss = self.best_epoch, self.best_val_loss
        state.stopping_reference = self.stopping_reference
        state.epochs_without_gain = self.epochs_without_gain

    def check(self, fingerprint: Fingerprint) -> None:
        """Raises CheckpointMismatch, naming each difference."""
        self.fingerprint.check(fingerprint, checkpoint_name(len(self.history)))


class Checkpoints:
    """The last two checkpoints of one training in one folder; the older one replaces a damaged newer one.

    Not safe to share between threads or processes. A file is synced to disk before older ones are removed.
    """

    def __init__(self, folder: Path, fingerprint: Fingerprint, interval_s: float = 1.0) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.interval_s = interval_s
        self._pending: Checkpoint | None = None
        self._written_at = time.monotonic()

    def keep(self, state: TrainingState) -> None:
        self._pending = Checkpoint.capture(state, self.fingerprint)
        if time.monotonic() - self._written_at >= self.interval_s:
            self.flush()

    def flush(self) -> None:
        if self._pending is not None:
            write(self.folder, self._pending)
            self._pending = None
            self._written_at = time.monotonic()


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    head = {
        "format": FORMAT,
        "crc32": _checksum(checkpoint.tensors),
        "fingerprint": asdict(checkpoint.fingerprint),
        "history": [asdict(metrics) for metrics in checkpoint.history],
        "best_epoch": checkpoint.best_epoch,
        "best_val_loss": checkpoint.best_val_loss,
        "stopping_reference": checkpoint.stopping_reference,
        "epochs_without_gain": checkpoint.epochs_without_gain,
    }
    path = folder / f"epoch-{len(checkpoint.history):06d}.safetensors"
    write_file(path, save(checkpoint.tensors, {METADATA_KEY: json.dumps(head)}))
    for old in newest_first(folder)[CHECKPOINTS_TO_KEEP:]:
        _remove(old)
    return path


def read(path: Path) -> Checkpoint:
    """Raises StorageError when the file is not a whole checkpoint."""
    try:
        file = TensorFile.open(path)
        head, tensors = checkpoint_head(file), load_file(path)
        if head["format"] != FORMAT or head["crc32"] != file.crc32():
            raise StorageError(f"{path} is damaged or of another format", path=str(path))
        return Checkpoint(
            Fingerprint(**head["fingerprint"]),
            tuple(EpochMetrics(**metrics) for metrics in head["history"]),
            head["best_epoch"],
            head["best_val_loss"],
            head["stopping_reference"],
            head["epochs_without_gain"],
            lambda: tensors,
        )
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is not a whole checkpoint: {error}", path=str(path)) from error


def load_latest(folder: Path) -> Checkpoint | None:
    """Load the newest whole checkpoint; None when there is no checkpoint.

    Raises:
        StorageError: there are checkpoints and all of them are damaged.
    """
    damaged: StorageError | None = None
    for path in newest_first(folder):
        try:
            return read(path)
        except StorageError as error:
            logger.warning("Skipping a damaged checkpoint: %s", error.detail)
            damaged = damaged or error
    if damaged is not None:
        raise StorageError(
            f"no checkpoint in {folder} is whole; the newest: {damaged.detail}",
            hint="start a new training, or put a copy of a checkpoint back and resume",
            path=str(folder),
        ) from damaged
    return None


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
