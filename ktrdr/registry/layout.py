"""Compares a SQLite registry with the tables of this version, and salvages a damaged one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Index, NullPool, Table, create_engine, inspect, text
from sqlalchemy.schema import CreateColumn

from ktrdr.operations.status import OperationStatus
from ktrdr.registry.tables import Base

_LOG_SUFFIXES = ("-wal", "-shm")
_STATUSES = ", ".join(f"'{status}'" for status in OperationStatus)
_READABLE = {
    "operations": f"json_valid(details) AND (results IS NULL OR json_valid(results)) AND status IN ({_STATUSES})",
    "metrics": "json_valid(record)",
}


def log_files(path: Path) -> list[Path]:
    """The files that SQLite writes next to a database in write-ahead mode."""
    return [path.with_name(path.name + suffix) for suffix in _LOG_SUFFIXES]


@contextlib.contextmanager
def connected(path: Path, *, writes: bool = False) -> Iterator[Connection]:
    """A separate connection, outside any event loop, that commits at the end; a read-only one creates no file."""
    # Without a log no process has the file open, and SQLite would create a log even to read.
    mode = "mode=rwc" if writes else "mode=ro" if log_files(path)[0].exists() else "mode=ro&immutable=1"
    address = f"{path.resolve().as_uri()}?{mode}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def create_tables(connection: Connection) -> None:
    """Create missing tables and indexes."""
    Base.metadata.create_all(connection)
    for table in Base.metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def missing_tables(connection: Connection) -> list[str]:
    present = inspect(connection).get_table_names()
    # The next start creates the table that names the home, which registries before 0.2 do not have.
    return [name for name in _READABLE if name not in present]


def missing_columns(connection: Connection) -> list[str]:
    """The columns of this version that existing tables lack, as `table.column`."""
    return [str(column) for column in _missing(connection)]


def unreadable_records(connection: Connection) -> list[str]:
    """The ids of operations whose record or metrics are invalid."""
    tables = (f"SELECT operation_id FROM {table} WHERE NOT ({readable})" for table, readable in _READABLE.items())
    return list(connection.execute(text(" UNION ".join(tables))).scalars())


def add_missing_columns(connection: Connection) -> None:
    """Add missing nullable columns. Raises SQLAlchemyError for a column that must not be null."""
    for column in list(_missing(connection)):
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}"))
        if column.unique:
            Index(f"{column.table.name}_{column.name}_unique", column, unique=True).create(connection)


def _missing(connection: Connection) -> Iterator[Column[Any]]:
    inspector = inspect(connection)
    present_tables = inspector.get_table_names()
    for table in Base.metadata.sorted_tables:
        if table.name in present_tables:
            present = {column["name"] for column in inspector.get_columns(table.name)}
            yield from (column for column in table.columns if column.name not in present)


def salvage(damaged: Path, fresh: Path) -> tuple[int, int]:
    """Copy all readable rows into a new registry; return the numbers of operations and of metrics."""
    with connected(fresh, writes=True) as connection:
        Base.metadata.create_all(connection)
    with contextlib.closing(sqlite3.connect(fresh)) as target:
        for table in Base.metadata.sorted_tables:
            _salvage_table(damaged, target, table)
        target.execute("DELETE FROM metrics WHERE operation_id NOT IN (SELECT operation_id FROM operations)")
        target.commit()
        return _count(target, "operations"), _count(target, "metrics")


def _salvage_table(damaged: Path, target: sqlite3.Connection, table: Table) -> None:
    names = [column.name for column in table.columns]
    readable = _READABLE.get(table.name, "1")
    # Scan from both ends, because a scan stops at the first damaged page.
    for direction in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(damaged)) as source:
            present = {row[1] for row in source.execute(f"PRAGMA table_info({table.name})")}
            columns = ", ".join(name for name in names if name in present)
            marks = ", ".join("?" for name in names if name in present)
            order = f"SELECT {columns} FROM {table.name} NOT INDEXED WHERE {readable} ORDER BY rowid {direction}"
            for row in source.execute(order):
                with contextlib.suppress(sqlite3.IntegrityError):
                    target.execute(f"INSERT OR IGNORE INTO {table.name} ({columns}) VALUES ({marks})", row)


def _count(database: sqlite3.Connection, table: str) -> int:
    count: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count
