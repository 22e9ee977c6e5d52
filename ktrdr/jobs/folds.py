"""The job that ends a training in folds, in a worker: what the folds say together."""

from __future__ import annotations

import json
from typing import Any

from ktrdr.errors import StorageError
from ktrdr.executors.outcome import PARTS, Outcome, read_outcome
from ktrdr.experiments.folds import summarise
from ktrdr.jobs.entry import JobContext
from ktrdr.payloads.jobs import FoldsJob


def run(job: FoldsJob, context: JobContext) -> Outcome:
    members: list[str] = json.loads((context.folder / PARTS).read_bytes())
    about = {"strategy_name": job.strategy_name, "symbols": list(job.symbols), "timeframes": list(job.timeframes)}
    results = summarise(
        [(member, _results(context, member)) for member in members], context.home.models / context.operation_id, about
    )
    return Outcome("completed", results, {"best_val_loss": results["final_metrics"]["best_val_loss"]})


def _results(context: JobContext, member: str) -> dict[str, Any]:
    try:
        outcome = read_outcome(context.folder.parent / member)
    except (OSError, ValueError) as error:
        raise StorageError(f"the outcome of fold {member} cannot be read: {error}") from error
    if outcome is None:
        raise StorageError(f"the outcome of fold {member} is gone", hint="start the training in folds again")
    return dict(outcome.results)
