"""Scenario 2: progress grows while a training runs, because clients pull it."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

from tests.e2e.conftest import Watched
from tests.e2e.system import LOG_STAMP, System, needs_shell


def running(watched: Watched) -> list[dict[str, Any]]:
    """What was seen from the first epoch to the end of the last."""
    progress = [view["progress"] for view in watched.views if view["status"] == "RUNNING"]
    return [each for each in progress if each["current_step"] and each["message"].startswith("Epoch ")]


def distinct(progress: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [now for before, now in pairwise([{}, *progress]) if now != before]


def test_percentage_epoch_and_items_grow_while_it_runs(watched: Watched) -> None:
    seen = distinct(running(watched))

    assert len(seen) >= 3, "the training was too short to be watched"
    for before, now in pairwise(seen):
        assert now["percentage"] > before["percentage"]
        assert now["items_processed"] > before["items_processed"]
        assert now["epoch_index"] >= before["epoch_index"]
    assert seen[-1]["epoch_index"] > seen[0]["epoch_index"]
    assert 0 < seen[0]["percentage"] < seen[-1]["percentage"] < 100


def test_the_message_shows_the_current_epoch(watched: Watched) -> None:
    training = running(watched)

    assert training
    for progress in training:
        assert progress["message"] == f"Epoch {progress['epoch_index']}/{progress['total_epochs']}"
        assert progress["current_step"] == progress["epoch_index"]


def test_percentage_counts_finished_epochs_and_the_share_of_the_running_one(watched: Watched) -> None:
    for progress in running(watched):
        finished, total = progress["percentage"] / 100, progress["total_epochs"]
        assert progress["epoch_index"] - 1 <= finished * total + 0.01 * total
        assert finished * total <= progress["epoch_index"] + 0.01 * total


def test_a_view_is_at_most_one_cache_lifetime_behind_the_worker(backend: System, watched: Watched) -> None:
    """Ages are what the server measured, so that no clock of this test is needed."""
    hits = backend.lines(f"Cache hit for operation {watched.operation_id} ")
    misses = backend.lines(f"Cache miss for operation {watched.operation_id} .*age=")

    assert hits
    assert misses
    assert max(map(_age, hits)) < 1.0
    assert min(map(_age, misses)) >= 1.0


def test_the_cache_and_its_refreshes_are_logged(backend: System, watched: Watched) -> None:
    of_it = f"operation {watched.operation_id}"

    assert backend.lines(rf"^{LOG_STAMP} DEBUG Cache hit for {of_it} \(age=\d+\.\ds\)")
    assert backend.lines(rf"^{LOG_STAMP} DEBUG Cache miss for {of_it} \(age=\d+\.\ds\) - refreshing")
    refreshed = backend.lines(rf"^{LOG_STAMP} DEBUG Refreshed {of_it} from bridge \(cursor \d+ → \d+\)")
    cursors = [tuple(map(int, re.findall(r"(\d+) → (\d+)", line)[0])) for line in refreshed]
    assert cursors[0][0] == 0
    assert all(before[1] == now[0] for before, now in pairwise(cursors))
    assert cursors[-1][1] == len(backend.metrics(watched.operation_id)["metrics"])


def test_each_miss_is_followed_by_a_refresh(backend: System, watched: Watched) -> None:
    lines = backend.lines(f"(Cache miss for|Refreshed) operation {watched.operation_id} ")
    kinds = ["miss" if "Cache miss" in line else "refresh" for line in lines]

    assert all(now == "refresh" for before, now in pairwise(kinds) if before == "miss")


def test_there_is_no_event_loop_error(backend: System, watched: Watched) -> None:
    assert watched.views
    assert backend.lines("(?i)no running event loop") == []


@needs_shell
def test_the_polling_script_shows_growing_progress(watched: Watched) -> None:
    polls = [json.loads(text) for text in re.split(r"=== Poll \d ===", watched.polling_script)[1:]]
    percentages = [poll["percentage"] for poll in polls]

    assert len(polls) == 6
    assert percentages == sorted(percentages)
    assert percentages[0] < percentages[-1]


@needs_shell
def test_the_log_is_searched_as_the_guide_does(backend: System, watched: Watched) -> None:
    assert watched.operation_id in backend.bash('docker logs ktrdr-backend | grep "Refreshed operation"')
    assert backend.bash('docker logs ktrdr-backend | grep "no running event loop"') == ""


def _age(line: str) -> float:
    return float(re.findall(r"age=(\d+\.\d)s", line)[0])
