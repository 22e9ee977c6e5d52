"""Parts of wholes that train: their requests, and which of them are tried again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ktrdr.errors import BridgeError, CheckpointMismatch, StorageError
from ktrdr.executors.outcome import read_job, read_outcome
from ktrdr.features.splits import fold_count
from ktrdr.operations.operation import Operation
from ktrdr.operations.plan import Part, PartRequest
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import FoldsJob, StrategyOnBars, TrainingJob, parse_job
from ktrdr.strategy.spec import Strategy

TRAINING_TYPE = "TRAINING"
TRIAL_TYPE = "TRIAL"
"""The type of operations that are trials, or folds of trials."""

MOST_ATTEMPTS: Mapping[str, int] = {"worker_died": 21, "stalled": 3, StorageError.code: 5, BridgeError.code: 5}
"""How often a part is tried that fails for a reason of the machine, by the code of the error.

A worker may be killed many times without a fault of its trial, and its attempts are short, as each goes on from the
last checkpoint; one that stalls has cost minutes.
"""

_STORAGE = frozenset({StorageError.code, BridgeError.code})


def part_request(job: TrainingJob | FoldsJob, *, replaces: str | None = None) -> PartRequest:
    assert job.part is not None
    operation_type = TRAINING_TYPE if job.trial is None else TRIAL_TYPE
    return PartRequest(job.part, operation_type, job.model_dump(mode="json"), job.describe(), replaces)


def is_tried_again(part: Part) -> bool:
    """Whether a part failed for a reason of the machine rather than of its inputs, and may be tried once more."""
    return part.attempts < MOST_ATTEMPTS.get(part.error_code, 0)


def stops_whole(part: Part) -> bool:
    """Whether a part failed for a reason that says nothing about its inputs, so that the whole cannot go on."""
    return part.error_code in (_STORAGE | {CheckpointMismatch.code}) and not is_tried_again(part)


def is_settled(operation: Operation) -> bool:
    """Whether another attempt with the same inputs would end in the same way."""
    if operation.status is OperationStatus.FAILED and operation.error:
        return operation.error["code"] not in MOST_ATTEMPTS.keys() | {CheckpointMismatch.code}
    return operation.status is OperationStatus.COMPLETED


def next_attempt(part: Part) -> PartRequest:
    """The same part once more, from its checkpoint, or with the folds that it has."""
    return part_request(continuation(part), replaces=part.operation_id)


def continuation(part: Part) -> TrainingJob | FoldsJob:
    """The job that goes on where a part ended."""
    job = training_job(part)
    if isinstance(job, FoldsJob):
        return job.model_copy(update={"completed": dict(part.completed_parts), "checkpoints": {}})
    return job.model_copy(update={"resume_from": part.operation_id})


def job_of_strategy(strategy: Strategy, on_bars: StrategyOnBars) -> TrainingJob | FoldsJob:
    """The training of a strategy, in folds where its validation makes some."""
    shared = on_bars.model_dump(include=set(StrategyOnBars.model_fields))
    folds, epochs = fold_count(strategy), strategy.training.epochs
    return FoldsJob(**shared, epochs=epochs, folds=folds) if folds > 1 else TrainingJob(**shared, epochs=epochs)


def ordinary(job: TrainingJob | FoldsJob) -> TrainingJob | FoldsJob:
    """The same training to its end and with all its files, as a part of nothing and no trial."""
    return job.model_copy(update={"part": None, "trial": None, "parameters": {}, "until": None})


def read_part(folder: Path) -> Part:
    """The part whose operation has this folder, once it has ended. Raises StorageError."""
    try:
        payload, outcome = read_job(folder), read_outcome(folder)
        if outcome is None:
            raise StorageError(f"the outcome of {folder.name} is gone", hint="start the whole operation again")
        index = parse_job(payload).part
        assert index is not None
        status = OperationStatus(outcome.status.upper())
        return Part(index, folder.name, status, outcome.results, payload, outcome.error)
    except (OSError, ValueError) as error:
        raise StorageError(f"{folder.name}, a part of the operation, cannot be read: {error}") from error


def training_job(part: Part) -> TrainingJob | FoldsJob:
    job = parse_job(part.payload)
    assert isinstance(job, TrainingJob | FoldsJob)
    return job
