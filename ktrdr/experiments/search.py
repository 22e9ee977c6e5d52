"""Summarises a search: its trials, the winner, the spread of scores and what decided them. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ktrdr.experiments.parameter_importance import measure_importance
from ktrdr.formatting import counted
from ktrdr.payloads.search import Objective, SearchResults, SearchWinner, TrialResult
from ktrdr.payloads.training import FoldsResults, Spread, TrainingResults
from ktrdr.reports.search_summary import summarise_in_words
from ktrdr.training.files import SUMMARY, write_file

_SHOWN_DIFFERENCES = 3


@dataclass(frozen=True, slots=True)
class EndedSearch:
    """A search whose trials and winner have ended.

    title: what was searched, for people
    trials: in the order of their numbers
    full_training: the results of the winner's full training
    epochs_trained: of all trials, each epoch counted once
    on_other_bars: numbers of trials that were trained on other bars than the winner
    """

    title: str
    objective: Objective
    trials: Sequence[TrialResult]
    winner: SearchWinner
    full_training: TrainingResults | FoldsResults
    epochs_trained: int
    on_other_bars: Sequence[int] = ()


def summarise(search: EndedSearch, output: Path, place: PurePath) -> SearchResults:
    """Describe the trials together; writes the summary to the folder `output`, and names it under `place`."""
    scored = [(trial, trial.score) for trial in search.trials if trial.score is not None]
    scores = [score for _, score in scored]
    evaluation = search.full_training.evaluation
    results = SearchResults(
        objective=search.objective,
        trials=tuple(search.trials),
        best_so_far=tuple(_best_so_far(search.objective, search.trials)),
        winner=search.winner,
        selection=evaluation.selection if evaluation else None,
        spread=_spread(scores),
        importance=measure_importance([trial.parameters for trial, _ in scored], scores),
        epochs_trained=search.epochs_trained,
        verdict=" ".join(_verdict(search, scores)),
        warnings=tuple(_warnings(search)),
        artifacts={"search_summary": str(place / SUMMARY)},
    )
    write_file(output / SUMMARY, summarise_in_words(results, search.title).encode())
    return results


def _best_so_far(objective: Objective, trials: Sequence[TrialResult]) -> Iterator[float | None]:
    best: float | None = None
    for trial in trials:
        if trial.score is not None:
            best = trial.score if best is None else min(best, trial.score, key=objective.rank)
        yield best


def _spread(scores: Sequence[float]) -> Spread | None:
    if len(scores) < 2:
        return None
    return Spread(mean=statistics.fmean(scores), std=statistics.stdev(scores), min=min(scores), max=max(scores))


def _verdict(search: EndedSearch, scores: Sequence[float]) -> Iterator[str]:
    """What the winner's evaluation says, which counts all tries, and then where it stands among the trials."""
    if search.full_training.evaluation:
        yield search.full_training.evaluation.verdict
    winner = search.winner
    yield (
        f"It is trial {winner.trial}, the best of {counted(len(scores), 'trial')} by {search.objective}: "
        f"{winner.score:.4g}, where the median trial has {statistics.median(scores):.4g}."
    )


def _warnings(search: EndedSearch) -> Iterator[str]:
    winner = search.winner
    if not winner.identical:
        shown = "; ".join(winner.differences[:_SHOWN_DIFFERENCES])
        yield (
            f"THE WINNER IS NOT ITS TRIAL: the full training {winner.operation_id} did not come to the bits of trial "
            f"{winner.trial} ({shown}). Do not trust the ranking before this is explained."
        )
    if others := search.on_other_bars:
        yield (
            f"{counted(len(others), 'trial')} met other bars than the winner, the first of them trial {others[0]}: "
            "bars were loaded while the search ran, and the scores do not compare. Start the search again."
        )
    if failed := [trial for trial in search.trials if trial.score is None]:
        yield f"{counted(len(failed), 'trial')} failed, the first of them trial {failed[0].trial}: {failed[0].reason}"
