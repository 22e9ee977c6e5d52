"""The final job of a training in folds, run in a worker: it summarises the folds."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import PurePosixPath

from ktrdr.errors import StorageError
from ktrdr.executors.outcome import PARTS, Outcome, read_outcome
from ktrdr.experiments.folds import TrainedFold, TrainingInFolds, summarise
from ktrdr.jobs.entry import JobContext
from ktrdr.jobs.strategies import strategy_of
from ktrdr.ledger.store import Ledger
from ktrdr.market.store import BarStore
from ktrdr.payloads.jobs import FoldsJob
from ktrdr.payloads.training import TrainingResults


def run(job: FoldsJob, context: JobContext) -> Outcome:
    members: list[str] = json.loads((context.folder / PARTS).read_bytes())
    strategy = strategy_of(job, job.parsed)
    training = TrainingInFolds(
        strategy, job.strategy_name, job.strategy, job.symbols, job.start, job.end, is_trial=job.trial is not None
    )
    models = context.home.models
    folds = [TrainedFold(member, _results(context, member), models / member) for member in members]
    output = models / context.operation_id
    store = BarStore(context.home.bars)
    place = output.relative_to(context.home.root)
    with closing(Ledger(context.home.ledger)) as ledger:
        results = summarise(training, folds, store.read_stored, output, place, looks=ledger)
    metadata = {"best_val_loss": results.final_metrics.best_val_loss}
    return Outcome("completed", results.model_dump(mode="json"), metadata)


def _results(context: JobContext, member: str) -> TrainingResults:
    try:
        outcome = read_outcome(context.folder.parent / member)
        if outcome is None:
            raise StorageError(f"the outcome of fold {member} is gone", hint="start the training in folds again")
        # Outcomes of 0.1.0 may hold absolute paths.
        return TrainingResults.model_validate(outcome.results).under(PurePosixPath())
    except (OSError, ValueError) as error:
        raise StorageError(f"the outcome of fold {member} cannot be read: {error}") from error
