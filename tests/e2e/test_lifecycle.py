"""What a training survives: cancels, resumes, queues, kills of worker and server, and clients that leave."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bars import csv_of, one_source
from tests.e2e.system import (
    TERMINAL,
    System,
    gone,
    lengthened,
    needs_linux,
    until,
)
from tests.refusals import check_problem, check_refusal

EPOCHS = 30

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of POSIX")


@pytest.fixture(scope="module")
def system(narrow: System) -> System:
    return narrow


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds' work."""
    return lengthened(tmp_path_factory.mktemp("strategies"), EPOCHS, "steady")


@pytest.fixture(scope="module")
def uninterrupted(system: System, steady: Path) -> str:
    """A training that its client stopped following: nothing else happened to it."""
    command = ("models", "train", "--strategy", steady, "--symbols", "AAPL", "--timeframes", "1d", "--follow")
    with system.popen(*command) as process:
        assert process.stderr
        announcement = process.stderr.readline()
        operation_id = announcement.split()[-1]
        until(lambda: process.stderr is not None and process.stderr.readline().startswith("epoch "))
        process.send_signal(signal.SIGINT)
        _, farewell = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Detached; the operation goes on" in farewell
    assert f"ktrdr operations watch {operation_id}" in farewell
    assert system.operation(operation_id)["status"] == "RUNNING"
    return operation_id


def test_ctrl_c_detaches_and_the_training_goes_on(system: System, uninterrupted: str) -> None:
    watched = system.ktrdr("operations", "watch", uninterrupted)

    assert watched.code == 0
    assert "majority" in watched.out
    assert f"epoch {EPOCHS}/{EPOCHS}" in watched.err
    assert system.ended(uninterrupted)["progress"]["percentage"] == 100.0


@pytest.fixture(scope="module")
def cancelled(system: System, steady: Path, uninterrupted: str) -> str:
    system.ended(uninterrupted)
    operation_id = system.train(steady)
    system.wait_for_epochs(operation_id, 3)
    worker, seen = system.worker_of(operation_id), system.mark()
    worker.suspend()  # so that it cannot end before it is asked to
    with system.popen("operations", "cancel", operation_id) as process:
        system.wait_for_line(rf"POST /api/v1/operations/{operation_id}/cancel 200", seen)
        worker.resume()
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert f"Cancelled {operation_id}" in err
    assert f"ktrdr operations resume {operation_id}" in err
    return operation_id


def test_a_cancelled_training_keeps_its_metrics(system: System, cancelled: str) -> None:
    operation, results = system.ended(cancelled, "CANCELLED"), system.results(cancelled)
    page = system.metrics(cancelled)

    assert operation["completed_at"]
    assert 0 < operation["progress"]["percentage"] < 100
    assert results["status"] == "cancelled"
    assert results["final_metrics"]["total_epochs"] == len(page["metrics"]) == page["new_cursor"]
    assert 3 <= page["new_cursor"] < EPOCHS
    assert operation["metadata"]["final_epoch"] == page["new_cursor"]


def test_what_has_ended_cannot_be_cancelled(system: System, cancelled: str, uninterrupted: str) -> None:
    for operation_id, status in ((cancelled, "CANCELLED"), (uninterrupted, "COMPLETED")):
        refused = system.post(f"/operations/{operation_id}/cancel")

        problem = check_problem(refused, 409, "operation_terminal", operation_id, status)
        assert problem["operation_status"] == status
        check_refusal(system.ktrdr("operations", "cancel", operation_id), 2, status)
        assert system.operation(operation_id)["status"] == status


def test_what_completed_cannot_be_resumed(system: System, uninterrupted: str) -> None:
    check_problem(system.post(f"/operations/{uninterrupted}/resume"), 409, "conflict", uninterrupted, "COMPLETED")


@pytest.fixture(scope="module")
def resumed(system: System, cancelled: str) -> str:
    done = system.ktrdr("operations", "resume", cancelled, "--follow")
    assert done.code == 0, done.err
    return done.err.splitlines()[0].split()[-1]


