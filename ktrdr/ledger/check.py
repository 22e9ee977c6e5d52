"""Checks the file of a ledger without changing it."""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.findings import Finding, Level
from ktrdr.formatting import counted, size_text
from ktrdr.ledger.database import check_log, connect, has_log

_LEDGER = "ledger"
_RESTORE = "restore a copy of it, or move it away to count tries anew; trainings fail until then"


def check(path: Path) -> Iterator[Finding]:
    """One line that the ledger is sound, or its faults."""
    if not path.exists():
        yield _absence(path)
        return
    if os.name == "posix" and path.stat().st_mode & 0o077:
        advice = f"close it with: chmod 600 {shlex.quote(str(path))}"
        yield Finding(Level.NOTE, _LEDGER, f"{path.name} can be read by other users of this machine", advice)
    if not os.access(path, os.R_OK | os.W_OK):
        yield _fault(f"{path.name} cannot be read and written", f"fix its permissions: chmod 600 {path}")
        return
    try:
        with closing(connect(path, _mode(path))) as connection:
            yield from _check_content(path, connection)
    except StorageError as error:
        yield _fault(error.detail, error.hint)
    except sqlite3.DatabaseError as error:
        yield _fault(f"{path.name} is damaged: {error}", _RESTORE)


def _check_content(path: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    damage = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    orphans = len(connection.execute("PRAGMA foreign_key_check").fetchall())
    if damage != ["ok"]:
        yield _fault(f"{path.name} is damaged: {'; '.join(damage)}", _RESTORE)
    elif orphans:
        yield _fault(f"{path.name} is damaged: {counted(orphans, 'reference')} to rows that are gone", _RESTORE)
    else:
        looks = connection.execute("SELECT count(*) FROM looks").fetchone()[0]
        yield Finding(Level.OK, _LEDGER, f"{looks:,} looks, {size_text(path.stat().st_size)}")


def _absence(path: Path) -> Finding:
    try:
        check_log(path)
    except StorageError as error:
        return _fault(error.detail, error.hint)
    advice = "normal before the first training; else restore a copy of it"
    return Finding(Level.NOTE, _LEDGER, f"{path.name} does not exist", advice)


def _mode(path: Path) -> str:
    """Without a log no process has the file open, and SQLite would create a log even to read."""
    return "mode=ro" if has_log(path) else "mode=ro&immutable=1"


def _fault(what: str, advice: str) -> Finding:
    return Finding(Level.FAULT, _LEDGER, what, advice)
