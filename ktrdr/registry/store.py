"""The registry: operations, results and metrics in SQLite, or in PostgreSQL when the URL names it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Select, delete, event, func, insert, select, text, tuple_
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ktrdr.errors import StorageError
from ktrdr.home import Home
from ktrdr.operations.operation import Operation
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import EndedOperation, OperationPage, UnreadableRecord
from ktrdr.registry import schema
from ktrdr.registry.engine import open_engine
from ktrdr.registry.ownership import ServerLock, claim
from ktrdr.registry.records import READ_ERRORS, read_records, read_results, to_columns
from ktrdr.registry.sqlite_file import back_up, connected, enable_log, log_files
from ktrdr.registry.tables import MetricRow, OperationRow, PingRow, RunRow

logger = logging.getLogger(__name__)

_DOCTOR = "see what is wrong with: ktrdr doctor"
_IN_MEMORY = ("", ":memory:")
_ORDER = (OperationRow.created_at, OperationRow.operation_id)

Chosen = TypeVar("Chosen")


def sqlite_url(path: Path) -> URL:
    """The URL of a SQLite file, built from parts because a path may contain special characters."""
    return URL.create("sqlite+aiosqlite", database=str(path))


class SqlOperationStore:
    """An `OperationStore` (the port states its guarantees) on a SQLAlchemy engine.

    A SQLite file that is deleted while open still exists in the open connections. The store writes it back from them
    before the next writing transaction, so that the records survive the process.
    """

    def __init__(self, url: str | URL) -> None:
        self._engine = open_engine(url)
        self._file: Path | None = None
        self._opened: tuple[int, int] | None = None
        self._is_open = False
        self._writing = asyncio.Lock()
        self._server_lock: ServerLock | None = None
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine.sync_engine, "do_connect", self._refuse_new_file)
            event.listen(self._engine.sync_engine, "connect", _configure_sqlite)
            if (self._engine.url.database or "") not in _IN_MEMORY:
                self._file = Path(self._engine.url.database or "")

    async def open(self, home: Home | None = None) -> None:
        """Connect, create the tables or bring older ones up to date, and use them for `home` alone, as the only server.

        Without a home, as in tests, the registry is bound to none. Does nothing when it is open already.

        Raises RegistryInUse when it serves another home or another server, and StorageError when it cannot be used or
        is of a newer version.
        """
        if self._is_open:
            return
        try:
            async with _as_storage_errors():
                await self._prepare(home)
            await self.ping()
        except BaseException:
            await self.close()
            raise
        self._is_open = True

    async def _prepare(self, home: Home | None) -> None:
        if self._file:
            await asyncio.to_thread(_prepare_file, self._file, home)
            self._opened = _identity(self._file)
        else:
            await self._prepare_database(home)

    async def _prepare_database(self, home: Home | None) -> None:
        if self._engine.dialect.name == "postgresql":
            self._server_lock = ServerLock(self._engine)
            await self._server_lock.take()
        async with self._engine.begin() as connection:
            await connection.run_sync(_prepare, home, is_inside=False, back_up=_leave_copies_to_the_database)

    async def add(self, operation: Operation) -> bool:
        try:
            async with self.writing() as session:
                session.add(OperationRow(**to_columns(operation)))
                with _duplicates_detected():
                    await session.flush()
        except _Duplicate:
            return False
        return True

    async def find_by_key(self, idempotency_key: str) -> Operation | None:
        return await self._find(select(OperationRow).where(OperationRow.idempotency_key == idempotency_key))

    async def update(self, operation: Operation) -> None:
        async with self.writing() as session:
            await session.merge(OperationRow(**to_columns(operation)))

    async def finish(
        self,
        operation: Operation,
        results: Mapping[str, Any],
        metrics: Sequence[Mapping[str, Any]],
    ) -> None:
        async with self.writing() as session:
            await session.merge(OperationRow(**to_columns(operation), results=dict(results)))
            await session.execute(delete(MetricRow).where(MetricRow.operation_id == operation.operation_id))
            await _insert_metrics(session, operation.operation_id, metrics)

    async def add_ended(self, ended: Sequence[EndedOperation]) -> bool:
        try:
            async with self.writing() as session:
                session.add_all(
                    OperationRow(**to_columns(each.operation), results=dict(each.results)) for each in ended
                )
                with _duplicates_detected():
                    await session.flush()
                for each in ended:
                    await _insert_metrics(session, each.operation.operation_id, each.metrics)
        except _Duplicate:
            return False
        return True

    async def remove(self, operation_id: str) -> None:
        async with self.writing() as session:
            for row in (MetricRow, RunRow):
                await session.execute(delete(row).where(row.operation_id == operation_id))
            await session.execute(delete(OperationRow).where(OperationRow.operation_id == operation_id))

    async def get(self, operation_id: str) -> Operation | None:
        return await self._find(select(OperationRow).where(OperationRow.operation_id == operation_id))

    async def _find(self, one: Select[OperationRow]) -> Operation | None:
        async with self.reading() as session:
            record = next(iter(await session.run_sync(read_records, one)), None)
        if isinstance(record, UnreadableRecord):
            raise record.as_error()
        return record

    async def results(self, operation_id: str) -> dict[str, Any] | None:
        async with self.reading() as session:
            query = select(OperationRow.results).where(OperationRow.operation_id == operation_id)
            return (await session.execute(query)).scalar_one_or_none()

    async def metrics(self, operation_id: str, start: int, limit: int) -> list[dict[str, Any]]:
        async with self.reading() as session:
            query = (
                select(MetricRow.record)
                .where(MetricRow.operation_id == operation_id, MetricRow.position >= start)
                .order_by(MetricRow.position)
                .limit(limit)
            )
            return list((await session.execute(query)).scalars())

    async def results_by_id(self, operation_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        async with self.reading() as session:
            return await session.run_sync(read_results, operation_ids)

    async def count_by_status(self) -> dict[str, int]:
        async with self.reading() as session:
            query = select(OperationRow.status, func.count()).group_by(OperationRow.status)
            counted = {row.status: row[1] for row in await session.execute(query)}
        return {str(status): counted.get(str(status), 0) for status in OperationStatus}

    async def count_metrics(self, operation_id: str) -> int:
        async with self.reading() as session:
            query = select(func.count()).where(MetricRow.operation_id == operation_id)
            return (await session.execute(query)).scalar_one()

    async def list(
        self,
        *,
        status: OperationStatus | None = None,
        operation_type: str | None = None,
        parent_id: str | None = None,
        without_types: Collection[str] = (),
        limit: int = 100,
        before: str | None = None,
    ) -> OperationPage:
        matching = select(OperationRow)
        if status is not None:
            matching = matching.where(OperationRow.status == str(status))
        if operation_type is not None:
            matching = matching.where(OperationRow.operation_type == operation_type)
        if parent_id is not None:
            matching = matching.where(OperationRow.parent_id == parent_id)
        if without_types:
            matching = matching.where(OperationRow.operation_type.not_in(without_types))
        async with self.reading() as session:
            total = (await session.execute(select(func.count()).select_from(matching.subquery()))).scalar_one()
            records = await session.run_sync(read_records, _page(matching, limit, before))
        return OperationPage.of(records, limit=limit, total=total)

    async def ids_ending_with(self, ending: str, limit: int) -> Sequence[str]:
        named = OperationRow.operation_id
        async with self.reading() as session:
            query = select(named).where(named.endswith(ending, autoescape=True))
            return (await session.execute(_newest_first(query).limit(limit))).scalars().all()

    async def ping(self) -> None:
        async with self.writing() as session:
            await session.execute(delete(PingRow))

    async def close(self) -> None:
        if self._server_lock:
            await self._server_lock.release()
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session with one transaction. Raises StorageError."""
        async with _as_storage_errors(), AsyncSession(self._engine) as session, session.begin():
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """As `reading`, one writer at a time, as SQLite has it anyway, so that none writes to a file being restored."""
        async with self._writing:
            async with _as_storage_errors():
                await self._restore_deleted_file()
                if self._server_lock:
                    await self._server_lock.check()
            async with self.reading() as session:
                yield session

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
    except READ_ERRORS as error:
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
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_file(path: Path, home: Home | None) -> None:
    """Outside the event loop, because aiosqlite's thread would outlive a failed connection."""
    is_inside = home is not None and path.resolve().is_relative_to(home.root.resolve())
    with connected(path, writes=True) as connection:
        _prepare(connection, home, is_inside=is_inside, back_up=partial(back_up, path))
    enable_log(path)


def _prepare(connection: Connection, home: Home | None, *, is_inside: bool, back_up: Callable[[str], None]) -> None:
    """One transaction: a registry that serves another home is not brought up to date either."""
    schema.prepare(connection, back_up)
    if home:
        claim(connection, home, is_inside=is_inside)


def _leave_copies_to_the_database(version: str) -> None:
    logger.info("The registry has layout %s and is brought up to date in one transaction", version)


def _page(matching: Select[OperationRow], limit: int, before: str | None) -> Select[OperationRow]:
    if before is not None:
        edge = select(*_ORDER).where(OperationRow.operation_id == before).scalar_subquery()
        matching = matching.where(tuple_(*_ORDER) < edge)
    return _newest_first(matching).limit(limit)


def _newest_first(matching: Select[Chosen]) -> Select[Chosen]:
    return matching.order_by(*(column.desc() for column in _ORDER))
