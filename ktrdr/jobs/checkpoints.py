"""Where a training finds its checkpoint, when the operation that it is to resume has ended before its own first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ktrdr.errors import StorageError
from ktrdr.executors.outcome import read_job
from ktrdr.home import Home
from ktrdr.payloads.jobs import TrainingJob, parse_job
from ktrdr.training.fingerprint import CHECKPOINTS, newest_first


def lineage(home: Home, operation_id: str) -> Iterator[str]:
    """The operation, the one that it was to resume, and so on, as far as their folders are there."""
    seen: set[str] = set()
    current: str | None = operation_id
    while current and current not in seen:
        yield current
        seen.add(current)
        current = _resumed_by(home, current)


def with_checkpoints(home: Home, operation_id: str) -> str | None:
    """The newest operation of the lineage that has checkpoints; None where none has."""
    return next((each for each in lineage(home, operation_id) if newest_first(home.models / each / CHECKPOINTS)), None)


def _resumed_by(home: Home, operation_id: str) -> str | None:
    try:
        job = parse_job(read_job(home.operations / operation_id))
    except (OSError, ValueError, StorageError):
        return None
    return job.resume_from if isinstance(job, TrainingJob) else None


def checkpoint_folders(home: Home, operations: Iterable[str]) -> Iterator[str]:
    """The folders of checkpoints from which these trainings went on, or might have gone on, relative to the home."""
    names = dict.fromkeys(name for operation in operations for name in lineage(home, operation))
    yield from (f"models/{name}/{CHECKPOINTS}" for name in names if (home.models / name / CHECKPOINTS).is_dir())
