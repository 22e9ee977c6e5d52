"""Compares a repeated training with the original, bit for bit, and lists the differences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ktrdr.errors import ArtifactNotFound, StorageError
from ktrdr.evaluation.rivals import CONTROL
from ktrdr.payloads.training import Reproduction
from ktrdr.training.files import CARD, EVALUATED_ROWS, METRICS, PREDICTIONS, WEIGHTS

_INPUTS = ("strategy", "fold", "symbols", "data_sha256", "seed", "threads", "device", "code", "libraries")
_TIMES = ("duration", "ended_at")
# Trainings of 0.1.0 evaluated their test part, which is sealed now.
_SEALED = frozenset({"sealed", "test_evaluation", "test_money"})
# Other tries at the same rows change what a lead is worth.
_AFTERWARDS = frozenset({"verdict", "selection"})
# Times, paths, sentences and the machine's state may differ. Names that end in "seconds" are left out too.
_NOT_RESULTS = (
    _SEALED | _AFTERWARDS | {"version", "preflight", "reproduction", "model_path", "artifacts", "operation_id"}
)
_MAX_SHOWN = 5


def compare_with(original: Path, again: Path) -> Reproduction:
    """Compare the folders of two trainings, of which the second repeats the first.

    Raises ArtifactNotFound and StorageError when the files of one are gone or damaged.
    """
    first, second = read_card(original), read_card(again)
    differences = [
        *_weights(original, again),
        *_table("metrics", original / METRICS, again / METRICS),
        *_table("predictions", original / PREDICTIONS, again / PREDICTIONS),
        *_table("evaluated rows", original / EVALUATED_ROWS, again / EVALUATED_ROWS),
        *_lines("results", first.get("results"), second.get("results")),
    ]
    inputs = [line for name in _INPUTS for line in _lines(name, first.get(name), second.get(name))]
    return Reproduction(
        of=str(first.get("operation_id")),
        identical=not differences,
        differences=tuple(differences),
        inputs=tuple(inputs),
    )


def bars_of(folder: Path, symbol: str, timeframe: str) -> tuple[datetime, datetime] | None:
    """First and last bar of a series that a training read; later bars are not among its inputs.

    None where its card has no range.
    """
    try:
        card = read_card(folder)
        about = card["data_ranges"].get(symbol, {}).get(timeframe) or card["other_series"][symbol][timeframe]
        return datetime.fromisoformat(about["first"]), datetime.fromisoformat(about["last"])
    except (ArtifactNotFound, StorageError, KeyError, TypeError, ValueError):
        return None


def read_card(folder: Path) -> dict[str, Any]:
    """The card of the model in `folder`. Raises ArtifactNotFound and StorageError."""
    path = folder / CARD
    try:
        card: dict[str, Any] = json.loads(path.read_bytes())
        return card
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"there is no model in {folder}", path=str(folder)) from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}", path=str(path)) from error


def model_folders(folder: Path) -> list[Path]:
    """Where the models of a training lie: of one in folds a folder for each, in it, or beside it in a server's home.

    Raises ArtifactNotFound and StorageError.
    """
    folds = read_card(folder).get("operation_ids") or ()
    return [own if (own := folder / fold).is_dir() else folder.parent / fold for fold in folds] or [folder]


def _weights(original: Path, again: Path) -> Iterator[str]:
    first, second = (_tensors(folder) for folder in (original, again))
    for name in sorted(first.keys() | second.keys()):
        one, other = first.get(name), second.get(name)
        if one is None or other is None or one.shape != other.shape:
            yield f"weights {name}: {_shape(one)} → {_shape(other)}"
        elif one.tobytes() != other.tobytes():
            difference = np.abs(one.astype(np.float64) - other)
            count = int(np.sum(difference != 0))
            yield f"weights {name}: {count:,} of {one.size:,} differ, by {difference.max():.2g} at most"


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load

    path = folder / WEIGHTS
    try:
        tensors: dict[str, Any] = load(path.read_bytes())
        return tensors
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"there are no weights in {folder}", path=str(folder)) from error
    except Exception as error:
        raise StorageError(f"{path} cannot be read: {error}", path=str(path)) from error


def _shape(array: Any) -> str:
    return "none" if array is None else "x".join(map(str, array.shape)) or "a number"


def _table(name: str, original: Path, again: Path) -> Iterator[str]:
    """The first row in which two tables differ."""
    if not (original.is_file() and again.is_file()):
        return
    first, second = (_read_table(path) for path in (original, again))
    if _control(first) != _control(second):
        first, second = (table.drop(_control(table)) for table in (first, second))
    if first.columns != second.columns or len(first) != len(second):
        yield f"{name}: {len(first):,} rows → {len(second):,} rows"
        return
    for column in first.columns:
        same = first[column].eq_missing(second[column])
        if not same.all():
            row = int((~same).arg_max() or 0)
            count = int((~same).sum())
            yield f"{name}: {column} differs in {count:,} of {len(first):,} rows, first in row {row + 1}: " + (
                f"{first[column][row]} → {second[column][row]}"
            )


def _read_table(path: Path) -> pl.DataFrame:
    table = pl.read_parquet(path).drop(_TIMES, strict=False)
    return table.filter(pl.col("part") != "test") if "part" in table.columns else table


def _control(table: pl.DataFrame) -> list[str]:
    """The columns of the control on shuffled labels, which a trial of a search lacks."""
    return [name for name in table.columns if name.partition(".")[0] == CONTROL]


def _lines(name: str, first: object, second: object) -> list[str]:
    lines = list(_differing(name, first, second))
    more = len(lines) - _MAX_SHOWN
    return [*lines[:_MAX_SHOWN], f"{name}: and {more} more"] if more > 0 else lines


def _differing(name: str, first: object, second: object) -> Iterator[str]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in [*first, *(key for key in second if key not in first)]:
            # A trial of a search trains no control, so it says nothing against another's.
            lacks_control = key == CONTROL and not (key in first and key in second)
            if key not in _NOT_RESULTS and not key.endswith("seconds") and not lacks_control:
                yield from _differing(f"{name}.{key}", first.get(key), second.get(key))
    elif first != second:
        yield f"{name}: {_brief(first)} → {_brief(second)}"


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
