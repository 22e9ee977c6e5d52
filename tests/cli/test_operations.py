from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import TRAINING, operation, problem, started
from tests.cli.conftest import epochs as page

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

PATH = f"/operations/{TRAINING}"


def test_list_sends_its_filters_and_says_when_there_is_more(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/operations", {"operations": [operation("RUNNING", 1)], "total": 7, "next_page_token": "x"})

    ran = ktrdr("operations", "list", "--status", "running", "--type", "training", "--limit", "1")

    assert server.asked[0].query == {"status": "RUNNING", "type": "TRAINING", "limit": "1"}
    assert ran.out.splitlines()[1].split()[:4] == [TRAINING, "RUNNING", "25", "%"]
    assert "1 of 7" in ran.err


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_watching_takes_the_exit_code_of_the_operation(server: FakeServer, ktrdr: Run, status: str) -> None:
    error = {"code": "worker_died", "detail": "the worker ended", "hint": "resume it"} if status == "FAILED" else None
    server.on("GET", PATH, operation(status, 2, error=error))
    server.on("GET", f"{PATH}/metrics", page(1, 2))
    server.on("GET", f"{PATH}/results", {"status": status.lower(), "error": error})

    ran = ktrdr("operations", "watch", TRAINING, "--json")

    assert ran.code == 1
    assert ran.json["status"] == status.lower()
    ending = "error: the worker ended\nhint: resume it\n" if error else f"{TRAINING} cancelled\n"
    assert ran.err.endswith(ending)


def test_metrics_by_cursor(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"{PATH}/metrics", page(3, 4))

    ran = ktrdr("operations", "metrics", TRAINING, "--cursor", "2")

    assert server.asked[0].query == {"cursor": "2"}
    assert [line.split()[0] for line in ran.out.splitlines()] == ["epoch", "3", "4"]
    assert ran.err == "new cursor: 4\n"
    assert ktrdr("operations", "metrics", TRAINING, "--json").json == page(3, 4)


def test_results_of_a_running_operation_are_a_conflict(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"{PATH}/results", problem(409, "operation_not_terminal", "it still runs", "wait"))

    ran = ktrdr("operations", "results", TRAINING)

    assert (ran.code, ran.err) == (2, "error: it still runs\nhint: wait\n")


def test_cancel_waits_a_moment_and_says_how_to_go_on(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", f"{PATH}/cancel", operation("RUNNING", 2))
    server.on("GET", PATH, operation("CANCELLED", 2))

    ran = ktrdr("operations", "cancel", TRAINING)

    assert ran.code == 0
    assert server.asked[1].query == {"wait": "10.0"}
    assert f"ktrdr operations resume {TRAINING}" in ran.err


def test_resume_prints_the_new_operation(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", f"{PATH}/resume", started("op_training_20230701_def456", "Training resumed"))

    ran = ktrdr("operations", "resume", TRAINING)

    assert ran.err == "Training resumed. Operation ID: op_training_20230701_def456\n"
    assert ran.json["operation_id"] == "op_training_20230701_def456"


def test_show_tells_the_error_of_a_failed_operation(server: FakeServer, ktrdr: Run) -> None:
    error = {"code": "worker_died", "detail": "the worker ended", "hint": ""}
    server.on("GET", PATH, operation("FAILED", 2, error=error, parent_id="op_training_20230601_aaaaaa"))

    out = ktrdr("operations", "show", TRAINING).out

    assert "the worker ended" in out
    assert "op_training_20230601_aaaaaa" in out
