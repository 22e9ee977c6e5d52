"""The SQLite file of a ledger: its tables, its version, and connections of one transaction each."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ktrdr.errors import StorageError

VERSION = 1
_PATIENCE_S = 30.0
_LOG = "-wal"

_TABLES = """
CREATE TABLE axes (
    sha256 TEXT PRIMARY KEY,
    instants BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE tracks (
    track INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    length_us INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    instants BLOB NOT NULL,
    closes BLOB NOT NULL
);
-- Tracks that overlap, in both directions; every track overlaps itself.
CREATE TABLE overlaps (
    track INTEGER NOT NULL REFERENCES tracks,
    other INTEGER NOT NULL REFERENCES tracks,
    PRIMARY KEY (track, other)
) WITHOUT ROWID;
CREATE TABLE footprints (
    footprint INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE
);
CREATE TABLE footprint_tracks (
    footprint INTEGER NOT NULL REFERENCES footprints,
    track INTEGER NOT NULL REFERENCES tracks,
    PRIMARY KEY (footprint, track)
) WITHOUT ROWID;
CREATE INDEX footprints_by_track ON footprint_tracks (track);
CREATE TABLE looks (
    number INTEGER PRIMARY KEY,
    look_id TEXT NOT NULL UNIQUE,
    operation_id TEXT NOT NULL,
    door TEXT NOT NULL,
    kind TEXT NOT NULL,
    part TEXT NOT NULL,
    strategy_name TEXT NOT NULL,
    inputs_sha256 TEXT NOT NULL,
    label TEXT NOT NULL,
    timeframe TEXT NOT NULL,
    symbols TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    samples INTEGER NOT NULL,
    footprint INTEGER NOT NULL REFERENCES footprints,
    opened_at TEXT NOT NULL,
    closed_at TEXT,
    figures TEXT,
    series_header TEXT,
    series BLOB,
    axis TEXT REFERENCES axes,
    periods TEXT REFERENCES axes
);
CREATE INDEX looks_by_operation ON looks (operation_id);
CREATE INDEX looks_by_footprint ON looks (footprint);
CREATE TABLE openings (
    opening INTEGER PRIMARY KEY,
    look_id TEXT NOT NULL REFERENCES looks (look_id),
    opened_at TEXT NOT NULL,
    by TEXT NOT NULL,
    level REAL NOT NULL
);
"""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing and creates no file. Raises StorageError."""
    # Without a log no process has the file open, and SQLite would create a log even to read.
    mode = "mode=ro" if path.with_name(path.name + _LOG).exists() else "mode=ro&immutable=1"
    with _explained(path), closing(_connect(f"{path.resolve().as_uri()}?{mode}")) as connection:
        _check_version(path, connection)
        connection.execute("BEGIN")
        yield connection


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection with one transaction, which is durable once this ends; the file is created where there is none.

    Raises StorageError; nothing is changed then.
    """
    with _explained(path):
        if not path.exists():
            _create(path)
        with closing(_connect(f"{path.resolve().as_uri()}?mode=rw")) as connection:
            _check_version(path, connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()


def _connect(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _create(path: Path) -> None:
    """Make a whole ledger under another name first, so that nobody ever sees half of one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        # Unlike a rename, a link replaces no ledger that another process has made in the meantime.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StorageError(
            f"{path} was written by a newer ktrdr (layout {version}; this one reads {VERSION})",
            hint="use the newer ktrdr; nothing was changed",
        )
    if version < VERSION:
        raise StorageError(f"{path} is no ledger: it has layout {version}", hint=_MEND)


_MEND = "look at it with: ktrdr doctor; then restore a copy of it from a backup"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors and the system's into StorageError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"the ledger {path} cannot be used: {error}", hint="make room, or correct its permissions, and try again"
        ) from error
    except sqlite3.DatabaseError as error:
        raise StorageError(f"the ledger {path} is damaged: {error}", hint=_MEND) from error
    except OSError as error:
        raise StorageError(
            f"the ledger {path} cannot be used: {error.strerror or error}", hint="make room, or correct its permissions"
        ) from error
