"""Where a worker enters: the job in its order is read, and the function of its kind is imported and called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ktrdr.executors.outcome import Outcome
from ktrdr.home import Home
from ktrdr.jobs.kinds import kind_of
from ktrdr.payloads.jobs import AnyJob, parse_job


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job is given beside itself.

    operation_id: the operation that it does
    folder: the operation's own, with `bridge` in it
    home: below which all that a job names lies
    stop: becomes true when the job is asked to end
    """

    operation_id: str
    folder: Path
    home: Home
    stop: Callable[[], bool]


class JobStopped(Exception):
    """A job ends, without results, because it was asked to."""


JobFunction = Callable[[Any, JobContext], Outcome]


def run(operation_id: str, payload: Mapping[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    """Do the job in `payload`; `folder` is `<home>/operations/<operation_id>`. Raises KtrdrError."""
    job: AnyJob = parse_job(payload)
    module, _, name = kind_of(job).run.partition(":")
    function: JobFunction = getattr(import_module(module), name)
    try:
        return function(job, JobContext(operation_id, folder, Home(folder.parents[1]), stop))
    except JobStopped:
        return Outcome("cancelled")
