"""The registry: operations, results and metrics in SQLite, or in PostgreSQL when the URL names it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Select, delete, event, func, insert, select, text, tuple_
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from ktrdr.errors import StorageError
from ktrdr.home import Home
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import EndedOperation
from ktrdr.registry.layout import create_tables, log_files, missing_columns
from ktrdr.registry.ownership import ServerLock, claim
from ktrdr.registry.tables import MetricRow, OperationRow

logger = logging.getLogger(__name__)

_DOCTOR = "see what is wrong with: ktrdr doctor"
_IN_MEMORY = ("", ":memory:")


def sqlite_url(path: Path) -> URL:
    """The URL of a SQLite file, built from parts because a path may contain special characters."""
    return URL.create("sqlite+aiosqlite", database=str(path))


class SqlOperationStore:
    """An `OperationStore` (the port states its guarantees) on a SQLAlchemy engine.

    A SQLite file that is deleted while open still exists in the open connections. The store writes it back from them
    before the next writing transaction, so that the records survive the process.
    """

    def __init__(self, url: str | URL) -> None:
        try:
            # A connection that the database has ended is replaced before it is used.
            self._engine = create_async_engine(url, pool_pre_ping=True)
        except (ArgumentError, ImportError) as error:
            raise StorageError(
                f"KTRDR_DATABASE_URL cannot be used: {error}",
                hint="for example sqlite+aiosqlite:///registry.sqlite or postgresql+asyncpg://user@host/ktrdr",
            ) from error
        self._file: Path | None = None
        self._opened: tuple[int, int] | None = None
        self._writing = asyncio.Lock()
        self._server_lock: ServerLock | None = None
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine.sync_engine, "do_connect", self._refuse_new_file)
            event.listen(self._engine.sync_engine, "connect", _configure_sqlite)
            if (self._engine.url.database or "") not in _IN_MEMORY:
                self._file = Path(self._engine.url.database or "")

    async def open(self) -> None:
        """Connect and create missing tables.

        Raises StorageError, also when the tables are of another version or cannot be written.
        """
        if self._file:
            async with _as_storage_errors():
                await asyncio.to_thread(_try_sqlite_file, self._file)
                self._opened = _identity(self._file)
        async with self._connection() as connection:
            if missing := await connection.run_sync(missing_columns):
                raise StorageError(
                    f"the registry {self._file or ''} is of an older layout: it has no {', '.join(missing)}",
                    hint="bring it up to date with: ktrdr doctor --repair",
                )
            await connection.run_sync(create_tables)
        await self.ping()

    async def claim(self, home: Home) -> None:
        """Use the registry for `home` alone, as the only server; to be called after `open`.

        Raises RegistryInUse when it serves another home or another server, and StorageError.
        """
        async with _as_storage_errors():
            if self._engine.dialect.name == "postgresql":
                self._server_lock = ServerLock(self._engine)
                await self._server_lock.take()
        is_inside = self._file is not None and self._file.resolve().is_relative_to(home.root.resolve())
        async with self._connection() as connection:
            await connection.run_sync(claim, home, is_inside=is_inside)

    async def add(self, operation: Operation) -> bool:
        try:
            async with self._writing_session() as session:
                session.add(OperationRow(**_columns(operation)))
                with _duplicates_detected():
                    await session.flush()
        except _Duplicate:
            return False
        return True

    async def find_by_key(self, idempotency_key: str) -> Operation | None:
        async with self._session() as session:
            query = select(OperationRow).where(OperationRow.idempotency_key == idempotency_key)
            row = (await session.execute(query)).scalar_one_or_none()
            return _operation(row) if row else None

    async def update(self, operation: Operation) -> None:
        async with self._writing_session() as session:
            await session.merge(OperationRow(**_columns(operation)))

    async def finish(
        self,
        operation: Operation,
        results: Mapping[str, Any],
        metrics: Sequence[Mapping[str, Any]],
    ) -> None:
        async with self._writing_session() as session:
            await session.merge(OperationRow(**_columns(operation), results=dict(results)))
            await session.execute(delete(MetricRow).where(MetricRow.operation_id == operation.operation_id))
            await _insert_metrics(session, operation.operation_id, metrics)

    async def add_ended(self, ended: Sequence[EndedOperation]) -> bool:
        try:
            async with self._writing_session() as session:
                session.add_all(OperationRow(**_columns(each.operation), results=dict(each.results)) for each in ended)
                with _duplicates_detected():
                    await session.flush()
                for each in ended:
                    await _insert_metrics(session, each.operation.operation_id, each.metrics)
        except _Duplicate:
            return False
        return True

    async def remove(self, operation_id: str) -> None:
        async with self._writing_session() as session:
            await session.execute(delete(MetricRow).where(MetricRow.operation_id == operation_id))
            await session.execute(delete(OperationRow).where(OperationRow.operation_id == operation_id))

    async def get(self, operation_id: str) -> Operation | None:
        async with self._session() as session:
            row = await session.get(OperationRow, operation_id)
            return _operation(row) if row else None

    async def results(self, operation_id: str) -> dict[str, Any] | None:
        async with self._session() as session:
            query = select(OperationRow.results).where(OperationRow.operation_id == operation_id)
            return (await session.execute(query)).scalar_one_or_none()

    async def metrics(self, operation_id: str, start: int, limit: int) -> list[dict[str, Any]]:
        async with self._session() as session:
            query = (
                select(MetricRow.record)
                .where(MetricRow.operation_id == operation_id, MetricRow.position >= start)
                .order_by(MetricRow.position)
                .limit(limit)
            )
            return list((await session.execute(query)).scalars())

    async def results_by_id(self, operation_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        async with self._session() as session:
            query = select(OperationRow.operation_id, OperationRow.results).where(
                OperationRow.operation_id.in_(operation_ids), OperationRow.results.is_not(None)
            )
            return {operation_id: results for operation_id, results in await session.execute(query) if results}

    async def count_by_status(self) -> dict[str, int]:
        async with self._session() as session:
            query = select(OperationRow.status, func.count()).group_by(OperationRow.status)
            counted = {row.status: row[1] for row in await session.execute(query)}
        return {str(status): counted.get(str(status), 0) for status in OperationStatus}

    async def count_metrics(self, operation_id: str) -> int:
        async with self._session() as session:
            query = select(func.count()).where(MetricRow.operation_id == operation_id)
            return (await session.execute(query)).scalar_one()

    async def list(
        self,
        *,
        status: OperationStatus | None = None,
        operation_type: str | None = None,
        parent_id: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[list[Operation], int]:
        matching = select(OperationRow)
        if status is not None:
            matching = matching.where(OperationRow.status == str(status))
        if operation_type is not None:
            matching = matching.where(OperationRow.operation_type == operation_type)
        if parent_id is not None:
            matching = matching.where(OperationRow.parent_id == parent_id)
        async with self._session() as session:
            total = (await session.execute(select(func.count()).select_from(matching.subquery()))).scalar_one()
            rows = await session.execute(_page(matching, limit, before))
            return [_operation(row) for row in rows.scalars()], total

    async def ping(self) -> None:
        async with self._writing_session() as session:
            await session.execute(text("CREATE TABLE IF NOT EXISTS ping (at INTEGER)"))
            await session.execute(text("DELETE FROM ping"))

    async def close(self) -> None:
        if self._server_lock:
            await self._server_lock.release()
        await self._engine.dispose()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        async with _as_storage_errors(), AsyncSession(self._engine) as session, session.begin():
            yield session

    @asynccontextmanager
    async def _writing_session(self) -> AsyncIterator[AsyncSession]:
        """Run writers one at a time, as SQLite does anyway, so that none writes while the file is being restored."""
        async with self._writing:
            async with _as_storage_errors():
                await self._restore_deleted_file()
                if self._server_lock:
                    await self._server_lock.check()
            async with self._session() as session:
                yield session

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with _as_storage_errors(), self._engine.begin() as connection:
            yield connection

    async def _restore_deleted_file(self) -> None:
        if self._file is None or self._opened is None or (present := _identity(self._file)) == self._opened:
            return
        if present is not None:
            raise StorageError(
                f"another file has taken the place of the registry {self._file}; new records would be lost",
                hint="stop the server, restore the right file and start it again",
            )
        draft = self._file.with_name(f"{self._file.name}.new")
        for path in (draft, *log_files(self._file)):  # SQLite would apply the log of the deleted file to the new one
            path.unlink(missing_ok=True)
        async with self._engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("VACUUM INTO :path"), {"path": str(draft)})
        os.replace(draft, self._file)
        await self._engine.dispose()
        self._opened = _identity(self._file)
        logger.warning("The registry %s was deleted while in use; all of it has been written back", self._file)

    def _refuse_new_file(self, *_: object) -> None:
        """Keep SQLite from creating an empty file in place of a deleted one."""
        if self._file and self._opened and _identity(self._file) is None:
            raise FileNotFoundError(2, "it was deleted while the server ran", str(self._file))


async def _insert_metrics(session: AsyncSession, operation_id: str, metrics: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {"operation_id": operation_id, "position": position, "record": dict(record)}
        for position, record in enumerate(metrics)
    ]
    if rows:
        await session.execute(insert(MetricRow), rows)


class _Duplicate(Exception):
    """The id or the idempotency key of a new operation is already in use."""


@contextmanager
def _duplicates_detected() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise _Duplicate from error


@asynccontextmanager
async def _as_storage_errors() -> AsyncIterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = str(getattr(error, "orig", None) or error)
        raise StorageError(f"the registry cannot be used: {cause}", hint=_hint(cause)) from error
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"the registry holds a record that cannot be read: {error}", hint=_DOCTOR) from error


def _hint(cause: str) -> str:
    if "locked" in cause:
        return "another process is writing to it; try again, and see which with: fuser registry.sqlite"
    if "full" in cause:
        return "make room on the disk of KTRDR_HOME (see: ktrdr config show)"
    if any(word in cause for word in ("not a database", "malformed", "readonly", "no such", "disk I/O")):
        return _DOCTOR
    return "see KTRDR_DATABASE_URL and KTRDR_HOME with: ktrdr config show"


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which distinguish a file from a replacement; None where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _configure_sqlite(connection: Any, _: object) -> None:
    """Enable write-ahead logging, with which a process may die at any instant without losing a transaction."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _try_sqlite_file(path: Path) -> None:
    """Open the file once, because aiosqlite's thread would outlive a failed connection."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version")


def _page(matching: Select[OperationRow], limit: int, before: str | None) -> Select[OperationRow]:
    order = (OperationRow.created_at, OperationRow.operation_id)
    if before is not None:
        edge = select(*order).where(OperationRow.operation_id == before).scalar_subquery()
        matching = matching.where(tuple_(*order) < edge)
    return matching.order_by(*(column.desc() for column in order)).limit(limit)


def _columns(operation: Operation) -> dict[str, Any]:
    return {
        "operation_id": operation.operation_id,
        "operation_type": operation.operation_type,
        "status": str(operation.status),
        "created_at": operation.created_at,
        "updated_at": operation.updated_at,
        "started_at": operation.started_at,
        "completed_at": operation.completed_at,
        "parent_id": operation.parent_id,
        "idempotency_key": operation.idempotency_key,
        "worker_pid": operation.worker.pid if operation.worker else None,
        "worker_started_at": operation.worker.started_at if operation.worker else None,
        "details": {
            "metadata": dict(operation.metadata),
            "progress": dict(operation.progress),
            "error": dict(operation.error) if operation.error else None,
            "payload": dict(operation.payload),
            "boot_id": operation.worker.boot_id if operation.worker else "",
        },
    }


def _operation(row: OperationRow) -> Operation:
    details = dict(row.details)
    boot_id = details.pop("boot_id", "")  # records before 0.2 have none
    worker = None
    if row.worker_pid is not None and row.worker_started_at is not None:
        worker = WorkerIdentity(row.worker_pid, row.worker_started_at, boot_id)
    return Operation(
        operation_id=row.operation_id,
        operation_type=row.operation_type,
        status=OperationStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        parent_id=row.parent_id,
        idempotency_key=row.idempotency_key,
        worker=worker,
        **details,
    )
