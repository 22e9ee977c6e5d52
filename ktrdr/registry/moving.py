"""Moves all records of a registry into an empty one, as one transaction of the empty one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, Table, event, insert, inspect, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ktrdr.errors import ConflictError, StorageError
from ktrdr.registry import schema
from ktrdr.registry.ownership import ServerLock
from ktrdr.registry.records import READ_ERRORS
from ktrdr.registry.tables import Base, HomeRow, MetricRow, OperationRow, RunRow

_BATCH = 2_000
_MOVED: tuple[Table, ...] = tuple(
    Base.metadata.tables[row.__tablename__] for row in (HomeRow, OperationRow, MetricRow, RunRow)
)
_RESULTS = OperationRow.results.key


@dataclass(slots=True)
class Tally:
    """Counts rows, and sums up their content in a way that does not depend on their order."""

    rows: int = 0
    checksum: int = 0

    def add(self, rows: Sequence[RowMapping]) -> None:
        self.rows += len(rows)
        for row in rows:
            content = json.dumps(dict(row), default=str, sort_keys=True).encode()
            self.checksum ^= int.from_bytes(hashlib.sha256(content).digest())


async def move(source: AsyncEngine, target: AsyncEngine) -> dict[str, int]:
    """Copy every row, compare all of them, then commit; the numbers of rows by table.

    Nothing may be using the two. Raises ConflictError for a target that holds a registry, RegistryInUse, and
    StorageError; the target is then empty still.
    """
    lock = ServerLock(target) if target.dialect.name == "postgresql" else None
    try:
        if lock:
            await lock.take()
        async with _transaction(source) as old, _transaction(target) as new:
            await _check_empty(new)
            await new.run_sync(schema.create)
            return {table.name: await _move_table(old, new, table) for table in _MOVED}
    except READ_ERRORS as error:
        raise StorageError(f"a record cannot be read: {error}", hint="see which with: ktrdr doctor") from error
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StorageError(f"the registry cannot be moved: {cause}", hint="nothing has changed") from error
    finally:
        if lock:
            await lock.release()


@asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    if engine.dialect.name == "sqlite":
        # Python's own transactions leave out what creates tables.
        event.listen(engine.sync_engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    async with engine.begin() as connection:
        yield connection


async def _check_empty(target: AsyncConnection) -> None:
    present = await target.run_sync(lambda connection: inspect(connection).get_table_names())
    if present:
        raise ConflictError(
            f"the database that --to names is not empty: it has {', '.join(sorted(present)[:5])}",
            hint="name an empty one; if the registry was moved there before, only the setting is missing",
        )


async def _move_table(source: AsyncConnection, target: AsyncConnection, table: Table) -> int:
    old, new = Tally(), Tally()
    async for rows in _batches(source, table):
        old.add(rows)
        for group in _insertable(rows):
            await target.execute(insert(table), group)
    async for rows in _batches(target, table):
        new.add(rows)
    if old != new:
        what = f"{new.rows:,} of {old.rows:,} rows of {table.name} arrived, or some differently"
        raise StorageError(what, hint="nothing has changed; try another database")
    return new.rows


async def _batches(connection: AsyncConnection, table: Table) -> AsyncIterator[Sequence[RowMapping]]:
    keys = list(table.primary_key.columns)
    query = select(table).order_by(*keys).limit(_BATCH)
    rows = (await connection.execute(query)).mappings().all()
    while rows:
        yield rows
        last = tuple(rows[-1][key.name] for key in keys)
        rows = (await connection.execute(query.where(tuple_(*keys) > last))).mappings().all()


def _insertable(rows: Sequence[RowMapping]) -> list[list[dict[str, Any]]]:
    """Rows by whether they have results: None would be stored as the JSON `null`, and not as no value."""
    plain = [{name: value for name, value in row.items() if name != _RESULTS or value is not None} for row in rows]
    groups = ([row for row in plain if _RESULTS in row], [row for row in plain if _RESULTS not in row])
    return [group for group in groups if group]
