"""Checks and repairs a SQLite registry, and reads the records that other checks need."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ktrdr.findings import Backup, Finding, Level
from ktrdr.formatting import size_text
from ktrdr.operations.check import RecordedOperation
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.registry import layout

_REGISTRY = "registry"
_RECORDS = (
    "SELECT operation_id, operation_type, status, worker_pid, worker_started_at,"
    " json_extract(details, '$.boot_id'), parent_id FROM operations"
)
_RECORD_COLUMNS = {
    f"operations.{name}"
    for name in ("operation_type", "status", "worker_pid", "worker_started_at", "parent_id", "details", "results")
}
_RESTORE = "restore a copy of it; or --repair makes a new one from the records that can still be read"


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
    if not path.exists():
        advice = "normal for a new home; else restore a copy of it before the next start"
        return RegistryCheck(None, [Finding(Level.NOTE, _REGISTRY, f"{path.name} does not exist", advice)])
    try:
        with layout.connected(path) as connection:
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
    if tables := layout.missing_tables(connection):
        return RegistryCheck(None, [_damaged(path, f"it has no table {', '.join(tables)}")])
    columns = layout.missing_columns(connection)
    older = [_older_layout(path, columns)] if columns else []
    if _RECORD_COLUMNS.intersection(columns):
        return RegistryCheck(None, older)
    if broken := layout.unreadable_records(connection):
        how = f"{len(broken):,} records cannot be read, such as that of {broken[0]}"
        return RegistryCheck(None, [_damaged(path, how), *older])
    records = [_record(row) for row in connection.execute(text(_RECORDS))]
    sound = Finding(Level.OK, _REGISTRY, f"{len(records):,} operations, {size_text(path.stat().st_size)}")
    return RegistryCheck(records, older or [sound])


def _record(row: Sequence[Any]) -> RecordedOperation:
    operation_id, operation_type, status, pid, started_at, boot_id, parent_id = row
    worker = WorkerIdentity(pid, started_at, boot_id or "") if pid is not None and started_at is not None else None
    return RecordedOperation(operation_id, operation_type, status, worker, parent_id)


def _older_layout(path: Path, columns: Sequence[str]) -> Finding:
    what = f"{path.name} is of an older layout: it has no {', '.join(columns)}"
    advice = "--repair adds them, or makes a new registry from the readable records"
    return Finding(Level.FAULT, _REGISTRY, what, advice, lambda backup: _bring_up_to_date(path, backup))


def _damaged(path: Path, how: str) -> Finding:
    what = f"{path.name} is damaged: {how}"
    return Finding(Level.FAULT, _REGISTRY, what, _RESTORE, lambda backup: _rebuild(path, backup))


def _bring_up_to_date(path: Path, backup: Backup) -> str:
    backup.copy(path, *layout.log_files(path))
    try:
        with layout.connected(path, writes=True) as connection:
            layout.add_missing_columns(connection)
    except SQLAlchemyError:
        return _rebuild(path, backup)
    return f"added the columns; the file as it was is in {backup.folder}"


def _rebuild(path: Path, backup: Backup) -> str:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    operations, metrics = layout.salvage(path, fresh)
    backup.replace(path, fresh, *layout.log_files(path))
    return f"made a new one with {operations:,} operations and {metrics:,} metrics; the old one is in {backup.folder}"
