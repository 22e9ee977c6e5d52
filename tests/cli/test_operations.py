from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import TRAINING, operation, problem, started
from tests.cli.conftest import epochs as page

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

PATH = f"/operations/{TRAINING}"


def test_list_sends_its_filters_and_says_when_there_is_more(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/operations", {"operations": [operation("RUNNING", 1)], "total": 7, "next_page_token": "x"})

    ran = ktrdr("operations", "list", "--status", "running", "--type", "training", "--parent", "op_x", "--limit", "1")

    assert server.asked[0].query == {"status": "RUNNING", "type": "TRAINING", "parent": "op_x", "limit": "1"}
    assert ran.out.splitlines()[1].split()[:4] == [TRAINING, "RUNNING", "25", "%"]
    assert "1 of 7" in ran.err


def test_a_silent_operation_is_shown_as_stalled(server: FakeServer, ktrdr: Run) -> None:
    silent = operation("RUNNING", 1)
    silent["progress"] |= {"stalled": True, "silent_s": 301.0}
    server.on("GET", "/operations", {"operations": [silent], "total": 1, "next_page_token": None})
    server.on("GET", PATH, silent)

    assert "RUNNING (stalled)" in ktrdr("operations", "list").out
    assert "RUNNING (stalled)" in ktrdr("operations", "show", TRAINING).out


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_watching_takes_the_exit_code_of_the_operation(server: FakeServer, ktrdr: Run, status: str) -> None:
    error = {"code": "worker_died", "detail": "the worker ended", "hint": "resume it"} if status == "FAILED" else None
    server.on("GET", PATH, operation(status, 2, error=error))
    server.on("GET", f"{PATH}/metrics", page(1, 2))
    server.on("GET", f"{PATH}/results", {"status": status.lower(), "error": error})

    ran = ktrdr("operations", "watch", TRAINING, "--json")

    assert ran.code == 1
    assert ran.json["status"] == status.lower()
    last = ran.err.splitlines()[-1]
    if error:
        assert json.loads(last)["error"] == {**error, "context": {}}
    else:
        assert last == f"{TRAINING} cancelled"


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


def pruned(**changes: Any) -> dict[str, Any]:
    gone = {
        "operation_id": TRAINING,
        "operation_type": "TRAINING",
        "status": "COMPLETED",
        "completed_at": "2023-06-30T10:00:05Z",
        "size_bytes": 2_500_000,
        "has_model": True,
    }
    return {"dry_run": False, "operations": [gone], "size_bytes": 2_500_000, "kept": 3, "leftovers": [], **changes}


@pytest.mark.parametrize(("age", "days"), [("30d", 30.0), ("2w", 14.0), ("12h", 0.5), ("0d", 0.0)])
def test_prune_sends_an_age_in_days(server: FakeServer, ktrdr: Run, age: str, days: float) -> None:
    server.on("POST", "/operations/prune", pruned())

    ran = ktrdr("operations", "prune", "--older-than", age, "--keep-best", "2")

    sent = {name: value for name, value in server.asked[0].json.items() if value}
    assert sent == {"older_than_days": days, "keep_best": 2} if days else {"keep_best": 2}
    assert ran.out.splitlines()[1].split() == [TRAINING, "COMPLETED", "2023-06-30", "2.5", "MB"]
    assert ran.err == "Removed 1 operation with 1 model (2.5 MB); 3 stay\n"


def test_a_dry_run_of_prune_is_told_as_one(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/operations/prune", pruned(dry_run=True))

    ran = ktrdr("operations", "prune", "--older-than", "30d", "--dry-run", "--json")

    assert server.asked[0].json["dry_run"] is True
    assert ran.json["operations"][0]["operation_id"] == TRAINING
    assert ran.err == "Would remove 1 operation with 1 model (2.5 MB); 3 stay\n"


def test_prune_sends_its_filters(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/operations/prune", pruned())

    ktrdr("operations", "prune", "--status", "failed", "--type", "training", "--name", "s", "--keep-last", "3")

    sent = {name: value for name, value in server.asked[0].json.items() if value}
    assert sent == {"status": "FAILED", "type": "TRAINING", "strategy": "s", "keep_last": 3}


def test_rm_removes_what_is_named(server: FakeServer, ktrdr: Run) -> None:
    server.on("DELETE", "/operations", pruned())

    ran = ktrdr("operations", "rm", TRAINING, "op_2", "--yes")

    assert server.asked[0].query == {"id": "op_2", "dry_run": "false"}  # the last of both ids
    assert ran.err == "Removed 1 operation with 1 model (2.5 MB); 3 stay\n"


def test_rm_asks_and_without_a_terminal_refuses(server: FakeServer, ktrdr: Run) -> None:
    server.on("DELETE", "/operations", pruned(dry_run=True))

    ran = ktrdr("operations", "rm", TRAINING)

    assert (ran.code, len(server.asked)) == (2, 1)
    assert "Remove 1 operation with 1 model (2.5 MB)?" in ran.err
    assert "--yes" in ran.err


def test_a_question_on_a_terminal_can_be_denied(
    server: FakeServer, ktrdr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("POST", "/operations/prune", pruned(dry_run=True))
    monkeypatch.setattr("ktrdr.cli.operations.is_terminal", lambda: True)
    monkeypatch.setattr("ktrdr.cli.confirm.is_terminal", lambda: True)

    ran = ktrdr("operations", "prune", "--keep-last", "3")  # standard input is empty

    assert (ran.code, len(server.asked)) == (1, 1)


@pytest.mark.parametrize(
    "arguments", [[], ["--keep-best", "2"], ["--older-than", "30"], ["--older-than", "-1d"], ["--older-than", "d"]]
)
def test_prune_asks_what_is_to_go(server: FakeServer, ktrdr: Run, arguments: list[str]) -> None:
    ran = ktrdr("operations", "prune", *arguments)

    assert (ran.code, server.asked) == (2, [])
    assert ran.err
