"""Records of trainings as a bundle holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pydantic import ValidationError

from ktrdr.api.schemas.operations import Operation as WireOperation
from ktrdr.api.services.model_service import model_of
from ktrdr.errors import InputError, StorageError
from ktrdr.jobs.kinds import job_of
from ktrdr.market.bars import check_symbol
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import EndedOperation
from ktrdr.payloads.bundles import BundledOperation
from ktrdr.payloads.jobs import FoldsJob, TrainingJob
from ktrdr.payloads.reading import AnyResults, parse_results
from ktrdr.payloads.references import OPERATION_ID
from ktrdr.payloads.results import FileResults
from ktrdr.payloads.training import FoldsResults, UnfinishedFoldsResults
from ktrdr.timeframe import Timeframe

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
_OPERATION = re.compile(OPERATION_ID)
_FILE = re.compile(f"/(models|operations)/{OPERATION_ID}/[A-Za-z0-9_][A-Za-z0-9_.-]*")


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
    """Raises InputError when the record cannot be read by this version, or names what lies outside models."""
    try:
        record = BundledOperation.model_validate_json(content)
        shared = {name: getattr(record, name) for name in _SHARED}
        operation = Operation(status=OperationStatus(record.status), **shared)
        _check(operation_id, operation, parse_results(record.results))
    except ValidationError as error:
        fault = error.errors()[0]
        raise _refusal(operation_id, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    except KeyError as error:
        raise _refusal(operation_id, f"its metadata lacks {error}") from None
    except (StorageError, InputError) as error:
        raise _refusal(operation_id, error.detail) from None
    return EndedOperation(operation, record.results, record.metrics)


def _check(operation_id: str, operation: Operation, results: AnyResults) -> None:
    """Raises ValidationError, KeyError, StorageError and InputError."""
    job = job_of(operation)
    if operation.operation_id != operation_id or not isinstance(job, TrainingJob | FoldsJob):
        raise InputError(f"it is of {operation.operation_id}, a {job.kind}")
    shown = {name: getattr(operation, name) for name in _SHARED if name != "payload"}
    WireOperation.model_validate({**shown, "status": operation.status})
    model_of(operation, results)
    for symbol in job.symbols:
        check_symbol(symbol)
    for timeframe in job.timeframes:
        Timeframe.parse(timeframe)
    for name in _named_operations(operation, job, results):
        if not _OPERATION.fullmatch(name):
            raise InputError(f"it names an operation {name!r}")
    files = results.under(PurePosixPath("/")).files.values() if isinstance(results, FileResults) else ()
    for path in files:
        if not _FILE.fullmatch(path):
            raise InputError(f"it names a file {path!r}")


def _named_operations(operation: Operation, job: TrainingJob | FoldsJob, results: AnyResults) -> Iterator[str]:
    """The operations whose folders a server opens for it."""
    if isinstance(job, TrainingJob):
        yield from filter(None, (operation.parent_id, job.resume_from, job.reproduces, job.bars_of))
    else:
        yield from (*job.completed.values(), *job.checkpoints.values())
    if isinstance(results, FoldsResults | UnfinishedFoldsResults):
        yield from (fold.operation_id for fold in results.folds)


def _refusal(operation_id: str, reason: str) -> InputError:
    return InputError(f"the record of {operation_id} in the bundle cannot be read: {reason}", hint="pack it anew")
