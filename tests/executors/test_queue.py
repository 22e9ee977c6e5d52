from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr.executors.executor import Job
from ktrdr.executors.queue import JobQueue


@pytest.fixture
def queue() -> JobQueue:
    queue = JobQueue()
    for name in "abc":
        queue.append(Job(name, "lane", Path(name)))
    return queue


def places(queue: JobQueue) -> list[int | None]:
    return [queue.place(name) for name in "abc"]


def test_places_follow_every_change(queue: JobQueue) -> None:
    assert places(queue) == [1, 2, 3]

    assert queue.remove("b")
    assert places(queue) == [1, None, 2]
    first = queue.pop_first()
    assert places(queue) == [None, None, 1]
    queue.put_first(first)
    assert places(queue) == [1, None, 2]

    assert not queue.remove("b")
    assert (queue.ids(), len(queue)) == (["a", "c"], 2)


def test_an_empty_queue_has_no_first_job() -> None:
    with pytest.raises(KeyError):
        JobQueue().pop_first()
