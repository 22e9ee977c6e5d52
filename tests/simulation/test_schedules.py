"""Schedules that once broke a promise, as the long simulation printed them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.machine import FOR_A_WHILE, Simulation

Schedule = Callable[[Simulation], None]


def waiting_ones_do_not_start_in_the_place_of_a_worker_that_cannot_be_examined(state: Simulation) -> None:
    state.start_trainings(how="hang", count=2, pause=6.0)
    state.end_the_server(how="at a file", calls=7, away_s=5.0)
    state.fail_files(actor="server", name="crash.log", calls="reads", number=28, left=FOR_A_WHILE)
    state.wait(seconds=0.0)
    state.start_trainings(how="complete", count=3, pause=0.0)
    state.wait_longer(seconds=10.0)


def a_job_that_is_queued_again_waits_for_workers_that_are_not_adopted_yet(state: Simulation) -> None:
    state.start_trainings(how="hang", count=1, pause=0.05)
    state.start(kind="training", how="hang", size=1)
    state.start_trainings(how="hang", count=2, pause=2.0)
    state.signal_a_worker(number=3, signal="ABRT")
    state.fail_the_registry(calls="writes", is_late=True, left=2)
    state.end_the_server(how="politely", calls=30, away_s=5.0)
    state.wait_longer(seconds=10.0)
    state.end_the_server(how="at a file", calls=9, away_s=5.0)


def an_operation_that_is_not_taken_up_yet_does_not_end_without_its_epochs(state: Simulation) -> None:
    state.start_trainings(how="complete", count=2, pause=0.05)
    state.fail_files(actor="server", name="crash.log", calls="both", number=24, left=FOR_A_WHILE)
    state.fail_files(actor="worker", name="outcome.json", calls="writes", number=28, left=FOR_A_WHILE)
    state.end_the_server(how="now", calls=1, away_s=0.0)
    state.wait_longer(seconds=60.0)


def an_end_whose_record_got_no_answer_stays(state: Simulation) -> None:
    state.end_the_server(how="at a file", calls=12, away_s=None)
    state.start_trainings(how="exit", count=3, pause=2.0)
    state.start_the_server()
    state.fail_the_registry(calls="writes", is_late=True, left=FOR_A_WHILE)
    state.wait_longer(seconds=10.0)


def a_creation_whose_record_got_no_answer_leaves_nothing(state: Simulation) -> None:
    state.fail_the_registry(calls="writes", is_late=True, left=1)
    state.start(kind="training", how="complete", size=1)
    state.wait_longer(seconds=60.0)


def a_cancel_does_not_take_the_results_of_one_that_has_run(state: Simulation) -> None:
    state.start_trainings(how="complete", count=3, pause=0.0)
    state.happen(event="copy", number=1)
    state.wait_longer(seconds=60.0)
    state.end_the_server(how="now", calls=20, away_s=None)
    state.restore_the_older_registry()
    state.start_the_server()
    state.fail_the_registry(calls="writes", is_late=False, left=FOR_A_WHILE)
    state.wait_for_epochs(seconds=3.0)
    state.cancel(number=1)
    state.turn(callbacks=20)
    state.truth.ledger.with_losses.clear()


def a_cancel_that_cannot_be_recorded_is_recorded_later(state: Simulation) -> None:
    state.start_trainings(how="hang", count=3, pause=1.0)
    state.fail_the_registry(calls="writes", is_late=False, left=1)
    state.cancel(number=0)
    state.wait_longer(seconds=60.0)


def a_job_waits_again_where_no_process_can_be_started(state: Simulation) -> None:
    state.start_trainings(how="complete", count=1, pause=0.05)
    state.end_the_server(how="now", calls=1, away_s=None)
    state.start_the_server()
    state.happen(event="no processes", number=7)
    state.wait_longer(seconds=60.0)


def a_whole_goes_on_without_its_folder(state: Simulation) -> None:
    state.start(kind="folds", how="complete", size=1)
    state.happen(event="copy", number=3)
    state.wait_longer(seconds=60.0)
    state.prune()
    state.wait(seconds=0.01)
    state.end_the_server(how="now", calls=8, away_s=None)
    state.restore_the_older_registry()


def a_whole_waits_for_its_folder(state: Simulation) -> None:
    state.start(kind="folds", how="complete", size=1)
    state.fail_files(actor="server", name="parts.json", calls="writes", number=28, left=2)
    state.fail_files(actor="server", name="cancelled", calls="reads", number=5, left=3)
    state.wait_longer(seconds=60.0)


def a_whole_whose_failure_cannot_be_recorded_starts_no_parts(state: Simulation) -> None:
    state.start(kind="folds", how="hang", size=3)
    state.end_the_server(how="at a file", calls=4, away_s=0.0)
    state.fail_the_registry(calls="writes", is_late=False, left=1)
    state.wait(seconds=0.01)


def a_cancel_does_not_end_one_whose_worker_goes_on(state: Simulation) -> None:
    state.start(kind="folds", how="hang", size=2)
    state.start_trainings(how="complete", count=2, pause=0.05)
    state.happen(event="copy", number=1)
    state.fail_files(actor="server", name="outcome.json", calls="reads", number=24, left=FOR_A_WHILE)
    state.wait_longer(seconds=10.0)
    state.fail_the_registry(calls="reads", is_late=True, left=1)
    state.end_the_server(how="now", calls=1, away_s=0.5)
    state.wait(seconds=0.3)
    state.restore_the_older_registry()
    state.start_the_server()
    state.wait(seconds=0.0)
    state.cancel(number=1)
    state.wait_for_epochs(seconds=4.0)


def a_cancel_may_drop_what_is_about_to_be_taken_up_again(state: Simulation) -> None:
    state.start(kind="folds", how="complete", size=1)
    state.turn(callbacks=18)
    state.start(kind="folds", how="hang", size=1)
    state.turn(callbacks=9)
    state.end_the_server(how="now", calls=2, away_s=0.0)
    state.fail_files(actor="worker", name="job.json", calls="reads", number=24, left=2)
    state.wait_longer(seconds=10.0)
    state.fail_files(actor="server", name="outcome.json", calls="both", number=28, left=FOR_A_WHILE)
    state.cancel(number=5)
    state.end_the_server(how="politely", calls=19, away_s=0.5)
    state.wait_longer(seconds=5.0)


def a_cursor_is_valid_while_the_bridge_cannot_be_opened(state: Simulation) -> None:
    state.start_trainings(how="hang", count=1, pause=0.0)
    state.start(kind="folds", how="complete", size=4)
    state.wait_longer(seconds=5.0)
    state.fail_the_registry(calls="writes", is_late=True, left=FOR_A_WHILE)
    state.start_trainings(how="exit", count=2, pause=0.05)
    state.wait_longer(seconds=60.0)
    state.repeat_a_request(number=4)
    state.look(number=6, force=True)
    state.turn(callbacks=12)
    state.fail_files(actor="server", name="bridge", calls="both", number=28, left=FOR_A_WHILE)
    state.end_the_server(how="politely", calls=1, away_s=0.0)
    state.turn(callbacks=16)
    state.start_trainings(how="hang", count=3, pause=0.0)
    state.look(number=4, force=False)


def a_worker_that_the_older_registry_does_not_know_keeps_its_place(state: Simulation) -> None:
    state.start_trainings(how="hang", count=2, pause=6.0)
    state.start_trainings(how="hang", count=2, pause=0.05)
    state.happen(event="copy", number=5)
    state.signal_a_worker(number=0, signal="SEGV")
    state.start_trainings(how="fail", count=3, pause=6.0)
    state.end_the_server(how="politely", calls=28, away_s=0.0)
    state.fail_the_registry(calls="reads", is_late=True, left=2)
    state.turn(callbacks=8)
    state.heal()
    state.restore_the_older_registry()
    state.start_the_server()
    state.fail_the_registry(calls="writes", is_late=True, left=2)
    state.wait_for_epochs(seconds=3.0)


def a_cursor_is_valid_while_the_older_registry_has_it_as_waiting(state: Simulation) -> None:
    state.end_the_server(how="at a file", calls=22, away_s=None)
    state.start_trainings(how="complete", count=3, pause=6.0)
    state.happen(event="copy", number=1)
    state.start_the_server()
    state.wait_for_epochs(seconds=3.0)
    state.start_trainings(how="exit", count=2, pause=0.05)
    state.look(number=3, force=True)
    state.turn(callbacks=17)
    state.end_the_server(how="now", calls=5, away_s=None)
    state.restore_the_older_registry()
    state.start_the_server()
    state.fail_the_registry(calls="writes", is_late=True, left=FOR_A_WHILE)
    state.wait(seconds=1.0)
    state.look(number=4, force=False)


def a_removal_ends_where_its_list_cannot_be_deleted(state: Simulation) -> None:
    state.start(kind="folds", how="complete", size=1)
    state.wait(seconds=1.0)
    state.resume(number=2)
    state.repeat_a_request(number=4)
    state.repeat_a_request(number=0)
    state.prune()
    state.turn(callbacks=16)
    state.fail_files(actor="server", name="", calls="both", number=28, left=1)
    state.wait(seconds=0.0)


def a_start_that_fails_while_nothing_can_be_read_is_refused_in_words(state: Simulation) -> None:
    state.fail_files(actor="server", name="", calls="writes", number=28, left=2)
    state.fail_files(actor="server", name="outcome.json", calls="reads", number=28, left=FOR_A_WHILE)
    state.start_trainings(how="hang", count=1, pause=0.05)


def a_whole_does_not_end_before_a_part_whose_creation_got_no_answer(state: Simulation) -> None:
    state.start_trainings(how="exit", count=3, pause=2.0)
    state.repeat_a_request(number=1)
    state.start(kind="folds", how="complete", size=1)
    state.turn(callbacks=16)
    state.cancel(number=0)
    state.fail_the_registry(calls="writes", is_late=True, left=2)
    state.turn(callbacks=14)


def one_that_was_cancelled_while_its_start_failed_keeps_its_folder(state: Simulation) -> None:
    state.start_trainings(how="complete", count=3, pause=0.0)
    state.happen(event="no processes", number=5)
    state.happen(event="copy", number=4)
    state.cancel(number=7)
    state.wait_for_epochs(seconds=1.2)
    state.end_the_server(how="politely", calls=12, away_s=None)
    state.start_trainings(how="complete", count=2, pause=0.05)
    state.restore_the_older_registry()


SCHEDULES: tuple[Schedule, ...] = (
    waiting_ones_do_not_start_in_the_place_of_a_worker_that_cannot_be_examined,
    a_job_that_is_queued_again_waits_for_workers_that_are_not_adopted_yet,
    an_operation_that_is_not_taken_up_yet_does_not_end_without_its_epochs,
    an_end_whose_record_got_no_answer_stays,
    a_creation_whose_record_got_no_answer_leaves_nothing,
    a_cancel_does_not_take_the_results_of_one_that_has_run,
    a_cancel_that_cannot_be_recorded_is_recorded_later,
    a_job_waits_again_where_no_process_can_be_started,
    a_whole_goes_on_without_its_folder,
    a_whole_waits_for_its_folder,
    a_whole_whose_failure_cannot_be_recorded_starts_no_parts,
    a_cancel_does_not_end_one_whose_worker_goes_on,
    a_cancel_may_drop_what_is_about_to_be_taken_up_again,
    a_cursor_is_valid_while_the_bridge_cannot_be_opened,
    a_worker_that_the_older_registry_does_not_know_keeps_its_place,
    a_cursor_is_valid_while_the_older_registry_has_it_as_waiting,
    a_whole_does_not_end_before_a_part_whose_creation_got_no_answer,
    one_that_was_cancelled_while_its_start_failed_keeps_its_folder,
    a_start_that_fails_while_nothing_can_be_read_is_refused_in_words,
    a_removal_ends_where_its_list_cannot_be_deleted,
)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.__name__)
def test_no_promise_is_broken(schedule: Schedule) -> None:
    state = Simulation()
    try:
        schedule(state)
        state.check_invariants()
    finally:
        state.teardown()