def test_a_resumed_training_begins_with_its_parents_metrics(system: System, cancelled: str, resumed: str) -> None:
    before, after = ([_measured(m) for m in system.metrics(i)["metrics"]] for i in (cancelled, resumed))

    assert system.operation(resumed)["parent_id"] == cancelled
    assert after[: len(before)] == before  # durations too: these epochs were not computed again
    assert [metric["epoch"] for metric in after] == list(range(1, EPOCHS + 1))


def test_a_resumed_training_ends_as_if_it_had_never_been_interrupted(
    system: System, resumed: str, uninterrupted: str
) -> None:
    left, right = system.results(resumed), system.results(uninterrupted)

    assert Path(left["model_path"]).read_bytes() == Path(right["model_path"]).read_bytes()
    assert left["evaluation"] == right["evaluation"]
    assert left["final_metrics"]["best_val_loss"] == right["final_metrics"]["best_val_loss"]


@pytest.fixture(scope="module")
def before_the_queue(system: System, resumed: str) -> int:
    """A mark in the log."""
    system.ended(resumed)
    return system.mark()


@pytest.fixture(scope="module")
def queue(system: System, endless: Path, brief: Path, before_the_queue: int) -> list[str]:
    """One that runs, and three that wait for it."""
    running = system.train(endless)
    waiting = []
    for _ in range(3):
        done = system.ktrdr("models", "train", "--strategy", brief, "--symbols", "AAPL", "--timeframes", "1d")
        told = json.loads(done.out)
        assert (told["status"], done.code) == ("pending", 0)
        assert "queued" in done.err
        waiting.append(told["operation_id"])
    return [running, *waiting]


def test_what_is_queued_waits(system: System, queue: list[str]) -> None:
    running, *waiting = (system.operation(operation_id) for operation_id in queue)

    assert running["status"] == "RUNNING"
    for operation in waiting:
        assert (operation["status"], operation["started_at"]) == ("PENDING", None)
        assert operation["progress"]["percentage"] == 0.0
        assert system.metrics(operation["operation_id"]) == {"metrics": [], "new_cursor": 0}
    assert system.get("/health/ready").json()["workers"]["training"]["waiting"] == 3


@needs_linux
def test_what_is_queued_holds_no_file_open_and_the_server_may_open_as_many_as_the_system_allows(
    system: System, queue: list[str]
) -> None:
    server = psutil.Process(system.pid)

    held = {Path(file.path).parent.name for file in server.open_files()} & set(queue)

    assert held <= {queue[0]}
    soft, hard = server.rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard


def test_results_of_what_has_not_ended_are_refused(system: System, queue: list[str]) -> None:
    for operation_id, status in ((queue[0], "RUNNING"), (queue[1], "PENDING")):
        refused = system.get(f"/operations/{operation_id}/results")

        check_problem(refused, 409, "operation_not_terminal", operation_id, status)


def test_a_waiting_operation_is_cancelled_at_once(system: System, queue: list[str]) -> None:
    waiting = queue[1]

    done = system.ktrdr("operations", "cancel", waiting)

    assert done.code == 0
    assert f"Cancelled {waiting} at 0 %" in done.err
    assert system.operation(waiting)["status"] == "CANCELLED"
    results = system.results(waiting)
    assert (results["status"], results["metrics_recorded"]) == ("cancelled", 0)


def test_a_killed_worker_fails_its_operation_and_loses_no_metric(system: System, queue: list[str]) -> None:
    running = queue[0]
    system.wait_for_epochs(running, 3)
    before = system.metrics(running)["metrics"]

    system.worker_of(running).kill()

    failed, results = system.ended(running, "FAILED"), system.results(running)
    assert failed["error"]["code"] == "worker_died"
    assert "SIGKILL" in failed["error"]["detail"]
    assert results["status"] == "failed"
    assert results["error"] == failed["error"]
    assert system.metrics(running)["metrics"][: len(before)] == before
    shown = system.ktrdr("operations", "watch", running)
    assert shown.code == 1
    assert "SIGKILL" in shown.err


def test_those_that_wait_start_in_their_order(system: System, queue: list[str], before_the_queue: int) -> None:
    _, cancelled, first, last = queue

    assert system.ended(first)["completed_at"] <= system.ended(last)["started_at"]
    assert system.operation(cancelled)["status"] == "CANCELLED"
    assert len(system.lines(r"INFO Starting training: symbols=\['AAPL'\], epochs=2\b", before_the_queue)) == 2


