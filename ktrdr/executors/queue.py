"""The waiting jobs of one lane."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from ktrdr.executors.executor import Job


class JobQueue:
    """Jobs in the order of their submission; every change costs the same, however many wait.

    Places are counted when somebody asks for one, at most once after each change.
    """

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._places: Mapping[str, int] | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def append(self, job: Job) -> None:
        self._jobs[job.operation_id] = job
        self._places = None

    def put_first(self, job: Job) -> None:
        self.append(job)
        self._jobs.move_to_end(job.operation_id, last=False)

    def pop_first(self) -> Job:
        """Remove the job that was submitted first. Raises KeyError when none waits."""
        self._places = None
        return self._jobs.popitem(last=False)[1]

    def remove(self, operation_id: str) -> bool:
        """Remove a job; False when it does not wait here."""
        self._places = None
        return self._jobs.pop(operation_id, None) is not None

    def ids(self) -> list[str]:
        return list(self._jobs)

    def place(self, operation_id: str) -> int | None:
        """The place of an operation, counted from 1; None when it does not wait here."""
        if operation_id not in self._jobs:
            return None
        if self._places is None:
            self._places = {waiting: place for place, waiting in enumerate(self._jobs, start=1)}
        return self._places[operation_id]
