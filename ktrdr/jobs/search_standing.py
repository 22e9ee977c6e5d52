"""How far a search has come: which trials have ended with which scores, and which of them go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ktrdr.jobs.parts import training_job
from ktrdr.operations.plan import Part
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.evaluation import Regression
from ktrdr.payloads.jobs import FoldsJob, SearchJob, TrainingJob
from ktrdr.payloads.reading import parse_results
from ktrdr.payloads.search import Objective, TrialResult
from ktrdr.payloads.training import Ending, EvaluatedResults, FoldsResults, TrainingResults

_STATUS: Mapping[OperationStatus, Literal["completed", "failed", "cancelled"]] = {
    OperationStatus.COMPLETED: "completed",
    OperationStatus.FAILED: "failed",
    OperationStatus.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class TriedPart:
    """A part of a search that has ended and was a trial, or a rung of one.

    part: the part
    job: its job
    score: its objective; None where it has none
    epochs: finished epochs, those of earlier rungs included
    trained_epochs: those of them that this part trained itself
    is_exhausted: whether training it on would change nothing
    """

    part: Part
    job: TrainingJob | FoldsJob
    score: float | None = None
    epochs: int = 0
    trained_epochs: int = 0
    is_exhausted: bool = True

    @classmethod
    def of(cls, part: Part, objective: Objective) -> TriedPart:
        job = training_job(part)
        results = parse_results(part.results) if part.is_completed else None
        if not isinstance(results, TrainingResults | FoldsResults):
            return cls(part, job)
        epochs = results.final_metrics.total_epochs
        return cls(
            part,
            job,
            _score(results, objective),
            epochs,
            epochs - results.restored_epochs,
            _is_exhausted(job, results),
        )

    @property
    def trial(self) -> int:
        assert self.job.trial is not None
        return self.job.trial

    def reason(self, objective: Objective) -> str:
        """Why it has no score, for people; empty where it has one."""
        if self.score is not None:
            return ""
        return self.part.reason or f"it has no {objective}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial in a rung that has not ended there.

    index: of the part that trains it
    trial: its number
    rung: the rung, counted from 0
    earlier: the part of the rung before; None in the first
    """

    index: int
    trial: int
    rung: int
    earlier: TriedPart | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from the parts of a search that have ended.

    latest: the last part of each trial that has ended, by the trial's number
    open: the trials that must still end in the present rung, in order of index; none once all rungs have ended
    ranked: the numbers of the last rung's trials that have a score, the best first; none before all rungs have ended
    """

    latest: Mapping[int, TriedPart]
    open: Sequence[Entry] = ()
    ranked: Sequence[int] = ()

    @classmethod
    def of(cls, job: SearchJob, tried: Sequence[TriedPart]) -> Standing:
        """`tried` holds the parts that have ended for good."""
        ended = {each.part.index: each for each in tried}
        latest: dict[int, TriedPart] = {}
        ranked: Sequence[int] = range(job.trials)
        first = 0
        for number, rung in enumerate(job.rungs):
            entrants = enumerate(sorted(ranked[: rung.trials]), start=first)
            entries = [Entry(index, trial, number, latest.get(trial)) for index, trial in entrants]
            # A trial that is exhausted takes its score along without a part.
            entries = [each for each in entries if each.earlier is None or not each.earlier.is_exhausted]
            latest |= {each.trial: ended[each.index] for each in entries if each.index in ended}
            if unended := [each for each in entries if each.index not in ended]:
                return cls(latest, unended)
            ranked = _ranked(ranked[: rung.trials], latest, job.objective)
            first += rung.trials
        return cls(latest, (), ranked)


def trial_results(job: SearchJob, standing: Standing) -> Iterator[TrialResult]:
    """The trials that have ended, in order of their numbers."""
    for trial, tried in sorted(standing.latest.items()):
        yield TrialResult(
            trial=trial,
            operation_id=tried.part.operation_id,
            status=_STATUS[tried.part.status],
            parameters=tried.job.parameters,
            score=tried.score,
            rung=job.rung(tried.part.index) + 1,
            epochs=tried.epochs,
            reason=tried.reason(job.objective),
        )


def _ranked(entrants: Sequence[int], latest: Mapping[int, TriedPart], objective: Objective) -> list[int]:
    """Those with a score, the best first; of equal ones the lower number."""
    scores = {trial: score for trial in entrants if (score := latest[trial].score) is not None}
    return sorted(scores, key=lambda trial: (objective.rank(scores[trial]), trial))


def _score(results: TrainingResults | FoldsResults, objective: Objective) -> float | None:
    score = _SCORES[objective](results)
    return score if score is not None and math.isfinite(score) else None


def _ic(results: EvaluatedResults) -> float | None:
    return results.evaluation.ic if isinstance(results.evaluation, Regression) else None


_SCORES: Mapping[Objective, Callable[[TrainingResults | FoldsResults], float | None]] = {
    Objective.VAL_LOSS: lambda results: results.final_metrics.best_val_loss,
    Objective.LEAD: lambda results: results.lead_over_hardest,
    Objective.ACCURACY: lambda results: results.evaluation.accuracy if results.evaluation else None,
    Objective.IC: _ic,
    Objective.SHARPE: lambda results: results.backtest.model.sharpe if results.backtest else None,
}


def _is_exhausted(job: TrainingJob | FoldsJob, results: TrainingResults | FoldsResults) -> bool:
    if isinstance(results, FoldsResults):
        return job.last_epoch == job.epochs or all(fold.total_epochs < job.last_epoch for fold in results.folds)
    return results.ending is not Ending.EPOCH_LIMIT