def test_everything_is_served_after_a_restart(system: System, uninterrupted: str, cancelled: str) -> None:
    paths = ["/operations?limit=1000", "/models", "/data"]
    for operation_id in (uninterrupted, cancelled):
        paths += [f"/operations/{operation_id}{part}" for part in ("", "/metrics", "/metrics?cursor=2", "/results")]
    paths += [f"/operations/{uninterrupted}/artifacts/{name}" for name in ("metrics_plot", "model_summary")]
    before = [(path, system.get(path).content) for path in paths]

    system.stop()
    system.start()

    assert [(path, system.get(path).content) for path in paths] == before


def test_a_worker_outlives_its_server_and_is_found_again(system: System, steady: Path) -> None:
    operation_id = system.train(steady)
    system.wait_for_epochs(operation_id, 2)
    worker = system.worker_of(operation_id)

    for end in (system.stop, system.kill):
        seen = system.mark()
        worker.suspend()  # so that it cannot end while there is no server
        end()
        system.start()
        assert system.lines(rf"INFO Found operation {operation_id} running \(pid {worker.pid}\)", seen)
        assert system.operation(operation_id)["status"] == "RUNNING"
        assert system.metrics(operation_id)["new_cursor"] >= 2
        worker.resume()

    completed = system.ended(operation_id)
    assert completed["metadata"]["final_epoch"] == EPOCHS
    assert [m["epoch"] for m in system.metrics(operation_id)["metrics"]] == list(range(1, EPOCHS + 1))


def test_the_outcome_of_a_worker_that_ended_without_a_server_is_taken_up(system: System, brief: Path) -> None:
    operation_id = system.train(brief)
    worker = system.worker_of(operation_id)
    worker.suspend()
    before = system.operation(operation_id)["status"]
    system.kill()
    worker.resume()
    assert gone([worker])

    system.start()

    assert before == "RUNNING"
    assert system.operation(operation_id)["status"] == "COMPLETED"
    assert system.metrics(operation_id)["new_cursor"] == 2


@pytest.mark.parametrize(("start", "processes"), [pytest.param("fork", 1, marks=needs_linux), ("spawn", 2)])
def test_standby_workers_end_with_a_killed_server(tmp_path: Path, start: str, processes: int) -> None:
    """A template, or a worker for trainings and one for data."""
    system = System(tmp_path, KTRDR_WORKER_START=start)
    try:
        system.start()
        until(lambda: len(system.standby()) == processes)
        idle = system.standby()
        system.kill()
        assert gone(idle)
    finally:
        system.close()


def test_a_training_over_several_symbols(system: System, brief: Path, tmp_path: Path) -> None:
    for symbol in ("MSFT", "QQQ"):
        path = csv_of(one_source, f"{symbol}_1d", tmp_path)
        imported = system.ktrdr("data", "import", path, symbol, "1d")
        assert imported.code == 0, imported.err
        assert re.search(r"provider +csv", imported.out)

    symbols = ("--symbols", "MSFT,QQQ", "--symbols", "AAPL")
    done = system.ktrdr("models", "train", "--strategy", brief, *symbols, "--timeframes", "1d", "--follow", "--json")

    assert done.code == 0, done.err
    results: dict[str, Any] = json.loads(done.out)
    assert system.operation(results["operation_id"])["metadata"]["symbols"] == ["MSFT", "QQQ", "AAPL"]
    assert list(_card(results)["data_sha256"]) == ["MSFT", "QQQ", "AAPL"]
    summary = Path(results["artifacts"]["model_summary"]).read_text(encoding="utf-8")
    assert all(symbol in summary for symbol in ("MSFT", "QQQ", "AAPL"))
    assert sum(map(sum, results["evaluation"]["confusion"])) == results["evaluation"]["validation_samples"]


def test_nothing_is_left_unfinished(system: System, resumed: str) -> None:
    assert resumed
    assert {operation["status"] for operation in system.operations()} <= TERMINAL


def _measured(metric: dict[str, Any]) -> dict[str, Any]:
    """All but the instant at which it was reported."""
    return {name: value for name, value in metric.items() if name != "timestamp"}


def _card(results: dict[str, Any]) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(Path(results["artifacts"]["model_card"]).read_text(encoding="utf-8"))
    return card
