"""`ktrdr runs`: what is asked of the server, and the table that a terminal has room for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import FakeServer, Run
from tests.cli.test_escapes import STYLES, on_a_terminal

ONE, OTHER = "op_training_20261129_k3x9ab", "op_training_20261129_p2c8de"


def column(name: str, title: str = "", is_number: bool = True) -> dict[str, Any]:
    return {"name": name, "title": title or name, "is_number": is_number}


TABLE = {
    "columns": [
        column("id", is_number=False),
        column("name", is_number=False),
        column("lead"),
        column("training.learning_rate", "learning rate"),
        column("description", "d" * 60, is_number=False),
        column("accuracy"),
        column("tags", is_number=False),
    ],
    "rows": [
        {"operation_id": ONE, "values": [ONE, "slow", 0.0123, 0.01, "x", 0.54, ["baseline"]]},
        {"operation_id": OTHER, "values": [OTHER, "quick", None, 1e-05, "y", None, []]},
    ],
    "total": 312,
    "names": ["id", "name", "lead"],
}
RUN = {
    "operation_id": ONE,
    "name": "slow",
    "strategy": "Slow",
    "kind": "training",
    "status": "COMPLETED",
    "created_at": "2026-11-29T01:02:03Z",
    "symbols": ["AAPL"],
    "timeframes": ["1d"],
    "tags": ["baseline"],
    "note": "a note",
}


def test_conditions_and_order_are_the_servers_business(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/runs", TABLE)

    ran = ktrdr("runs", "rsi", "--where", "training.learning_rate<0.01", "--sort", "-lead", "--limit", "2", "--json")

    assert ran.json["total"] == 312
    asked = {"q": "rsi", "where": "training.learning_rate<0.01", "sort": "-lead", "limit": "2"}
    assert server.asked[0].query == asked
    assert ran.err == "2 of 312 runs; see more with --limit\n"


def test_a_terminal_shows_the_columns_that_fit_and_names_the_others(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET", "/runs", TABLE)
    monkeypatch.setenv("COLUMNS", "80")

    lines = STYLES.sub("", on_a_terminal(["runs"])).splitlines()

    assert [line.split() for line in lines[:3]] == [
        ["id", "name", "lead", "learning", "rate", "accuracy", "tags"],
        ["k3x9ab", "slow", "+0.0123", "0.01", "54.0%", "baseline"],
        ["p2c8de", "quick", "-", "1e-05", "-", "-"],
    ]
    assert max(map(len, lines[:3])) <= 80
    assert "Without description" in lines[3]


def test_tags_and_notes_are_written_and_shown(server: FakeServer, ktrdr: Run) -> None:
    server.on("PATCH", "/runs", {"runs": [RUN]})

    tagged = ktrdr("runs", "tag", "k3x9ab", "last", "+baseline", "-highvol")
    noted = ktrdr("runs", "note", "k3x9ab", "a note")

    assert server.asked[0].json == {"operation_ids": ["k3x9ab", "last"], "add": ["baseline"], "remove": ["highvol"]}
    assert server.asked[1].json["note"] == "a note"
    assert (tagged.code, noted.code) == (0, 0)
    assert [ONE, "slow", "baseline", "a", "note"] in [line.split() for line in tagged.out.splitlines()]


def test_csv_is_passed_on_as_it_comes(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/runs", b"name,note\nslow,\n")

    assert ktrdr("runs", "--csv").out == "name,note\nslow,\n"
    assert server.asked[0].query == {"limit": "20", "format": "csv"}
