"""Scenario 6: a cursor returns what is new, once."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from tests.e2e.conftest import Watched
from tests.e2e.system import System, check_problem, needs_shell


def test_the_cursor_only_grows(watched: Watched) -> None:
    cursors = [page["new_cursor"] for page in watched.pages]

    assert cursors == sorted(cursors)
    assert cursors[0] >= 5
    assert cursors[-1] > cursors[0]


def test_each_page_begins_where_the_one_before_ended(watched: Watched) -> None:
    for before, now in pairwise(watched.pages):
        assert len(now["metrics"]) == now["new_cursor"] - before["new_cursor"]
        if now["metrics"]:
            assert now["metrics"][0]["epoch"] == before["new_cursor"] + 1


def test_the_same_cursor_returns_the_same_metrics(backend: System, watched: Watched) -> None:
    first = backend.metrics(watched.operation_id, cursor=5)

    assert backend.metrics(watched.operation_id, cursor=5) == first
    assert first["metrics"][0]["epoch"] == 6


def test_what_was_read_during_the_training_is_what_is_kept(backend: System, watched: Watched) -> None:
    kept = backend.metrics(watched.operation_id)["metrics"]

    cursor = 0
    for page in watched.pages:
        assert page["metrics"] == kept[cursor : page["new_cursor"]]
        cursor = page["new_cursor"]


def test_the_last_epoch_alone_is_one_metric(backend: System, completed: dict[str, Any]) -> None:
    last = backend.metrics(completed["operation_id"], cursor=9)["metrics"]

    assert [metric["epoch"] for metric in last] == [10]


def test_a_cursor_past_the_end_says_which_are_valid(backend: System, completed: dict[str, Any]) -> None:
    path = f"/operations/{completed['operation_id']}/metrics"

    problem = check_problem(backend.get(path, cursor=11), 422, "invalid_cursor", "within 0 and 10", "11")

    assert problem["valid_range"] == [0, 10]


@needs_shell
def test_the_cursor_script_passes(watched: Watched) -> None:
    said = watched.cursor_script
    first, first_cursor = map(int, re.findall(r"Received (\d+) metrics, new cursor: (\d+)", said)[0])
    newer, newer_cursor = map(int, re.findall(r"Received (\d+) new metrics, new cursor: (\d+)", said)[0])

    assert first == first_cursor >= 5
    assert newer_cursor == first_cursor + newer
    assert "✅ PASS: No duplicates" in said


@needs_shell
def test_the_guides_count_is_one(backend: System, completed: dict[str, Any]) -> None:
    url = f"http://localhost:8000/api/v1/operations/{completed['operation_id']}/metrics?cursor=9"

    assert backend.bash(f"curl -s \"{url}\" | jq '.metrics | length'").strip() == "1"
