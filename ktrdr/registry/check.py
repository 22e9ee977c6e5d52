"""Checks and repairs a SQLite registry, and reads the records that other checks need."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ktrdr.findings import Backup, Finding, Level
from ktrdr.formatting import size_text
from ktrdr.operations.check import RecordedOperation
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.operations.store import UnreadableRecord
from ktrdr.registry import schema
from ktrdr.registry.records import read_records
from ktrdr.registry.sqlite_file import connected, log_files, salvage
from ktrdr.registry.tables import OperationRow

_REGISTRY = "registry"
_RECORDS = (
    "SELECT operation_id, operation_type, status, worker_pid, worker_started_at,"
    " CASE WHEN json_valid(details) THEN json_extract(details, '$.boot_id') END, parent_id FROM operations"
)
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


def elsewhere() -> RegistryCheck:
    """The result where the settings name a registry outside the home, which is not checked."""
    note = "KTRDR_DATABASE_URL names another place; records are not compared with folders"
    return RegistryCheck(None, [Finding(Level.NOTE, _REGISTRY, note)])


def check(path: Path) -> RegistryCheck:
    """Check the registry of a home without changing it. Raises StorageError for one of a newer version."""
    if not path.exists():
        advice = "normal for a new home; else restore a copy of it before the next start"
        return RegistryCheck(None, [Finding(Level.NOTE, _REGISTRY, f"{path.name} does not exist", advice)])
    try:
        with connected(path) as connection:
            return _check_tables(path, connection)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error)
        if "locked" in cause:
            locked = Finding(Level.FAULT, _REGISTRY, f"{path.name} is locked", "look again later")
            return RegistryCheck(None, [locked])
        if _is_of_the_system(getattr(error, "orig", None)):
            what = f"{path.name} cannot be read just now: {cause}"
            advice = "look again later; if it stays so, check the disk and restore a copy"
            return RegistryCheck(None, [Finding(Level.FAULT, _REGISTRY, what, advice)])
        return RegistryCheck(None, [_damaged(path, cause)])


def _is_of_the_system(error: BaseException | None) -> bool:
    """Whether SQLite could not read the file, which says nothing about the content."""
    primary_code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return primary_code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def _check_tables(path: Path, connection: Connection) -> RegistryCheck:
    damage = list(connection.execute(text("PRAGMA integrity_check(5)")).scalars())
    if damage != ["ok"]:
        return RegistryCheck(None, [_damaged(path, "; ".join(damage))])
    version = schema.read_version(connection)
    if version is None:
        what = f"{path.name} has no tables yet"
        return RegistryCheck(None, [Finding(Level.NOTE, _REGISTRY, what, "the next start makes them: ktrdr serve")])
    is_newest = version == schema.NEWEST
    if missing := schema.missing_columns(connection) if is_newest else schema.missing_after_upgrade(connection):
        return RegistryCheck(None, [_damaged(path, f"it has no {', '.join(missing)}")])
    records = [_record(row) for row in connection.execute(text(_RECORDS))]
    sound = Finding(Level.OK, _REGISTRY, f"{len(records):,} operations, {size_text(path.stat().st_size)}")
    return RegistryCheck(records, list(_unreadable(connection)) or [sound] if is_newest else [_older(path, version)])


def _unreadable(connection: Connection) -> Iterator[Finding]:
    every = read_records(Session(connection), select(OperationRow))
    for record in every:
        if isinstance(record, UnreadableRecord):
            yield _unreadable_record(record.operation_id, record.reason)
    for operation_id, reason in connection.execute(text(_NO_JSON)):
        yield _unreadable_record(operation_id, reason)


def _unreadable_record(operation_id: str, reason: str) -> Finding:
    advice = "it stays as it is: use the version of ktrdr that wrote it, or restore a copy of the registry"
    return Finding(Level.FAULT, _REGISTRY, f"the record of {operation_id} is unreadable: {reason}", advice)


def _older(path: Path, version: str) -> Finding:
    what = f"{path.name} has the older layout {version}"
    advice = "the next start of the server brings it up to date, and leaves a copy in backup: ktrdr serve"
    return Finding(Level.NOTE, _REGISTRY, what, advice)


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
