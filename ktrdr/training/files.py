"""The files of a training: their names, and how they are written, whole or not at all. Needs no torch."""

from __future__ import annotations

import errno
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.files import make_folder, write_atomically

CARD = "model.json"
METRICS = "metrics.parquet"
PREDICTIONS = "predictions.parquet"
EVALUATED_ROWS = "evaluated_rows.parquet"
SUMMARY = "summary.txt"
WEIGHTS = "model.safetensors"
STRATEGY = "strategy.yaml"
PLOT = "metrics.png"
EQUITY = "equity.png"
IMPORTANCE = "importance.png"
ABLATION = "ablation.png"
CHECKSUMS = "SHA256SUMS"
UNSEALED = "unsealed"  # a folder, there once the test part was opened
UNSEALING = "unsealing.json"

ARTIFACTS = {
    "metrics_plot": PLOT,
    "equity_plot": EQUITY,
    "model_summary": SUMMARY,
    "model_card": CARD,
    "metrics_table": METRICS,
    "predictions": PREDICTIONS,
    "evaluated_rows": EVALUATED_ROWS,
    "strategy": STRATEGY,
}
"""The files of one training, by their names in the API."""

LEAN_ARTIFACTS = {name: ARTIFACTS[name] for name in ("model_card", "metrics_table", "evaluated_rows", "strategy")}
"""Those of a trial of a search; its predictions are in the evaluated rows."""

FORMAT = 3
"""Format of a model's folder; cards and weights of another format are refused."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically. Raises StorageError when that fails, and leaves an earlier file intact."""
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
