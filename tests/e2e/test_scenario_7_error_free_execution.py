"""Scenario 7: the log of everything so far shows no error."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.e2e.system import LOG_LINE, System, needs_shell

MUST_NOT_APPEAR = (
    'grep -i "no running event loop"',
    r'grep -i "callback.*failed\|asyncio.*error\|create_task.*error"',
    r'grep -i "metrics.*failed\|failed to store metrics\|metrics.*warning"',
    r'grep -i "bridge.*error\|refresh.*failed"',
    r'grep -A 10 "Exception\|Traceback"',
    r'grep -i "cache.*error\|ttl.*error"',
    'grep -i "callback.*failed"',
    'grep -i "metrics.*failed"',
    'grep -i "bridge.*error"',
    'grep "Exception"',
    'grep -i "cache.*error"',
)
LIFECYCLE = ("Created operation", "Registered local bridge", "Refreshed operation", "Completed operation")

pytestmark = pytest.mark.usefixtures("completed")


def as_python(command: str) -> str:
    pattern = command.split('"')[1].replace(r"\|", "|")
    return f"(?i){pattern}" if "grep -i" in command else pattern


@pytest.mark.parametrize("command", MUST_NOT_APPEAR)
def test_no_error_appears(backend: System, command: str) -> None:
    assert backend.lines(as_python(command)) == []


@needs_shell
@pytest.mark.parametrize("command", MUST_NOT_APPEAR)
def test_the_guides_searches_count_nothing(backend: System, command: str) -> None:
    assert backend.bash(f"docker logs ktrdr-backend 2>&1 | {command} | wc -l").strip() == "0"


def test_no_line_is_an_error_and_few_are_warnings(backend: System) -> None:
    assert backend.lines("ERROR") == []
    assert len(backend.lines("WARNING")) <= 3


@needs_shell
def test_the_guides_counts(backend: System) -> None:
    assert backend.bash('docker logs ktrdr-backend 2>&1 | grep -c "ERROR"').strip() == "0"
    assert int(backend.bash('docker logs ktrdr-backend 2>&1 | grep -c "WARNING"')) <= 3


def test_every_line_has_the_format(backend: System) -> None:
    """A stack trace or a stray print would not."""
    assert [line for line in backend.lines("") if not LOG_LINE.fullmatch(line)] == []


def test_the_life_of_an_operation_is_told_in_order(backend: System, completed: dict[str, Any]) -> None:
    of_it = backend.lines(f"({'|'.join(LIFECYCLE)}).*{completed['operation_id']}")
    told = [next(kind for kind in LIFECYCLE if kind in line) for line in of_it]

    assert list(dict.fromkeys(told)) == list(LIFECYCLE)
    assert told[-1] == "Completed operation"


def test_the_log_file_tells_the_same(backend: System) -> None:
    kept = (backend.home / "logs" / "ktrdr.log").read_text(encoding="utf-8")

    assert sorted(kept.splitlines()) == sorted(backend.log().splitlines())


def test_lines_of_requests_and_workers_say_whose_they_are(backend: System, completed: dict[str, Any]) -> None:
    assert re.search(r"\[req-[0-9a-f]+\]$", backend.lines(f"Created operation {completed['operation_id']}")[0])
    assert backend.lines(rf"on_epoch 1/10: .*\[{completed['operation_id']}\]$")
