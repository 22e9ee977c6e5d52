from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ktrdr.executors.executor import Job
from ktrdr.executors.queue import JobQueue


@pytest.fixture
def queue() -> JobQueue:
    queue = JobQueue()
    for name in "abc":
        queue.add(Job(name, "lane", Path(name)))
    return queue


def places(queue: JobQueue) -> list[int | None]:
    return [queue.place(name) for name in "abc"]


def test_places_follow_every_change(queue: JobQueue) -> None:
    assert places(queue) == [1, 2, 3]

    assert queue.remove("b")
    assert places(queue) == [1, None, 2]
    first = queue.pop_first()
    assert places(queue) == [None, None, 1]
    queue.put_back(first)
    assert places(queue) == [1, None, 2]

    assert not queue.remove("b")
    assert (queue.ids(), len(queue)) == (["a", "c"], 2)


def test_an_operation_that_was_created_earlier_is_first_however_late_it_is_submitted() -> None:
    queue = JobQueue()
    for name, minute in (("b", 2), ("c", 3), ("a", 1)):
        queue.add(Job(name, "lane", Path(name), datetime(2025, 1, 1, 0, minute, tzinfo=UTC)))

    assert queue.ids() == ["a", "b", "c"]


def test_an_empty_queue_has_no_first_job() -> None:
    with pytest.raises(IndexError):
        JobQueue().pop_first()
