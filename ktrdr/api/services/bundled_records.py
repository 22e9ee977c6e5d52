"""Records of trainings as a bundle holds them."""

from __future__ import annotations

from pydantic import ValidationError

from ktrdr.errors import InputError, StorageError
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import EndedOperation
from ktrdr.payloads.bundles import BundledOperation
from ktrdr.payloads.jobs import FoldsJob, TrainingJob, parse_job
from ktrdr.payloads.reading import parse_results

_SHARED = (
    "operation_id",
    "operation_type",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "metadata",
    "progress",
    "error",
    "parent_id",
    "payload",
)
_SHOWN = ("strategy", "symbols", "timeframes", "model_type")


async def record_of(operations: OperationsService, operation: Operation) -> bytes:
    """An operation that has ended, its results and its metrics; without its worker and its idempotency key."""
    metrics, _ = await operations.get_metrics(operation.operation_id)
    record = BundledOperation.model_validate(
        {name: getattr(operation, name) for name in _SHARED}
        | {"status": str(operation.status)}
        | {"results": await operations.get_results(operation.operation_id), "metrics": metrics}
    )
    return record.model_dump_json(indent=1).encode()


def read_record(operation_id: str, content: bytes) -> EndedOperation:
    """Raises InputError when the record cannot be read by this version."""
    try:
        record = BundledOperation.model_validate_json(content)
        _check(operation_id, record)
    except ValidationError as error:
        fault = error.errors()[0]
        raise _refusal(operation_id, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    except StorageError as error:
        raise _refusal(operation_id, error.detail) from None
    shared = {name: getattr(record, name) for name in _SHARED}
    return EndedOperation(Operation(status=OperationStatus(record.status), **shared), record.results, record.metrics)


def _check(operation_id: str, record: BundledOperation) -> None:
    """Raises ValidationError, StorageError and InputError."""
    job = parse_job(record.payload)
    parse_results(record.results)
    if record.operation_id != operation_id or not isinstance(job, TrainingJob | FoldsJob):
        raise _refusal(operation_id, f"it is of {record.operation_id}, a {job.kind}")
    if missing := [name for name in _SHOWN if name not in record.metadata]:
        raise _refusal(operation_id, f"its metadata lacks {missing[0]}")


def _refusal(operation_id: str, reason: str) -> InputError:
    return InputError(f"the record of {operation_id} in the bundle cannot be read: {reason}", hint="pack it anew")
