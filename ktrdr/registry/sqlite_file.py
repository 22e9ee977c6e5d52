"""The file of a SQLite registry: connections outside any event loop, copies, and the salvage of a damaged one."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, event

from ktrdr.findings import BACKUP
from ktrdr.registry import schema
from ktrdr.registry.backup import copy_registry
from ktrdr.registry.tables import HomeRow, MetricRow, OperationRow, RunRow

logger = logging.getLogger(__name__)

_LOG_SUFFIXES = ("-wal", "-shm")
_PATIENCE_S = 5.0
_SALVAGED = (OperationRow, MetricRow, RunRow, HomeRow)


def log_files(path: Path) -> list[Path]:
    """The files that SQLite writes next to a database in write-ahead mode."""
    return [path.with_name(path.name + suffix) for suffix in _LOG_SUFFIXES]


@contextmanager
def connected(path: Path, *, writes: bool = False) -> Iterator[Connection]:
    """A connection with one transaction, committed at the end; a read-only one creates no file."""
    # Without a log no process has the file open, and SQLite would create a log even to read.
    mode = "mode=rwc" if writes else "mode=ro" if log_files(path)[0].exists() else "mode=ro&immutable=1"
    address = f"{path.resolve().as_uri()}?{mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, isolation_level=None)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    # Python's own transactions leave out what creates and alters tables.
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    with engine.begin() as connection:
        yield connection


def enable_log(path: Path) -> None:
    """Switch to write-ahead logging, with which a process may die at any instant without losing a transaction.

    SQLite refuses that at once while anybody reads or writes, whatever its timeout is, so this tries for as long as a
    statement would wait. Raises sqlite3.Error.
    """
    deadline = time.monotonic() + _PATIENCE_S
    with closing(sqlite3.connect(path)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)


def back_up(path: Path, version: str) -> None:
    """Copy the registry into the folder `backup` beside it, under a name with its version and the time.

    Raises OSError and StorageError; what a killed copy left is replaced by the next one.
    """
    folder = path.with_name(BACKUP)
    folder.mkdir(exist_ok=True)
    draft = folder / f"{path.name}.new"
    draft.unlink(missing_ok=True)
    copy_registry(path, draft)
    copied = folder / f"{path.stem}-{version}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{path.suffix}"
    os.replace(draft, copied)
    logger.info("The registry has layout %s and is brought up to date; as it was, it is in %s", version, copied)


def salvage(damaged: Path, fresh: Path) -> tuple[int, int]:
    """Copy all rows that SQLite can read into a new registry; return the numbers of operations and of metrics."""
    with connected(fresh, writes=True) as connection:
        schema.create(connection)
    with closing(sqlite3.connect(fresh)) as target:
        for table in _SALVAGED:
            _salvage_table(damaged, target, table.__tablename__, [column.name for column in table.__table__.columns])
        for name in ("metrics", "runs"):
            target.execute(f"DELETE FROM {name} WHERE operation_id NOT IN (SELECT operation_id FROM operations)")
        target.commit()
        return _count(target, "operations"), _count(target, "metrics")


def _salvage_table(damaged: Path, target: sqlite3.Connection, name: str, known: Sequence[str]) -> None:
    # Scan from both ends, because a scan stops at the first damaged page.
    for direction in ("ASC", "DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(damaged)) as source:
            present = {row[1] for row in source.execute(f"PRAGMA table_info({name})")}
            columns = [column for column in known if column in present]
            names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
            for row in source.execute(f"SELECT {names} FROM {name} NOT INDEXED ORDER BY rowid {direction}"):
                with suppress(sqlite3.IntegrityError):
                    target.execute(f"INSERT OR IGNORE INTO {name} ({names}) VALUES ({marks})", row)


def _count(database: sqlite3.Connection, table: str) -> int:
    count: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count
