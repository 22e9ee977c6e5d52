"""Runs a job in this process, and the parts of a whole one after the other, by the plan that a server follows too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace

from ktrdr.errors import KtrdrError
from ktrdr.executors.outcome import PARTS, Outcome, read_job, read_outcome, write_job, write_outcome
from ktrdr.files import write_atomically
from ktrdr.home import Home
from ktrdr.jobs.entry import JobContext, run_job
from ktrdr.jobs.kinds import kind_of
from ktrdr.operations.plan import Part, PartRequest, Plan, Start
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import AnyJob, parse_job


def run_in_process(job: AnyJob, name: str, home: Home) -> Outcome:
    """Run a job as the operation `name` in a home without a server.

    A part that fails is an outcome as any other; the plan decides what follows. Raises KtrdrError where the job itself
    fails.
    """
    folder = home.operations / name
    write_job(folder, job.model_dump(mode="json"))
    if plan := kind_of(job).plan:
        parts = _run_parts(plan(name, job), name, home)
        members = [parts[index].operation_id for index in sorted(parts)]
        write_atomically(folder / PARTS, json.dumps(members).encode())
    else:
        kind_of(job).create_bridge(job, folder / "bridge")
    outcome = run_job(job, JobContext(name, folder, home, lambda: False))
    write_outcome(folder, outcome)
    for leftover in outcome.leftovers:
        shutil.rmtree(home.root / leftover, ignore_errors=True)
    return outcome


def _run_parts(plan: Plan, whole: str, home: Home) -> Mapping[int, Part]:
    """All parts, in order of their indices. Raises the plan's error."""
    ended = {index: _ended_part(index, name, home) for index, name in plan.taken_over.items()}
    while isinstance(step := plan.next([ended[index] for index in sorted(ended)]), Start):
        for request in step.parts:
            earlier = ended.get(request.index)
            if earlier is None:
                ended[request.index] = _run_part(request, f"{whole}-{request.index + 1}", 1, home)
            elif request.replaces:
                attempt = earlier.attempts + 1
                ended[request.index] = _run_part(request, f"{earlier.operation_id}-{attempt}", attempt, home)
    if step.error:
        Outcome("failed", error=step.error).check()
    return ended


def _run_part(request: PartRequest, name: str, attempt: int, home: Home) -> Part:
    try:
        run_in_process(parse_job(request.payload), name, home)
    except KtrdrError as error:
        write_outcome(home.operations / name, Outcome.from_error(error))
    return replace(_ended_part(request.index, name, home), attempts=attempt)


def _ended_part(index: int, name: str, home: Home) -> Part:
    folder = home.operations / name
    outcome = read_outcome(folder)
    assert outcome is not None
    parts = json.loads((folder / PARTS).read_bytes()) if (folder / PARTS).exists() else []
    return Part(
        index,
        name,
        OperationStatus(outcome.status.upper()),
        outcome.results,
        read_job(folder),
        outcome.error,
        completed_parts=dict(enumerate(parts)),
    )
