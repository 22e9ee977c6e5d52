"""The plan of a search is pure: proposals, promotions and the winner do not depend on which part ends first."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ktrdr.jobs.parts import MOST_ATTEMPTS
from ktrdr.jobs.search_plan import WINDOW, SearchPlan, rungs_of
from ktrdr.operations.plan import Finish, Part, PartRequest, Start
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import FoldsJob, SearchJob, TrainingJob, parse_job
from ktrdr.payloads.search import Objective, Rung
from ktrdr.payloads.training import Ending
from tests.payloads.test_jobs import ON_BARS
from tests.sample_results import final_metrics, folds, training

TEXT = """
name: Probe
model: {{type: mlp, layers: 1, hidden_size: 4, sequence_length: 5}}
training: {{epochs: {epochs}, learning_rate: {{log: [0.0001, 0.1]}}}}
indicators: [{{name: rsi, period: {{int: [5, 60]}}}}]
search: {{trials: {trials}, sampler: {sampler}, seed: 3, lag: 2}}
{more}
"""
COMPLETED, FAILED, CANCELLED = OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED
RANDOM = random.Random(0)

Job = TrainingJob | FoldsJob
Loss = Callable[[Job, int], float]
"""(job, epochs) -> the best validation loss by then."""


def loss(job: Job, epochs: int) -> float:
    rate = job.parameters["training.learning_rate"]
    assert isinstance(rate, float)
    return abs(math.log(rate) - math.log(0.003)) + 1.0 / epochs


def plan_of(
    trials: int, *, sampler: str = "random", epochs: int = 4, halving: tuple[int, int] | None = None, more: str = ""
) -> SearchPlan:
    text = TEXT.format(trials=trials, sampler=sampler, epochs=epochs, more=more)
    rungs = rungs_of(trials, epochs, halving)
    on_bars = ON_BARS | {"strategy": text}
    return SearchPlan("op_whole", SearchJob(**on_bars, sampler=sampler, objective=Objective.VAL_LOSS, rungs=rungs))


@dataclass
class Run:
    """Carries out a plan: parts end one after the other in an order by chance, each as its job says.

    epochs: how many epochs were trained, by trial
    """

    plan: SearchPlan
    order: random.Random = field(default_factory=lambda: random.Random(0))
    loss: Loss = loss
    stops_at: Mapping[int, int] = field(default_factory=dict)
    fails: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    most_open: int = 0
    ended: dict[int, Part] = field(default_factory=dict)
    open: dict[int, tuple[str, Job]] = field(default_factory=dict)
    started: list[PartRequest] = field(default_factory=list)

    def to_end(self) -> Finish:
        while isinstance(decision := self.plan.next([self.ended[index] for index in sorted(self.ended)]), Start):
            self._start(decision.parts)
            assert self.open, "it waits for nothing"
            self._end(self.order.choice(sorted(self.open)))
        return decision

    def jobs(self) -> dict[int, Job]:
        return {request.index: job_of(request) for request in self.started}

    def _start(self, requests: Iterable[PartRequest]) -> None:
        for request in requests:
            existing = self.ended.get(request.index)
            if request.index in self.open or (existing and existing.operation_id != request.replaces):
                continue
            self.ended.pop(request.index, None)
            self.started.append(request)
            self.open[request.index] = f"op_{len(self.started)}", job_of(request)
        self.most_open = max(self.most_open, len(self.open))

    def _end(self, index: int) -> None:
        name, job = self.open.pop(index)
        attempts = sum(request.index == index for request in self.started)
        self.ended[index] = replace(self._outcome(index, name, job), attempts=attempts)

    def _outcome(self, index: int, name: str, job: Job) -> Part:
        payload = job.model_dump(mode="json")
        trial = -1 if job.trial is None else job.trial
        if self.deaths.get(index, 0) > 0:
            self.deaths[index] -= 1
            return Part(index, name, FAILED, {}, payload, {"code": "worker_died", "detail": "was killed", "hint": ""})
        if error := self.fails.get(trial):
            return Part(index, name, FAILED, {}, payload, error)
        return Part(index, name, COMPLETED, self._results(trial, job), payload, completed_parts={0: "f0", 1: "f1"})

    def _results(self, trial: int, job: Job) -> dict[str, Any]:
        reached = min(job.last_epoch, self.stops_at.get(trial, job.last_epoch))
        restored = 0
        if trial >= 0:
            restored, self.epochs[trial] = self.epochs.get(trial, 0), reached
        ending = Ending.ALL_EPOCHS if reached == job.epochs else Ending.EPOCH_LIMIT
        ending = Ending.EARLY_STOPPING if reached < job.last_epoch else ending
        final = final_metrics(total_epochs=reached, best_val_loss=self.loss(job, reached) if trial >= 0 else 0.0)
        if isinstance(job, FoldsJob):
            return folds().model_copy(update={"final_metrics": final}).model_dump(mode="json")
        return training(final_metrics=final, ending=ending, restored_epochs=restored).model_dump(mode="json")


def job_of(request: PartRequest) -> Job:
    job = parse_job(request.payload)
    assert isinstance(job, TrainingJob | FoldsJob)
    return job


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_neither_the_order_of_ends_nor_deaths_change_proposals_promotions_and_winner(sampler: str) -> None:
    def run(order: int, **deaths: Any) -> dict[int, Job]:
        run = Run(plan_of(18, sampler=sampler, epochs=9, halving=(3, 1)), random.Random(order), **deaths)
        assert run.to_end() == Finish()
        # Which operation a part goes on from has another name in each run.
        unnamed = {"resume_from": None, "reproduces": None}
        return {index: job.model_copy(update=unnamed) for index, job in sorted(run.jobs().items())}

    first = run(1)

    assert first == run(2)
    assert first == run(3, deaths={0: 2, 7: 4, 18: 1, 20: 1, 26: 1})
    assert len({str(job.parameters) for job in first.values()}) == 19  # and the full training, which is no trial


def test_halving_trains_no_epoch_twice() -> None:
    plan = plan_of(64, epochs=27, halving=(3, 1))
    run = Run(plan)

    run.to_end()

    assert plan.job.rungs == (
        Rung(trials=64, epochs=1),
        Rung(trials=21, epochs=3),
        Rung(trials=7, epochs=9),
        Rung(trials=2, epochs=27),
    )
    needed = 64 * 1 + 21 * (3 - 1) + 7 * (9 - 3) + 2 * (27 - 9)
    assert sum(tried.trained_epochs for tried in plan._tried.values()) == needed
    assert sum(run.epochs.values()) == needed
    by_loss = sorted(range(64), key=lambda trial: loss(run.jobs()[trial], 1))
    assert {job.trial for index, job in run.jobs().items() if 64 <= index < 85} == set(by_loss[:21])


def test_a_promoted_trial_goes_on_from_the_part_before_and_the_winner_is_compared_with_its_last() -> None:
    run = Run(plan_of(4, epochs=4, halving=(2, 2)))

    run.to_end()

    jobs, names = run.jobs(), {index: part.operation_id for index, part in run.ended.items()}
    first = {job.trial: index for index, job in jobs.items() if index < 4}
    promoted = [jobs[index] for index in (4, 5)]
    assert [job.trial for job in promoted] == sorted(job.trial for job in promoted if job.trial is not None)
    for job in promoted:
        assert isinstance(job, TrainingJob)
        assert (job.resume_from, job.until) == (names[first[job.trial]], None)
    assert [jobs[index].until for index in range(4)] == [2] * 4
    winner, full = min(promoted, key=lambda job: loss(job, 4)), jobs[6]
    assert isinstance(full, TrainingJob)
    assert (full.trial, full.strategy, full.reproduces) == (None, winner.strategy, names[winner.part or 0])
    assert [request.operation_type for request in run.started] == ["TRIAL"] * 6 + ["TRAINING"]


def test_equal_scores_rank_by_the_trials_numbers() -> None:
    run = Run(plan_of(6, epochs=4, halving=(3, 1)), loss=lambda job, epochs: 0.5)

    run.to_end()

    assert [run.jobs()[index].trial for index in (6, 7)] == [0, 1]


def test_a_trial_that_stopped_early_takes_its_score_along_without_another_part() -> None:
    run = Run(plan_of(4, epochs=8, halving=(2, 2)), stops_at=dict.fromkeys(range(4), 1))

    assert run.to_end() == Finish()

    assert sorted(run.jobs()) == [0, 1, 2, 3, 7]


def test_failed_trials_count_as_tried() -> None:
    diverged = {"code": "training_diverged", "detail": "the loss is nan", "hint": ""}
    run = Run(plan_of(6), fails={1: diverged, 4: diverged})

    assert run.to_end() == Finish()

    results = run.plan.partial_results(sorted(run.ended.values(), key=lambda part: part.index))
    assert [(each["status"], each["reason"]) for each in results["trials"] if each["score"] is None] == [
        ("failed", "the loss is nan")
    ] * 2


def test_a_search_of_which_every_trial_fails_has_failed() -> None:
    diverged = {"code": "training_diverged", "detail": "the loss is nan", "hint": ""}

    finish = Run(plan_of(2), fails={0: diverged, 1: diverged}).to_end()

    assert finish.error
    assert finish.error["detail"].startswith("2 of 2 trials failed: trial 0 (op_1) the loss is nan; trial 1 (op_2)")
    assert finish.error["hint"].endswith("ktrdr operations resume op_whole")


def test_a_trial_whose_workers_die_again_and_again_has_failed() -> None:
    run = Run(plan_of(3), deaths={1: MOST_ATTEMPTS["worker_died"]})

    assert run.to_end() == Finish()

    attempts = [request for request in run.started if request.index == 1]
    assert len(attempts) == MOST_ATTEMPTS["worker_died"]
    assert [job_of(request).model_dump()["resume_from"] for request in attempts[1:]] == [
        request.replaces for request in attempts[1:]
    ]
    assert run.ended[1].status is FAILED


@pytest.mark.parametrize("code", ["storage_failed", "checkpoint_mismatch"])
def test_what_says_nothing_about_a_trial_ends_the_search_and_not_the_trial(code: str) -> None:
    error = {"code": code, "detail": "the disk is full", "hint": ""}

    finish = Run(plan_of(3), fails={1: error}).to_end()

    assert finish.error
    assert "the disk is full" in finish.error["detail"]


def test_tpe_proposes_as_far_as_its_lag_allows_and_chance_in_a_bounded_window() -> None:
    tpe, chance = Run(plan_of(20, sampler="tpe")), Run(plan_of(70))

    tpe.to_end()
    chance.to_end()

    assert tpe.most_open == 3
    assert chance.most_open == WINDOW


def test_records_come_in_order_of_number_with_the_best_so_far() -> None:
    plan = plan_of(3)
    run = Run(plan)
    run.to_end()

    late = list(plan.records([run.ended[1], run.ended[2]]))
    rows = list(plan.records([run.ended[index] for index in sorted(run.ended)]))

    assert late == []
    assert [row[:3] for row in rows] == [(1, 0, 1), (2, 1, 1), (3, 2, 1)]
    scores = [row[3] for row in rows]
    assert [row[4] for row in rows] == [min(scores[: number + 1]) for number in range(3)]


def test_over_folds_a_trial_is_a_training_in_folds_that_goes_on_from_each_folds_checkpoint() -> None:
    run = Run(plan_of(4, epochs=8, halving=(2, 4), more="validation: {type: walk_forward, folds: 2}"))

    assert run.to_end() == Finish()

    jobs = run.jobs()
    promoted, full = jobs[4], jobs[6]
    assert isinstance(promoted, FoldsJob)
    assert isinstance(full, FoldsJob)
    assert (promoted.checkpoints, promoted.completed) == ({0: "f0", 1: "f1"}, {})
    assert (full.trial, full.reproduces) == (None, {0: "f0", 1: "f1"})
    assert full.training_of(1).reproduces == "f1"


def test_a_resumed_search_takes_over_what_has_ended_and_goes_on_with_what_has_begun() -> None:
    whole = Run(plan_of(4))
    whole.to_end()
    begun = TrainingJob(**ON_BARS, epochs=4, part=2, trial=2, resume_from="op_old")
    job = whole.plan.job.model_copy(update={"taken_over": {0: "op_a"}, "begun": {2: begun}})

    decision = SearchPlan("op_again", job).next([whole.ended[0]])

    assert isinstance(decision, Start)
    assert [request.index for request in decision.parts] == [1, 2, 3]
    assert job_of(decision.parts[1]) == begun
    assert SearchPlan("op_again", job).taken_over == {0: "op_a"}
