"""The entry point of a worker: it reads the job, imports the function of its kind and calls it."""

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
from ktrdr.plugins.failures import located


@dataclass(frozen=True, slots=True)
class JobContext:
    """The surroundings of a job.

    operation_id: the operation that the job belongs to
    folder: the operation's folder, which holds `bridge`
    home: the home; all paths and ids in a job are relative to it
    stop: returns true once the job should end
    """

    operation_id: str
    folder: Path
    home: Home
    stop: Callable[[], bool]


class JobStopped(Exception):
    """A job ended without results because a stop was requested."""


JobFunction = Callable[[Any, JobContext], Outcome]


def run(operation_id: str, payload: Mapping[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    """Run the job in `payload`; `folder` is `<home>/operations/<operation_id>`. Raises KtrdrError."""
    return run_job(parse_job(payload), JobContext(operation_id, folder, Home(folder.parents[1]), stop))


def run_job(job: AnyJob, context: JobContext) -> Outcome:
    """Run a job in its surroundings. Raises KtrdrError."""
    module, _, name = kind_of(job).run.partition(":")
    function: JobFunction = getattr(import_module(module), name)
    try:
        with located():
            return function(job, context)
    except JobStopped:
        return Outcome("cancelled")
