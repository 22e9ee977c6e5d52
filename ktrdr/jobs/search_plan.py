"""The plan of a search: trials rung by rung, then the best one's full training, then the summary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ktrdr.errors import KtrdrError
from ktrdr.executors.outcome import Outcome
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.jobs.parts import is_tried_again, job_of_strategy, next_attempt, ordinary, part_request, stops_whole
from ktrdr.jobs.search_standing import Entry, Standing, TriedPart, trial_results
from ktrdr.jobs.strategies import catalogue_of
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.plan import Finish, Part, PartRequest, Start
from ktrdr.payloads.jobs import FoldsJob, SearchJob, StrategyOnBars, TrainingJob
from ktrdr.payloads.reading import parse_results
from ktrdr.payloads.search import Rung, UnfinishedSearchResults
from ktrdr.payloads.training import FoldsResults
from ktrdr.strategy.loading import check
from ktrdr.strategy.proposals import EndedTrial, propose, visible_trials
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_space import Proposal, Search

WINDOW = 64
"""Trials that wait or run at one time at most, so that a large search does not fill the registry in advance."""

_COLUMNS = ("part", "trial", "rung", "score", "best_score", "epochs")
_SHOWN_REASONS = 3


def create_search_bridge(job: SearchJob, path: Path) -> None:
    """Create the bridge of a search, with one record for each trial of each rung, in order of their indices."""
    parts = job.trial_parts + 1
    layout = BridgeLayout(
        phases=(f"{{items}} of {parts} trainings have ended",),
        total_steps=parts,
        columns=_COLUMNS,
        integer_columns=("part", "trial", "rung", "epochs"),
        planned_records=job.trial_parts,
    )
    ProgressBridge.create(path, layout)


def search_job(search: Search, on_bars: StrategyOnBars) -> SearchJob:
    """The job of a search on these bars."""
    settings = search.settings
    halving = (settings.halving.factor, settings.halving.min_epochs) if settings.halving else None
    return SearchJob(
        **on_bars.model_dump(),
        sampler=settings.sampler,
        objective=settings.objective,
        rungs=rungs_of(search.trials, most_epochs(search), halving),
    )


def rungs_of(trials: int, epochs: int, halving: tuple[int, int] | None) -> tuple[Rung, ...]:
    """The rungs of synchronous successive halving with `halving` = (factor, epochs of the first rung).

    Rung r trains `trials / factor^r` trials, at least one, to `min_epochs * factor^r` epochs. The last rung trains to
    the end, as does one of a single trial, because the winner must be trained in full.
    Source: Jamieson and Talwalkar, Non-stochastic Best Arm Identification (2016).
    """
    if halving is None:
        return (Rung(trials=trials, epochs=epochs),)
    factor, until = halving
    rungs = []
    while trials > 1 and until < epochs:
        rungs.append(Rung(trials=trials, epochs=until))
        trials, until = max(1, trials // factor), until * factor
    return (*rungs, Rung(trials=trials, epochs=epochs))


def most_epochs(search: Search) -> int:
    """The most epochs that a trial can be trained."""
    ranges = [each.range for each in search.parameters if each.name == "training.epochs"]
    return max([value for each in ranges for _, value in each.ends], default=search.strategy.training.epochs)


@dataclass(frozen=True)
class SearchPlan:
    """A `Plan` whose parts are the trials of the first rung, in order of their numbers, those of the next, and so on.

    The last part is the winner's full training. The parts' jobs hold what was proposed, so that the plan never asks
    for a proposal of an earlier trial again.

    operation_id: the operation of the whole
    job: its job
    """

    operation_id: str
    job: SearchJob
    _tried: dict[str, TriedPart] = field(default_factory=dict, compare=False, repr=False)
    _requests: dict[int, PartRequest] = field(default_factory=dict, compare=False, repr=False)

    @property
    def goes_on_without(self) -> bool:
        return True

    @property
    def taken_over(self) -> Mapping[int, str]:
        return self.job.taken_over

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        if stopping := next((part for part in ended if stops_whole(part)), None):
            return Finish(self._error(f"part {stopping.index + 1} ({stopping.operation_id}) {stopping.reason}"))
        again = [next_attempt(part) for part in ended if is_tried_again(part)]
        standing = self._standing(ended)
        if standing.open:
            waiting = {request.index for request in again}
            entries = [entry for entry in self._startable(standing) if entry.index not in waiting]
            return Start([*again, *(self._request(entry, standing) for entry in entries)])
        if not standing.ranked:
            return Finish(self._nothing_found(standing))
        return Start(again) if again else self._finish(standing, ended)

    def records(self, ended: Sequence[Part]) -> Iterable[Sequence[float]]:
        """In order of index, so that the best score so far does not depend on which part ended first."""
        standing = self._standing(ended)
        end = standing.open[0].index if standing.open else self.job.trial_parts
        best = math.nan
        for part in ended:
            if part.index < end:
                tried = self._try(part)
                best = self._better(best, tried.score)
                score = math.nan if tried.score is None else tried.score
                yield part.index + 1, tried.trial, self.job.rung(part.index) + 1, score, best, tried.epochs

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        trials = tuple(trial_results(self.job, self._standing(ended)))
        results = UnfinishedSearchResults(objective=self.job.objective, trials=trials)
        return results.model_dump(mode="json", exclude={"status"})

    # -- trials --------------------------------------------------------------------------------------------------

    @cached_property
    def _search(self) -> Search:
        return load_search(self.job.strategy, self._catalogue)

    @cached_property
    def _catalogue(self) -> IndicatorCatalogue:
        return catalogue_of(self.job)

    def _standing(self, ended: Sequence[Part]) -> Standing:
        trials = [part for part in ended if part.index < self.job.trial_parts and not is_tried_again(part)]
        return Standing.of(self.job, [self._try(part) for part in trials])

    def _try(self, part: Part) -> TriedPart:
        if part.operation_id not in self._tried:
            self._tried[part.operation_id] = TriedPart.of(part, self.job.objective)
        return self._tried[part.operation_id]

    def _better(self, best: float, score: float | None) -> float:
        if score is None:
            return best
        return score if math.isnan(best) else min(best, score, key=self.job.objective.rank)

    def _startable(self, standing: Standing) -> Sequence[Entry]:
        """The first of those that must still end, as far as their proposals follow from what has ended."""
        first = standing.open[0]
        return [
            entry
            for entry in standing.open[:WINDOW]
            if entry.rung > 0 or visible_trials(self._search, entry.trial) <= first.trial
        ]

    def _request(self, entry: Entry, standing: Standing) -> PartRequest:
        if entry.index not in self._requests:
            job = self.job.begun.get(entry.index) or self._job_of(entry, standing)
            self._requests[entry.index] = part_request(job)
        return self._requests[entry.index]

    def _job_of(self, entry: Entry, standing: Standing) -> TrainingJob | FoldsJob:
        until = self.job.rungs[entry.rung].epochs if entry.rung + 1 < len(self.job.rungs) else None
        job = _promoted(entry.earlier) if entry.earlier else self._new_trial(entry.trial, standing)
        if until is not None and until >= (job.epochs or 1):
            until = None
        return job.model_copy(update={"part": entry.index, "until": until})

    def _new_trial(self, number: int, standing: Standing) -> TrainingJob | FoldsJob:
        proposal = propose(self._search, number, self._visible(number, standing))
        text = self._search.strategy_text(proposal)
        named = {"trial": number, "parameters": self._search.named(proposal)}
        fields = self.job.model_dump(include=set(StrategyOnBars.model_fields)) | {"strategy": text}
        document = self._search.strategy_document(proposal)
        strategy, _ = check(document, self._catalogue)
        if strategy is None:  # its worker says so, and the trial has failed
            return TrainingJob(**fields, **named, epochs=self.job.rungs[-1].epochs)
        on_bars = StrategyOnBars(**fields | {"model_type": strategy.model.type})
        return job_of_strategy(strategy, on_bars).model_copy(update=named | {"parsed": document.data})

    def _visible(self, number: int, standing: Standing) -> list[EndedTrial]:
        return [
            EndedTrial(self._proposal(tried), tried.score)
            for trial, tried in standing.latest.items()
            if trial < visible_trials(self._search, number)
        ]

    def _proposal(self, tried: TriedPart) -> Proposal:
        values = tuple(tried.job.parameters.get(each.title) for each in self._search.parameters)
        return Proposal(tried.trial, values)

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self, standing: Standing, ended: Sequence[Part]) -> Start | Finish:
        winner = standing.latest[standing.ranked[0]]
        last = next((part for part in ended if part.index == self.job.trial_parts), None)
        if last is None:
            job = self.job.begun.get(self.job.trial_parts) or _full_training(winner, self.job.trial_parts)
            return Start([part_request(job)])
        if last.is_completed:
            return Finish()
        what = f"the full training of the winner, trial {winner.trial} ({last.operation_id})"
        return Finish(self._error(f"{what}, has no model: {last.reason}"))

    def _nothing_found(self, standing: Standing) -> Mapping[str, Any]:
        failed = [each for _, each in sorted(standing.latest.items()) if each.score is None]
        reasons = "; ".join(self._describe(each) for each in failed[:_SHOWN_REASONS])
        return self._error(f"{len(failed)} of {self.job.trials} trials failed: {reasons}")

    def _describe(self, failed: TriedPart) -> str:
        return f"trial {failed.trial} ({failed.part.operation_id}) {failed.reason(self.job.objective)}"

    def _error(self, detail: str) -> Mapping[str, Any]:
        hint = f"go on with what is missing: ktrdr operations resume {self.operation_id}"
        return Outcome.failed(KtrdrError.code, detail, hint).error


def _promoted(earlier: TriedPart) -> TrainingJob | FoldsJob:
    """The job that trains a trial on from its checkpoints; folds that have stopped early are taken over."""
    job, part = earlier.job, earlier.part
    if isinstance(job, TrainingJob):
        return job.model_copy(update={"resume_from": part.operation_id})
    results = parse_results(part.results)
    assert isinstance(results, FoldsResults)
    stopped = {fold.fold - 1 for fold in results.folds if fold.total_epochs < job.last_epoch}
    folds = part.completed_parts
    return job.model_copy(
        update={
            "completed": {fold: name for fold, name in folds.items() if fold in stopped},
            "checkpoints": {fold: name for fold, name in folds.items() if fold not in stopped},
        }
    )


def _full_training(winner: TriedPart, index: int) -> TrainingJob | FoldsJob:
    """The winner's strategy as an ordinary training, which tells whether it came to the trial's bits."""
    original: Mapping[str, object]
    if isinstance(winner.job, TrainingJob):
        original = {"resume_from": None, "reproduces": winner.part.operation_id}
    else:
        original = {"completed": {}, "checkpoints": {}, "reproduces": dict(winner.part.completed_parts)}
    return ordinary(winner.job).model_copy(update={**original, "part": index})
