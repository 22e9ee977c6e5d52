"""The final job of a search, run in a worker: it summarises the trials and compares the winner with its trial."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ktrdr.executors.outcome import PARTS, Outcome
from ktrdr.experiments.search import EndedSearch, summarise
from ktrdr.home import Home
from ktrdr.jobs.checkpoints import checkpoint_folders
from ktrdr.jobs.entry import JobContext
from ktrdr.jobs.parts import read_part
from ktrdr.jobs.search_standing import Standing, TriedPart, trial_results
from ktrdr.operations.plan import Part
from ktrdr.payloads.jobs import SearchJob
from ktrdr.payloads.reading import parse_results
from ktrdr.payloads.search import SearchWinner
from ktrdr.payloads.training import FoldsResults, TrainingResults, UnfinishedFoldsResults
from ktrdr.saved_models.reproduce import read_card


def run(job: SearchJob, context: JobContext) -> Outcome:
    members: list[str] = json.loads((context.folder / PARTS).read_bytes())
    *trials, last = [read_part(context.folder.parent / member) for member in members]
    tried = [TriedPart.of(part, job.objective) for part in trials]
    standing = Standing.of(job, tried)
    best = standing.latest[standing.ranked[0]]
    full_training = parse_results(last.results)
    assert isinstance(full_training, TrainingResults | FoldsResults)
    winner = _winner(best, last.operation_id, full_training)
    ended = EndedSearch(
        f"{job.strategy_name} on {', '.join(job.symbols)}, {', '.join(job.timeframes)}",
        job.objective,
        list(trial_results(job, standing)),
        winner,
        full_training,
        sum(each.trained_epochs for each in tried),
        list(_on_other_bars(context.home, best, standing)),
    )
    output = context.home.models / context.operation_id
    results = summarise(ended, output, output.relative_to(context.home.root))
    metadata = {"winner": winner.operation_id, "best_trial": winner.trial, "best_score": winner.score}
    leftovers = tuple(checkpoint_folders(context.home, (own for part in trials for own in _trainings(part))))
    return Outcome("completed", results.model_dump(mode="json"), metadata, leftovers=leftovers)


def _winner(trial: TriedPart, operation_id: str, full_training: TrainingResults | FoldsResults) -> SearchWinner:
    assert full_training.reproduction is not None
    assert trial.score is not None
    return SearchWinner(
        trial=trial.trial,
        operation_id=operation_id,
        score=trial.score,
        identical=full_training.reproduction.identical,
        differences=full_training.reproduction.differences,
    )


def _on_other_bars(home: Home, best: TriedPart, standing: Standing) -> Iterator[int]:
    """The numbers of trials whose models were made of other bars than the best one's."""
    own = _bars(home, best)
    for trial, tried in sorted(standing.latest.items()):
        if tried.score is not None and _bars(home, tried) != own:
            yield trial


def _bars(home: Home, tried: TriedPart) -> object:
    """SHA-256 of the bars of a trial's model, by symbol and timeframe. Raises ArtifactNotFound, StorageError."""
    return read_card(home.models / tried.part.operation_id).get("data_sha256")


def _trainings(part: Part) -> Iterator[str]:
    """The operations that trained a part: itself, and its folds."""
    yield part.operation_id
    results = parse_results(part.results)
    if isinstance(results, FoldsResults | UnfinishedFoldsResults):
        yield from (fold.operation_id for fold in results.folds)
