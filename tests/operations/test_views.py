"""What the service holds in memory, and in which order operations were created."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ktrdr.operations import views
from ktrdr.operations.silence import SilenceWatch
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.views import Views
from tests.contracts.test_operation_stores import operation

HOUR = timedelta(hours=1)


class Clock:
    """A wall clock that somebody sets."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self, _: object) -> datetime:
        return self.instant


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(datetime(2026, 11, 28, 12, tzinfo=UTC))
    monkeypatch.setattr(views, "datetime", clock)
    return clock


def test_a_clock_that_is_set_back_does_not_reverse_the_order_of_what_waits(clock: Clock) -> None:
    held = Views()
    first = replace(operation("first"), created_at=held.next_creation())
    held.put(first)
    clock.instant -= HOUR

    assert held.next_creation() > first.created_at


def test_once_nothing_waits_the_clock_is_believed_again(clock: Clock) -> None:
    held = Views()
    waiting = replace(operation("first"), created_at=held.next_creation())
    held.put(waiting)
    clock.instant -= HOUR
    held.put(replace(waiting, status=OperationStatus.CANCELLED))

    assert held.next_creation() == clock.instant


def test_everything_unfinished_is_held_and_of_the_ended_the_latest() -> None:
    held = Views(max_ended=2)
    for number in range(10):
        held.put(operation(f"waiting_{number}"))
        held.put(replace(operation(f"ended_{number}"), status=OperationStatus.COMPLETED))

    assert len(held.unfinished) == 10
    assert [number for number in range(10) if held.get(f"op_ended_{number}")] == [8, 9]


def test_silence_is_measured_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch = SilenceWatch()
    early, late = {"updated_at": "2026-11-28T12:00:00Z"}, {"updated_at": "2020-01-01T00:00:00Z"}

    assert watch.observe("op", early) == 0.0
    now = 130.0
    assert watch.observe("op", early) == 30.0
    assert watch.observe("op", late) == 0.0, "an instant of the past is news too"
    now = 131.0
    assert watch.observe("op", late) == 1.0
    watch.forget("op")
    assert watch.observe("op", late) == 0.0
