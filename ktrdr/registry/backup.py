"""Copies a SQLite registry that is in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.operations.status import OperationStatus

_UNFINISHED = tuple(str(status) for status in OperationStatus if not status.is_terminal)
_DOCTOR = "see what is wrong with: ktrdr doctor"


def copy_registry(source: Path, target: Path) -> None:
    """Copy the registry as it is at one instant; writers go on. Raises StorageError."""
    try:
        # Read and write: SQLite replays the log of a server that was killed.
        with closing(_open(source)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
            damage = [row[0] for row in copy.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        raise StorageError(f"{source} cannot be copied: {error}", hint=_DOCTOR) from error
    if damage != ["ok"]:
        raise StorageError(
            f"{source} is damaged: {'; '.join(damage)}", hint="nothing was backed up; repair it: ktrdr doctor --repair"
        )


def recorded_ids(path: Path) -> set[str]:
    """The ids of all operations. Raises StorageError."""
    return set(_select(path, "SELECT operation_id FROM operations"))


def unfinished_ids(path: Path) -> list[str]:
    """The ids of operations that have not ended, sorted. Raises StorageError."""
    marks = ", ".join("?" for _ in _UNFINISHED)
    query = f"SELECT operation_id FROM operations WHERE status IN ({marks}) ORDER BY operation_id"
    return _select(path, query, *_UNFINISHED)


def remove_operations(path: Path, operation_ids: Iterable[str]) -> None:
    """Remove operations and their metrics from a copy that nobody uses. Raises StorageError."""
    rows = [(operation_id,) for operation_id in operation_ids]
    try:
        with closing(_open(path)) as registry, registry:
            present = {row[0] for row in registry.execute("SELECT name FROM sqlite_master")}  # older ones have no runs
            for table in ("metrics", "runs", "operations"):
                if table in present:
                    registry.executemany(f"DELETE FROM {table} WHERE operation_id = ?", rows)
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be written: {error}") from error


def _select(path: Path, query: str, *values: str) -> list[str]:
    try:
        with closing(_open(path)) as registry:
            return [row[0] for row in registry.execute(query, values)]
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be read: {error}", hint=_DOCTOR) from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=30)
