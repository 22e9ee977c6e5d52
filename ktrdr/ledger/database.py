"""The SQLite file of a ledger: its tables, its version, and connections of one transaction each."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ktrdr.errors import StorageError

VERSION = 1
_PATIENCE_S = 30.0

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
CREATE TABLE footprints (
    footprint INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE
);
-- Footprints that overlap, in both directions; every footprint overlaps itself.
CREATE TABLE overlaps (
    footprint INTEGER NOT NULL REFERENCES footprints,
    other INTEGER NOT NULL REFERENCES footprints,
    PRIMARY KEY (footprint, other)
) WITHOUT ROWID;
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
    whole_sha256 TEXT,
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
    number INTEGER NOT NULL,
    level REAL NOT NULL,
    opened_at TEXT NOT NULL,
    by TEXT NOT NULL
);
"""


class Database:
    """The file at `path`, with one connection that is opened when it is first used.

    Threads take turns. A file that was put in place of the other since is opened anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of an existing file. Raises StorageError."""
        with self._turn, explained(self._path), _transaction(self._open(), "BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is durable once this ends; the file is created where there is none.

        Raises StorageError; nothing is changed then.
        """
        with self._turn, explained(self._path):
            if not self._path.exists():
                _create(self._path)
            with _transaction(self._open(), "BEGIN IMMEDIATE") as connection:
                yield connection

    def close(self) -> None:
        with self._turn:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        found = self._path.stat()
        if self._connection and self._opened and os.path.samestat(found, self._opened):
            return self._connection
        self.close()
        self._connection, self._opened = connect(self._path), found
        return self._connection


def connect(path: Path, mode: str = "mode=rw") -> sqlite3.Connection:
    """A connection to a ledger of this version. Raises StorageError and sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?{mode}",
        uri=True,
        timeout=_PATIENCE_S,
        isolation_level=None,
        check_same_thread=False,  # threads take turns
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous=FULL")
        _check_version(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    connection.execute(begin)
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _create(path: Path) -> None:
    """Make a whole ledger under another name first, so that nobody ever sees half of one."""
    check_log(path)
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


def has_log(path: Path) -> bool:
    """Whether SQLite's log lies beside the ledger: a process has it open, or was killed."""
    return path.with_name(f"{path.name}-wal").exists()


def check_log(path: Path) -> None:
    """Raises StorageError where a ledger is gone and its log is not, which would be applied to a new one."""
    if has_log(path) and not path.exists():
        raise StorageError(
            f"the ledger {path} is gone, and its log {path.name}-wal is still there",
            hint=f"restore a copy of the ledger; or to count anew, remove {path.name}-wal and {path.name}-shm too",
        )


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StorageError(
            f"{path} was written by a newer ktrdr (layout {version}; this one reads {VERSION})",
            hint="use the newer ktrdr; nothing was changed",
        )
    if version < VERSION:
        raise StorageError(f"{path} is no ledger: it has layout {version}", hint=_MEND)


_PERMISSIONS = "correct the permissions of the file and its folder"
# By SQLite's code, of errors that say nothing about the content.
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process writes to it and does not end: end that one, and try again",
    sqlite3.SQLITE_FULL: "make room, and try again",
    sqlite3.SQLITE_IOERR: "check the disk, and try again",
    sqlite3.SQLITE_NOMEM: "free memory, and try again",
    sqlite3.SQLITE_CANTOPEN: _PERMISSIONS,
    sqlite3.SQLITE_PERM: _PERMISSIONS,
    sqlite3.SQLITE_READONLY: _PERMISSIONS,
}
_MEND = "look at it with: ktrdr doctor; then restore a copy of it from a backup"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors and the system's into StorageError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if advice := _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF):
            raise StorageError(f"the ledger {path} cannot be used: {error}", hint=advice) from error
        raise StorageError(f"the ledger {path} is damaged: {error}", hint=_MEND) from error
    except OSError as error:
        raise StorageError(
            f"the ledger {path} cannot be used: {error.strerror or error}", hint="make room, or correct its permissions"
        ) from error
