"""`ktrdr search` shows trials, the winner and the verdict; what it starts, resumes and cancels are operations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr.payloads.search import Objective, ParameterImportance, SearchResults, SearchWinner, TrialResult
from ktrdr.payloads.training import Spread
from tests.cli.conftest import operation, started

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import FakeServer, Run

SEARCH = "op_search_20261124_abc123"
WINNER = "op_training_20261124_def456"


def trial(number: int, score: float | None, **changes: Any) -> TrialResult:
    fields = {
        "trial": number,
        "operation_id": f"op_trial_20261124_00000{number}",
        "status": "completed",
        "parameters": {
            "training.learning_rate": 0.00123456,
            "model.layers": number,
            "labels.quantiles": None,
        },
        "score": score,
        "epochs": 3,
    }
    return TrialResult.model_validate(fields | changes)


def search_results(**changes: Any) -> dict[str, Any]:
    trials = (
        trial(0, 0.69),
        trial(1, 0.65, rung=2, epochs=9),
        trial(2, None, status="failed", reason="the loss is no longer a finite number", epochs=0),
        trial(3, 0.68, rung=2, epochs=9),
    )
    results = SearchResults(
        objective=Objective.VAL_LOSS,
        trials=trials,
        best_so_far=(0.69, 0.65, 0.65, 0.65),
        winner=SearchWinner(trial=1, operation_id=WINNER, score=0.65, identical=True),
        spread=Spread(mean=0.673, std=0.02, min=0.65, max=0.69),
        importance=(ParameterImportance(parameter="model.layers", importance=0.4, standard_error=0.1),),
        epochs_trained=21,
        verdict="Trial 1 is the best of 3 trials.",
        **changes,
    )
    return results.model_dump(mode="json")


def a_search(server: FakeServer, status: str = "COMPLETED", results: dict[str, Any] | None = None) -> None:
    found = operation(status, operation_id=SEARCH, operation_type="SEARCH")
    server.on("GET", f"/operations/{SEARCH}", found)
    server.on("GET", f"/operations/{SEARCH}/results", results or search_results())


def test_start_sends_the_strategy_with_its_ranges(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/search", started(operation_id=SEARCH, message="Search started"))
    arguments = ("--symbols", "AAPL,MSFT", "--timeframes", "1d", "--set", "search.trials=9")

    ran = ktrdr("search", "start", str(strategy), *arguments)

    assert (ran.code, ran.err) == (0, f"Search started. Operation ID: {SEARCH}\n")
    assert server.asked[0].json == {
        "strategy": strategy.read_text(),
        "strategy_name": "test_e2e",
        "symbols": ["AAPL", "MSFT"],
        "timeframes": ["1d"],
        "set": {"search.trials": 9},
    }


def test_show_ranks_trials_and_says_what_the_winner_is_worth(server: FakeServer, ktrdr: Run) -> None:
    a_search(server)

    ran = ktrdr("search", "show", SEARCH)

    lines = ran.out.splitlines()
    assert lines[0] == "4 trials, by val_loss"
    assert [line.split()[:6] for line in lines[2:5]] == [
        ["1", "1", "0.6500", "2", "9", "completed"],
        ["2", "3", "0.6800", "2", "9", "completed"],
        ["3", "0", "0.6900", "1", "3", "completed"],
    ]
    assert "learning_rate 0.001235, layers 1, quantiles null" in lines[2]
    assert lines[5].split(maxsplit=6) == ["-", "2", "-", "1", "0", "failed", "the loss is no longer a finite number"]
    assert f"model   {WINNER}, the same bits as its trial" in ran.out
    assert ["model.layers", "0.40", "±", "0.10"] in [line.split() for line in lines]
    assert ran.err == "note: Trial 1 is the best of 3 trials.\n"
    assert ktrdr("search", "show", SEARCH, "--json").json["winner"]["operation_id"] == WINNER


def test_last_is_the_newest_search_and_not_one_of_its_trials(server: FakeServer, ktrdr: Run) -> None:
    a_search(server)
    newest = operation("COMPLETED", operation_id=SEARCH, operation_type="SEARCH")
    server.on("GET", "/operations", {"operations": [newest], "total": 1})

    assert ktrdr("search", "show", "last", "--json").json["operation_id"] == SEARCH
    assert server.asked[0].query == {"type": "SEARCH", "limit": "1"}


def test_show_cuts_a_long_table_and_all_does_not(server: FakeServer, ktrdr: Run) -> None:
    many = search_results()
    many["trials"] = [trial(number, 0.5 + number / 100).model_dump(mode="json") for number in range(30)]
    a_search(server, results=many)

    assert ktrdr("search", "show", SEARCH).out.startswith("30 trials, by val_loss; 10 are shown\n")
    assert len(ktrdr("search", "show", SEARCH, "--all").out.splitlines()) == 20 + len(
        ktrdr("search", "show", SEARCH).out.splitlines()
    )


def test_names_that_sections_share_stay_whole(server: FakeServer, ktrdr: Run) -> None:
    periods = {"indicators[0].period": 5, "indicators[1].period": 9, "model.layers": 1}
    results = search_results()
    results["trials"] = [trial(0, 0.5, parameters=periods).model_dump(mode="json")]
    a_search(server, results=results)

    assert "indicators[0].period 5, indicators[1].period 9, layers 1" in ktrdr("search", "show", SEARCH).out


def test_a_table_fits_eighty_columns(server: FakeServer, ktrdr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    a_search(server)
    monkeypatch.setattr("ktrdr.cli.output.PIPE_WIDTH", 80)

    lines = ktrdr("search", "show", SEARCH).out.splitlines()

    assert max(map(len, lines)) <= 80
    assert sum("completed" in line for line in lines) == 3


def test_best_is_a_strategy_that_can_be_trained(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    a_search(server)
    text = "name: x\nmodel: {type: mlp}\n"
    server.on("GET", f"/operations/{WINNER}/strategy", text.encode())

    ran = ktrdr("search", "best", SEARCH, "-o", str(tmp_path / "best.yaml"))

    assert ran.out == text
    assert ran.err.splitlines()[0] == f"Trial 1 of {SEARCH}, 0.65. Model: {WINNER}"
    assert (tmp_path / "best.yaml").read_text() == text
    assert "cannot be written" in ktrdr("search", "best", SEARCH, "-o", str(tmp_path)).err
    as_json = ktrdr("search", "best", SEARCH, "--json").json
    assert (as_json["operation_id"], as_json["strategy"]) == (WINNER, text)


def test_a_search_without_a_winner_has_no_best(server: FakeServer, ktrdr: Run) -> None:
    ended = {"kind": "unfinished_search", "status": "cancelled", "objective": "val_loss", "trials": []}
    a_search(server, "CANCELLED", ended | {"trials": [trial(0, 0.69).model_dump(mode="json")]})

    refused = ktrdr("search", "best", SEARCH)
    shown = ktrdr("search", "show", SEARCH)

    assert refused.code == 2
    assert f"search {SEARCH} has no winner; it is CANCELLED" in refused.err
    assert f"ktrdr search resume {SEARCH}" in refused.err
    assert shown.out.startswith("1 trial, by val_loss\n")


def test_a_running_search_shows_what_was_chosen_for_the_trials_that_have_ended(server: FakeServer, ktrdr: Run) -> None:
    running = operation("RUNNING", operation_id=SEARCH, operation_type="SEARCH", metadata={"objective": "val_loss"})
    server.on("GET", f"/operations/{SEARCH}", running)
    row = {"trial": 0, "rung": 1, "score": 0.7, "best_score": 0.7, "epochs": 3}
    rows = [row, row | {"trial": 1, "score": 0.6, "best_score": 0.6}, row | {"trial": 0, "rung": 2, "score": 0.5}]
    server.on("GET", f"/operations/{SEARCH}/metrics", {"metrics": rows, "new_cursor": 3})
    parts = [
        operation(
            "COMPLETED",
            operation_id=f"op_trial_20230630_{number:06}",
            operation_type="TRIAL",
            metadata={"trial": number % 2, "parameters": {"model.layers": number}},
        )
        for number in (3, 2, 1, 0)
    ]
    server.on("GET", "/operations", {"operations": parts, "total": 4})

    lines = ktrdr("search", "show", SEARCH).out.splitlines()

    assert lines[0] == "2 trials, by val_loss"
    assert [line.split() for line in lines[2:4]] == [
        ["1", "0", "0.5000", "2", "3", "completed", "layers", "2"],
        ["2", "1", "0.6000", "1", "3", "completed", "layers", "3"],
    ]
    assert ["status", "RUNNING"] in [line.split() for line in lines]


def test_another_operation_is_no_search(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"/operations/{WINNER}", operation("COMPLETED", operation_id=WINNER))

    for command in ("show", "watch", "best", "resume", "cancel"):
        ran = ktrdr("search", command, WINNER)
        assert ran.code == 2
        assert f"operation {WINNER} is no search but a TRAINING" in ran.err


def test_last_is_the_last_search(server: FakeServer, ktrdr: Run) -> None:
    a_search(server)
    found = operation("COMPLETED", operation_id=SEARCH, operation_type="SEARCH")
    server.on("GET", "/operations", {"operations": [found], "total": 1})

    assert ktrdr("search", "show", "last").out == ktrdr("search", "show", SEARCH).out
    assert server.asked[0].query == {"type": "SEARCH", "limit": "1"}


def test_cancel_and_resume_go_to_the_operation(server: FakeServer, ktrdr: Run) -> None:
    a_search(server, "CANCELLED")
    cancelled = operation("CANCELLED", operation_id=SEARCH, operation_type="SEARCH")
    server.on("POST", f"/operations/{SEARCH}/cancel", cancelled)
    server.on("POST", f"/operations/{SEARCH}/resume", started(message="Search started"))

    assert "Cancelled" in ktrdr("search", "cancel", SEARCH).err
    assert ktrdr("search", "resume", SEARCH).code == 0
    assert server.paths("POST") == [f"/operations/{SEARCH}/cancel", f"/operations/{SEARCH}/resume"]
