"""Summarises a search: its trials, the winner, the spread of scores and what decided them. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from ktrdr.experiments.parameter_importance import measure_importance
from ktrdr.formatting import counted
from ktrdr.payloads.search import Objective, SearchResults, SearchWinner, TrialResult
from ktrdr.payloads.training import Spread
from ktrdr.reports.search_summary import summarise_in_words
from ktrdr.training.files import SUMMARY, write_file

_SHOWN_DIFFERENCES = 3


def summarise(
    title: str,
    objective: Objective,
    trials: Sequence[TrialResult],
    winner: SearchWinner,
    epochs_trained: int,
    output: Path,
    place: PurePath,
) -> SearchResults:
    """Describe the trials together; writes the summary to the folder `output`, and names it under `place`."""
    scored = [(trial, trial.score) for trial in trials if trial.score is not None]
    scores = [score for _, score in scored]
    results = SearchResults(
        objective=objective,
        trials=tuple(trials),
        best_so_far=tuple(_best_so_far(objective, trials)),
        winner=winner,
        spread=_spread(scores),
        importance=measure_importance([trial.parameters for trial, _ in scored], scores),
        epochs_trained=epochs_trained,
        verdict=_verdict(objective, scores, winner),
        warnings=tuple(_warnings(trials, winner)),
        artifacts={"search_summary": str(place / SUMMARY)},
    )
    write_file(output / SUMMARY, summarise_in_words(results, title).encode())
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


def _verdict(objective: Objective, scores: Sequence[float], winner: SearchWinner) -> str:
    middle = statistics.median(scores)
    best = (
        f"Trial {winner.trial} is the best of {counted(len(scores), 'trial')} by {objective}: {winner.score:.4g}, "
        f"where the median trial has {middle:.4g}."
    )
    if winner.selection is None:
        return f"{best} The best of many is partly the luckiest of many."
    beats = "beats" if winner.selection.beats_baselines else "does not beat"
    return f"The winner {beats} its baselines beyond luck. {best} {winner.selection.verdict}"


def _warnings(trials: Sequence[TrialResult], winner: SearchWinner) -> Iterator[str]:
    if not winner.identical:
        shown = "; ".join(winner.differences[:_SHOWN_DIFFERENCES])
        yield (
            f"THE WINNER IS NOT ITS TRIAL: the full training {winner.operation_id} did not come to the bits of trial "
            f"{winner.trial} ({shown}). Do not trust the ranking before this is explained."
        )
    failed = [trial for trial in trials if trial.score is None]
    if failed:
        first = failed[0]
        yield f"{counted(len(failed), 'trial')} failed, the first, trial {first.trial}: {first.reason}"
