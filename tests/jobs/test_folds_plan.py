"""The plan of a training in folds is pure: what comes next does not depend on the order in which folds end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ktrdr.jobs.folds_plan import FoldsPlan
from ktrdr.operations.plan import Finish, Part, Start
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import FoldsJob, parse_job
from tests.payloads.test_jobs import ON_BARS

ENDS = (OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED)
FINAL = {"best_epoch": 2, "best_val_loss": 0.5, "best_val_accuracy": 0.6, "total_epochs": 4}


def plan_of(folds: int) -> FoldsPlan:
    return FoldsPlan("op_whole", FoldsJob(**ON_BARS, epochs=4, folds=folds))


def part(index: int, status: OperationStatus) -> Part:
    results: dict[str, Any] = {"final_metrics": FINAL} if status is OperationStatus.COMPLETED else {}
    error = {"code": "out_of_memory", "detail": "ran out of memory", "hint": ""} if status is ENDS[1] else {}
    return Part(index, f"op_{index}", status, results, error=error)


@given(st.lists(st.sampled_from(ENDS), min_size=2, max_size=6), st.data())
def test_what_comes_next_follows_from_what_has_ended_alone(ends: list[OperationStatus], data: st.DataObject) -> None:
    plan = plan_of(len(ends))
    parts = [part(index, status) for index, status in enumerate(ends)]
    arrived = data.draw(st.permutations(parts))
    some = data.draw(st.integers(0, len(parts) - 1))

    early = plan.next(sorted(arrived[:some], key=lambda each: each.index))
    last = plan.next(parts)

    assert isinstance(early, Start)
    assert [request.index for request in early.parts] == list(range(len(ends)))
    assert early == plan.next([])
    assert isinstance(last, Finish)
    assert (last.error is None) == all(each.is_completed for each in parts)


def test_each_fold_is_a_training_that_can_be_read_back() -> None:
    start = plan_of(3).next([])

    assert isinstance(start, Start)
    jobs: list[Any] = [parse_job(request.payload) for request in start.parts]
    assert [(job.kind, job.fold, job.part) for job in jobs] == [("training", fold, fold) for fold in range(3)]
    assert [request.metadata["fold"] for request in start.parts] == [1, 2, 3]


def test_a_fold_without_a_model_is_named_with_its_reason() -> None:
    finish = plan_of(3).next([part(0, ENDS[0]), part(1, ENDS[1]), part(2, ENDS[2])])

    assert isinstance(finish, Finish)
    assert finish.error == {
        "code": "error",
        "detail": "2 of 3 folds have no model: fold 2 (op_1) ran out of memory; fold 3 (op_2) was cancelled",
        "hint": "train what is missing with: ktrdr operations resume op_whole",
    }


def test_as_a_part_itself_it_tries_a_fold_again_whose_worker_died() -> None:
    job = FoldsJob(**ON_BARS, epochs=4, folds=2, part=3, trial=3)
    own = job.training_of(1).model_dump(mode="json")
    killed = {"code": "worker_died", "detail": "was killed", "hint": ""}
    died = Part(1, "op_1", ENDS[1], {}, own, killed)

    decision = FoldsPlan("op_whole", job).next([part(0, ENDS[0]), died])
    alone = plan_of(2).next([part(0, ENDS[0]), died])

    assert isinstance(decision, Start)
    again, *_ = decision.parts
    assert (again.index, again.replaces, again.operation_type) == (1, "op_1", "TRIAL")
    assert parse_job(again.payload) == job.training_of(1).model_copy(update={"resume_from": "op_1"})
    assert isinstance(alone, Finish)


def test_what_would_fail_again_is_not_offered_for_resume() -> None:
    error = {"code": "training_data", "detail": "all samples are of one class", "hint": "choose other labels"}
    hopeless = Part(1, "op_1", ENDS[1], {}, error=error)

    finish = plan_of(2).next([part(0, ENDS[0]), hopeless])

    assert isinstance(finish, Finish)
    assert finish.error == {
        "code": "training_data",
        "detail": "1 of 2 folds have no model: fold 2 (op_1) all samples are of one class",
        "hint": "choose other labels",
    }
