"""Checks the folders of trained models, without torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

from ktrdr.findings import Finding, Level, check_each, check_json, damage, damaged_file, subfolders, summarised
from ktrdr.formatting import counted
from ktrdr.training import check as training_check
from ktrdr.training.check import MODELS
from ktrdr.training.files import CARD, EVALUATED_ROWS, METRICS, PREDICTIONS, WEIGHTS
from ktrdr.training.tensor_file import TensorFile

_PARQUET = b"PAR1"
_RESTORE = "put it back, or train again"


def check(root: Path, recorded: Set[str] | None, completed: Set[str]) -> list[Finding]:
    """`root` holds a folder for each training.

    recorded: the ids of all operations; None where the registry cannot be read
    completed: the ids of the trainings that have completed
    """
    folders = subfolders(root)
    unrecorded = () if recorded is None else sorted(folders.keys() - recorded)
    findings = [
        *(_without_folder(name) for name in sorted(completed - folders.keys())),
        *(_without_record(name) for name in unrecorded),
        *check_each(lambda name: _check_model(folders[name], name in completed), folders),
    ]
    return summarised(MODELS, counted(len(folders), "folder"), findings)


def _without_folder(name: str) -> Finding:
    return Finding(Level.FAULT, MODELS, f"{name} is COMPLETED and its folder is gone", _RESTORE)


def _without_record(name: str) -> Finding:
    advice = "no list shows it: restore the registry that has its record, or remove the folder"
    return Finding(Level.NOTE, MODELS, f"{name} has files but no record", advice)


def _check_model(folder: Path, is_complete: bool) -> Iterator[Finding]:
    needed = _needed_files(folder) if is_complete else ()
    for name, read in _FILES.items():
        path = folder / name
        if found := damage(read, path):
            yield damaged_file(MODELS, path, folder.parent, found, "train again, or put a copy back")
        elif name in needed and not path.exists():
            yield Finding(Level.FAULT, MODELS, f"{folder.name}/{name} is gone", _RESTORE)
    yield from training_check.check(folder)


def _needed_files(folder: Path) -> tuple[str, ...]:
    """A training in folds has a card that names its folds' operations, and no weights of its own."""
    try:
        is_in_folds = "operation_ids" in json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError, TypeError):
        is_in_folds = False
    return (CARD,) if is_in_folds else (WEIGHTS, CARD, METRICS)


def _check_parquet(path: Path) -> None:
    content = path.read_bytes()
    if len(content) <= 2 * len(_PARQUET) or not content[:4] == content[-4:] == _PARQUET:
        raise ValueError("it is no whole Parquet file")


_FILES: Mapping[str, Callable[[Path], object]] = {
    WEIGHTS: TensorFile.open,
    CARD: check_json,
    METRICS: _check_parquet,
    PREDICTIONS: _check_parquet,
    EVALUATED_ROWS: _check_parquet,
}
