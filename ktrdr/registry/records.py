"""Converts operations to rows of the registry and back; a row that cannot be read costs that row only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ktrdr.operations.operation import INITIAL_PROGRESS, Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import UnreadableRecord
from ktrdr.registry.tables import OperationRow

READ_ERRORS = (ValueError, TypeError, KeyError)
"""What reading a row with wrong content raises."""
_DETAILS = {"metadata", "progress", "error", "payload"}


def read_records(session: Session, matching: Select[OperationRow]) -> Sequence[Operation | UnreadableRecord]:
    """The matching operations in their order, those among them that this version cannot read."""
    try:
        return [to_operation(row) for row in session.execute(matching).scalars()]
    except READ_ERRORS:
        names = session.execute(matching.with_only_columns(OperationRow.operation_id)).scalars().all()
        return [_read_record(session, name) for name in names]


def _read_record(session: Session, operation_id: str) -> Operation | UnreadableRecord:
    query = select(OperationRow).where(OperationRow.operation_id == operation_id)
    try:
        return to_operation(session.execute(query).scalar_one())
    except READ_ERRORS as error:
        return UnreadableRecord(operation_id, str(error))


def read_results(session: Session, operation_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The results by operation id; those that cannot be read are left out."""
    query = select(OperationRow.operation_id, OperationRow.results).where(
        OperationRow.operation_id.in_(operation_ids), OperationRow.results.is_not(None)
    )
    try:
        return {operation_id: results for operation_id, results in session.execute(query) if results}
    except READ_ERRORS:
        if len(operation_ids) < 2:
            return {}
        middle = len(operation_ids) // 2
        halves = (operation_ids[:middle], operation_ids[middle:])
        return {key: value for half in halves for key, value in read_results(session, half).items()}


def to_columns(operation: Operation) -> dict[str, Any]:
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


def to_operation(row: OperationRow) -> Operation:
    """Raises one of `READ_ERRORS` for a row that was damaged, or written by a newer version."""
    if row.status not in list(OperationStatus):
        raise ValueError(f"its status is {row.status!r}, which this version does not know")
    details = dict(row.details)
    boot_id = details.pop("boot_id", "")  # records before 0.2 have none
    _check(details)
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


def _check(details: dict[str, Any]) -> None:
    if unknown := sorted(details.keys() ^ _DETAILS):
        raise ValueError(f"its details lack, or have beyond what this version knows: {', '.join(unknown)}")
    wrong = [key for key in sorted(_DETAILS - {"error"}) if not isinstance(details[key], dict)]
    wrong += ["error"] if not isinstance(details["error"], dict | None) else []
    if wrong:
        raise ValueError(f"its details hold no JSON object under {', '.join(wrong)}")
    if missing := [key for key in INITIAL_PROGRESS if key not in details["progress"]]:
        raise ValueError(f"its progress has no {', '.join(missing)}")
