"""The plan of an ablation is pure: one lean training without each indicator, on the model's own bars."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.jobs.ablation_plan import AblationPlan
from ktrdr.operations.plan import Finish, Part, Start
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import AblationJob, TrainingJob, parse_job
from ktrdr.payloads.reading import parse_results
from ktrdr.strategy.loading import load_strategy
from tests.payloads.test_jobs import ON_BARS
from tests.sample_results import training

STRATEGY = """\
name: x
model: {type: mlp}
indicators:
  # the quick one
  - {name: rsi, period: 5, as: fast}
  - {name: sma, period: 20}
"""
JOB = AblationJob(
    **ON_BARS | {"strategy": STRATEGY},
    model="op_whole",
    folder="op_fold",
    epochs=4,
    fold=1,
    folds=2,
    trainings=3,
    checkpoints={2: "op_before"},
)


def plan_of(**changes: Any) -> AblationPlan:
    return AblationPlan("op_ablation", JOB.model_copy(update=changes))


def part(index: int, *, code: str = "", attempts: int = 1) -> Part:
    payload = plan_of().training_of(index).model_dump(mode="json")
    if code:
        error = {"code": code, "detail": f"it was {code}", "hint": ""}
        return Part(index, f"op_{index}", OperationStatus.FAILED, {}, payload, error, attempts)
    return Part(index, f"op_{index}", OperationStatus.COMPLETED, training().model_dump(mode="json"), payload)


def test_each_part_is_a_trial_that_lacks_one_source_of_features() -> None:
    start = plan_of().next([])

    assert isinstance(start, Start)
    jobs = [parse_job(request.payload) for request in start.parts]
    assert all(isinstance(job, TrainingJob) for job in jobs)
    trainings = [job for job in jobs if isinstance(job, TrainingJob)]
    strategies = [load_strategy(job.strategy, IndicatorCatalogue()) for job in trainings]
    assert [(each.features.returns, [own.formula for own in each.indicators]) for each in strategies] == [
        (False, ["rsi", "sma"]),
        (True, ["sma"]),
        (True, ["rsi"]),
    ]
    assert [job.parameters for job in trainings] == [
        {"features.returns": False},
        {"fast.include": False},
        {"indicators[1].include": False},
    ]
    assert [(job.fold, job.folds, job.bars_of, job.trial, job.part) for job in trainings] == [
        (1, 2, "op_fold", index, index) for index in range(3)
    ]
    assert [job.resume_from for job in trainings] == [None, None, "op_before"]
    assert {request.operation_type for request in start.parts} == {"TRIAL"}


def test_the_order_of_ends_decides_nothing_and_what_the_machine_broke_is_tried_again() -> None:
    plan = plan_of()
    for some in itertools.combinations([part(0), part(1, code="training_diverged"), part(2)], 2):
        assert plan.next(some) == plan.next([])
    died = plan.next([part(0), part(1, code="worker_died"), part(2)])

    assert isinstance(died, Start)
    again = died.parts[0]
    job = parse_job(again.payload)
    assert isinstance(job, TrainingJob)
    assert (again.index, again.replaces, job.resume_from) == (1, "op_1", "op_1")


@pytest.mark.parametrize(
    ("codes", "detail"),
    [
        (("", "training_diverged", ""), ""),
        (("training_diverged",) * 3, "trainings have no model, without returns (op_0) it was training_diverged; fast"),
        (("", "checkpoint_mismatch", ""), "trainings have no model, without fast (op_1) it was checkpoint_mismatch"),
    ],
)
def test_it_finishes_with_what_has_a_model_unless_nothing_has(codes: tuple[str, ...], detail: str) -> None:
    plan = plan_of()
    ended = [part(index, code=code) for index, code in enumerate(codes)]

    finish = plan.next(ended)

    assert isinstance(finish, Finish)
    assert (finish.error or {"detail": ""})["detail"].startswith(detail)
    assert (finish.error is None) == (not detail)


def test_one_that_is_cancelled_shows_what_has_ended() -> None:
    plan = plan_of()

    found = parse_results(plan.partial_results([part(0), part(1, code="training_diverged")]))

    final = training().final_metrics
    assert [(each.name, each.val_loss, each.reason) for each in found.indicators] == [  # type: ignore[union-attr]
        ("returns", final.best_val_loss, ""),
        ("fast", None, "it was training_diverged"),
    ]
    assert list(plan.records([part(2)])) == [(2, final.best_val_loss, final.best_val_accuracy, final.total_epochs)]
