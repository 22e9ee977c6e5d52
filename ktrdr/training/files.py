"""The files of a training: what is read of them without torch, and how they are written, whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.files import make_folder, write_atomically

CARD = "model.json"
METRICS = "metrics.parquet"
PREDICTIONS = "predictions.parquet"
SUMMARY = "summary.txt"
WEIGHTS = "model.safetensors"
STRATEGY = "strategy.yaml"
PLOT = "metrics.png"
EQUITY = "equity.png"

ARTIFACTS = {
    "metrics_plot": PLOT,
    "equity_plot": EQUITY,
    "model_summary": SUMMARY,
    "model_card": CARD,
    "metrics_table": METRICS,
    "predictions": PREDICTIONS,
    "strategy": STRATEGY,
}
"""The files of one training, by the names that the API knows them by."""

FORMAT = 3
"""Of a model's folder: card and weights of another number are not read."""


def write_file(path: Path, content: bytes) -> None:
    """Raises StorageError when the disk is full or the folder cannot be written; an earlier file is intact then."""
    try:
        make_folder(path.parent)
        write_atomically(path, content)
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: Path, error: OSError) -> StorageError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "the disk is full" if full else (error.strerror or str(error))
    hint = (
        "Free some space, then resume it or start it again."
        if full
        else "Check that the folder exists and may be written."
    )
    return StorageError(f"{path} cannot be written: {reason}", hint=hint, path=str(path), errno=error.errno)
