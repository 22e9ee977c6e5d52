"""Scenario 5: the bridge is registered before the training starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.system import LOG_LINE, System, needs_shell


@dataclass(frozen=True, slots=True)
class Registration:
    operation_id: str
    first_poll: dict[str, Any]
    after_registration: str
    lines: list[str]


@pytest.fixture(scope="module")
def registration(backend: System) -> Registration:
    """A training over all stored bars, with nobody else speaking to the server."""
    backend.wait_warm()
    seen = backend.mark()
    operation_id = backend.train()
    first_poll = backend.operation(operation_id)
    lines = backend.lines("", seen)
    backend.ended(operation_id)
    return Registration(operation_id, first_poll, _grep_a_5("Registered local bridge", lines), lines)


def test_registration_is_logged_with_the_operations_id(registration: Registration) -> None:
    lines = registration.after_registration.splitlines()

    assert re.search(f"INFO Registered local bridge for operation {registration.operation_id}", lines[0])
    assert all(LOG_LINE.fullmatch(line) for line in lines)


def test_the_log_tells_the_order(registration: Registration) -> None:
    text = "\n".join(registration.lines)
    expected = (
        f"INFO Created operation {registration.operation_id} (type=TRAINING)",
        f"INFO Registered local bridge for operation {registration.operation_id}",
        "DEBUG Bridge registered, starting training worker",
        "INFO Starting training: symbols=['AAPL'], epochs=10",
    )

    places = [text.find(line) for line in expected]

    assert -1 not in places
    assert all(before < now for before, now in pairwise(places))


def test_all_of_it_stands_in_the_five_lines_after_registration(registration: Registration) -> None:
    assert "DEBUG Bridge registered, starting training worker" in registration.after_registration
    assert "INFO Starting training: symbols=['AAPL'], epochs=10" in registration.after_registration


def test_the_internal_state_is_logged(registration: Registration) -> None:
    text = "\n".join(registration.lines)

    assert f"DEBUG _local_bridges contains {registration.operation_id}" in text
    assert re.search(rf"DEBUG _local_bridges\[{registration.operation_id}\] = <\w*ProgressBridge>", text)
    assert f"DEBUG _metrics_cursors[{registration.operation_id}] = 0" in text


def test_the_worker_reports_only_after_registration(backend: System, registration: Registration) -> None:
    log = backend.log()
    registered = log.find(f"Registered local bridge for operation {registration.operation_id}")
    reported = [log.find(line) for line in backend.lines(rf"on_epoch.*\[{registration.operation_id}\]")]

    assert len(reported) == 10
    assert registered < min(reported)


def test_the_first_poll_shows_progress(registration: Registration) -> None:
    assert registration.first_poll["progress"]
    assert registration.first_poll["progress"]["message"]


@needs_shell
def test_the_log_is_searched_as_the_guide_does(backend: System, registration: Registration) -> None:
    found = backend.bash('docker logs ktrdr-backend | grep -A 5 "Registered local bridge"')

    assert registration.after_registration in found


def _grep_a_5(pattern: str, lines: list[str]) -> str:
    first = next(number for number, line in enumerate(lines) if pattern in line)
    return "\n".join(lines[first : first + 6])
