"""Scenario 6: a cursor returns what is new, once."""

from __future__ import annotations

import re
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import CURSOR_CASES, CursorScript, Watched
from tests.e2e.system import System, needs_shell
from tests.refusals import check_problem


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


def counts(printed: str) -> tuple[int, int, int, int, int]:
    """Metrics and cursor of the first query, of the second, and metrics of the third."""
    first = re.findall(r"Received (\d+) metrics, new cursor: (\d+)\n", printed)[0]
    second = re.findall(r"Received (\d+) new metrics, new cursor: (\d+)\n", printed)[0]
    (third,) = re.findall(r"Received (\d+) metrics\n", printed)
    return int(first[0]), int(first[1]), int(second[0]), int(second[1]), int(third)


@needs_shell
@pytest.mark.parametrize("case", CURSOR_CASES, ids="-".join)
def test_the_cursor_script_counts_each_metric_once(
    cursor_scripts: dict[tuple[str, str], Future[CursorScript]], case: tuple[str, str]
) -> None:
    first, first_cursor, newer, newer_cursor, _ = counts(cursor_scripts[case].result().printed)

    assert first == first_cursor >= 5
    assert newer > 0
    assert newer_cursor == first_cursor + newer


@needs_shell
@pytest.mark.parametrize("case", CURSOR_CASES, ids="-".join)
def test_the_cursor_script_passes_where_the_cache_outlasts_its_last_two_queries(
    cursor_scripts: dict[tuple[str, str], Future[CursorScript]], case: tuple[str, str]
) -> None:
    """A second does nearly always, unless the machine is busy; five always do; zero never does."""
    ttl_s, script = case[0], cursor_scripts[case].result()
    *_, newer, _, again = counts(script.printed)

    assert ttl_s == "1" or script.ends_with_a_hit == (ttl_s == "5")
    assert again == newer or (again > newer and not script.ends_with_a_hit)
    assert ("✅ PASS: No duplicates" in script.printed) == (again == newer)


def test_metrics_are_never_ahead_of_the_view(backend: System, watched: Watched) -> None:
    """Each page was read just before its view."""
    for page, view in zip(watched.pages, watched.views, strict=False):
        assert page["new_cursor"] <= view["progress"]["current_step"]


@needs_shell
def test_the_guides_count_is_one(backend: System, completed: dict[str, Any]) -> None:
    url = f"http://localhost:8000/api/v1/operations/{completed['operation_id']}/metrics?cursor=9"

    assert backend.bash(f"curl -s \"{url}\" | jq '.metrics | length'").strip() == "1"
