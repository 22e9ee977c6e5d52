"""Checks a registry, repairs one in SQLite, and reads the records that other checks need."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, case, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from ktrdr.findings import BACKUP, Backup, Finding, Level
from ktrdr.formatting import size_text
from ktrdr.operations.check import RecordedOperation
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.operations.store import UnreadableRecord
from ktrdr.registry import schema
from ktrdr.registry.engine import open_engine
from ktrdr.registry.records import read_records
from ktrdr.registry.sqlite_file import connected, log_files, salvage
from ktrdr.registry.tables import OperationRow

_REGISTRY = "registry"
_RESTORE = "restore a copy of it; or --repair makes a new one from the records that can still be read"
_NO_JSON = (
    "SELECT operation_id, 'its results are no JSON' FROM operations WHERE results NOT NULL AND NOT json_valid(results)"
    " UNION SELECT operation_id, 'a metric of it is no JSON' FROM metrics WHERE NOT json_valid(record)"
)


@dataclass(frozen=True, slots=True)
class RegistryCheck:
    """The records of a registry, and the faults in it.

    records: every operation; None where they cannot be read
    findings: one line that the registry is sound, or its faults
    """

    records: Sequence[RecordedOperation] | None
    findings: Sequence[Finding]

    @property
    def recorded_ids(self) -> set[str] | None:
        return None if self.records is None else {record.operation_id for record in self.records}

    @property
    def completed_trainings(self) -> set[str]:
        return {record.operation_id for record in self.records or () if record.is_completed_training}


def check(path: Path) -> RegistryCheck:
    """Check a SQLite registry without changing it. Raises StorageError for one of a newer version."""
    if not path.exists():
        return RegistryCheck(None, [Finding(Level.NOTE, _REGISTRY, f"{path.name} does not exist", _how_it_went(path))])
    try:
        with connected(path) as connection:
            return _check_file(path, connection)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error)
        if "locked" in cause:
            return _fault(f"{path.name} is locked", "look again later")
        if _is_of_the_system(getattr(error, "orig", None)):
            advice = "look again later; if it stays so, check the disk and restore a copy"
            return _fault(f"{path.name} cannot be read just now: {cause}", advice)
        return RegistryCheck(None, [_damaged(path, cause)])


def _how_it_went(missing: Path) -> str:
    copies = sorted(
        missing.with_name(BACKUP).glob(f"{missing.stem}-*{missing.suffix}"), key=lambda copy: copy.stat().st_mtime
    )
    if not copies:
        return "normal for a new home; else restore a copy of it before the next start"
    newest = f"{BACKUP}/{copies[-1].name}"
    if copies[-1].name.startswith(f"{missing.stem}-moved-"):
        return f"it was moved: set KTRDR_DATABASE_URL to where it is now; {newest} is how it was"
    return f"restore a copy of it before the next start; the newest is {newest}"


def check_database(url: str) -> RegistryCheck:
    """Check the registry that a URL names, which no repair touches. Raises StorageError for one of a newer version."""
    engine = open_engine(url)
    if engine.dialect.name == "sqlite" and engine.url.database:
        checked = check(Path(engine.url.database))
        return replace(checked, findings=[replace(finding, repair=None) for finding in checked.findings])
    try:
        return asyncio.run(_check_database(engine))
    except (SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error)
        what = f"the database that KTRDR_DATABASE_URL names cannot be read: {cause}"
        return _fault(what, "start it, or correct the setting: ktrdr config show")


async def _check_database(engine: AsyncEngine) -> RegistryCheck:
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_check_tables, "the database")
    finally:
        await engine.dispose()


def _fault(what: str, advice: str) -> RegistryCheck:
    return RegistryCheck(None, [Finding(Level.FAULT, _REGISTRY, what, advice)])


def _is_of_the_system(error: BaseException | None) -> bool:
    """Whether SQLite could not read the file, which says nothing about the content."""
    primary_code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return primary_code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def _check_file(path: Path, connection: Connection) -> RegistryCheck:
    damage = list(connection.execute(text("PRAGMA integrity_check(5)")).scalars())
    if damage != ["ok"]:
        return RegistryCheck(None, [_damaged(path, "; ".join(damage))])
    if missing := schema.missing_columns_once_upgraded(connection):
        return RegistryCheck(None, [_damaged(path, f"it has no {', '.join(missing)}")])
    return _check_tables(connection, path.name, f", {size_text(path.stat().st_size)}")


def _check_tables(connection: Connection, name: str, size: str = "") -> RegistryCheck:
    version = schema.read_version(connection)
    if version is None:
        what = f"{name} has no tables yet"
        return RegistryCheck(None, [Finding(Level.NOTE, _REGISTRY, what, "the next start makes them: ktrdr serve")])
    records = _records(connection)
    if version != schema.NEWEST:
        what = f"{name} has the older layout {version}"
        older = Finding(Level.NOTE, _REGISTRY, what, "the next start of the server brings it up to date: ktrdr serve")
        return RegistryCheck(records, [older])
    sound = Finding(Level.OK, _REGISTRY, f"{len(records):,} operations{size}")
    return RegistryCheck(records, list(_unreadable(connection)) or [sound])


def _records(connection: Connection) -> list[RecordedOperation]:
    """Of every operation, from columns that can be read whatever its details hold."""
    boot_id = OperationRow.details["boot_id"].as_string()
    if connection.dialect.name == "sqlite":
        boot_id = case((func.json_valid(OperationRow.details) == 1, boot_id))
    rows = select(
        OperationRow.operation_id,
        OperationRow.operation_type,
        OperationRow.status,
        OperationRow.worker_pid,
        OperationRow.worker_started_at,
        boot_id,
        OperationRow.parent_id,
    )
    return [_record(row) for row in connection.execute(rows)]


def _unreadable(connection: Connection) -> Iterator[Finding]:
    every = read_records(Session(connection), select(OperationRow))
    for record in every:
        if isinstance(record, UnreadableRecord):
            yield _unreadable_record(record.operation_id, record.reason)
    broken = connection.execute(text(_NO_JSON)) if connection.dialect.name == "sqlite" else ()  # others check JSON
    for operation_id, reason in broken:
        yield _unreadable_record(operation_id, reason)


def _unreadable_record(operation_id: str, reason: str) -> Finding:
    advice = "it stays as it is: use the version of ktrdr that wrote it, or restore a copy of the registry"
    return Finding(Level.FAULT, _REGISTRY, f"the record of {operation_id} is unreadable: {reason}", advice)


def _record(row: Sequence[Any]) -> RecordedOperation:
    operation_id, operation_type, status, pid, started_at, boot_id, parent_id = row
    worker = WorkerIdentity(pid, started_at, boot_id or "") if pid is not None and started_at is not None else None
    return RecordedOperation(operation_id, operation_type, status, worker, parent_id)


def _damaged(path: Path, how: str) -> Finding:
    what = f"{path.name} is damaged: {how}"
    return Finding(Level.FAULT, _REGISTRY, what, _RESTORE, lambda backup: _rebuild(path, backup))


def _rebuild(path: Path, backup: Backup) -> str:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    operations, metrics = salvage(path, fresh)
    backup.replace(path, fresh, *log_files(path))
    return f"made a new one with {operations:,} operations and {metrics:,} metrics; the old one is in {backup.folder}"
