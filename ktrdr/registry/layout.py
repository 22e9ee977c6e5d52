"""Whether a SQLite registry has the tables of this version, and what can be saved of one that is damaged."""

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
    """The files that SQLite keeps beside a database in write-ahead mode."""
    return [path.with_name(path.name + suffix) for suffix in _LOG_SUFFIXES]


@contextlib.contextmanager
def connected(path: Path, *, writes: bool = False) -> Iterator[Connection]:
    """A connection of its own, outside any event loop; it commits at the end. One that reads leaves no trace."""
    # Without a log nobody has it open; SQLite would make one, even to read.
    mode = "mode=rwc" if writes else "mode=ro" if log_files(path)[0].exists() else "mode=ro&immutable=1"
    address = f"{path.resolve().as_uri()}?{mode}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def create_tables(connection: Connection) -> None:
    """What is missing of tables and of their indexes."""
    Base.metadata.create_all(connection)
    for table in Base.metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def missing_tables(connection: Connection) -> list[str]:
    present = inspect(connection).get_table_names()
    return [table.name for table in Base.metadata.sorted_tables if table.name not in present]


def missing_columns(connection: Connection) -> list[str]:
    """`table.column` of each column that this version needs and that an existing table has not."""
    return [str(column) for column in _missing(connection)]


def unreadable_records(connection: Connection) -> list[str]:
    """The ids of operations of which something is no record, or has metrics that are none."""
    tables = (f"SELECT operation_id FROM {table} WHERE NOT ({readable})" for table, readable in _READABLE.items())
    return list(connection.execute(text(" UNION ".join(tables))).scalars())


def add_missing_columns(connection: Connection) -> None:
    """Columns that may be empty can be added; raises SQLAlchemyError at one that may not."""
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
    """Make a new registry of what can be read in another one: how many operations, how many metrics."""
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
    readable = _READABLE[table.name]
    # From both ends, since a scan stops at the first page that is damaged.
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
