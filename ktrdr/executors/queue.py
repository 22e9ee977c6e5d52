"""The waiting jobs of one lane."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ktrdr.executors.executor import Job


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    """A job, ordered by the creation of its operation, then by its submission."""

    created_at: datetime
    submission: int
    job: Job = field(compare=False)


class JobQueue:
    """Jobs in the order in which their operations were created, however late one of them is submitted.

    Places are counted when somebody asks for one, at most once after each change.
    """

    def __init__(self) -> None:
        self._jobs: list[_Waiting] = []
        self._ids: set[str] = set()
        self._submissions = 0
        self._places: Mapping[str, int] | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        self._submissions += 1
        self._insert(job, self._submissions)

    def put_back(self, job: Job) -> None:
        """Add a job that was the first, before others of the same instant."""
        self._insert(job, 0)

    def _insert(self, job: Job, submission: int) -> None:
        insort(self._jobs, _Waiting(job.created_at, submission, job))
        self._ids.add(job.operation_id)
        self._places = None

    def pop_first(self) -> Job:
        """Remove the job whose operation is the oldest. Raises IndexError when none waits."""
        job = self._jobs.pop(0).job
        self._ids.discard(job.operation_id)
        self._places = None
        return job

    def remove(self, operation_id: str) -> bool:
        """Remove a job; False when it does not wait here."""
        if operation_id not in self._ids:
            return False
        self._ids.discard(operation_id)
        self._jobs = [waiting for waiting in self._jobs if waiting.job.operation_id != operation_id]
        self._places = None
        return True

    def ids(self) -> list[str]:
        return [waiting.job.operation_id for waiting in self._jobs]

    def place(self, operation_id: str) -> int | None:
        """The place of an operation, counted from 1; None when it does not wait here."""
        if operation_id not in self._ids:
            return None
        if self._places is None:
            self._places = {waiting: place for place, waiting in enumerate(self.ids(), start=1)}
        return self._places[operation_id]
