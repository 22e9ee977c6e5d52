"""The short form of `python -m benchmarks.torn_reads`, whose long form writes twenty million states."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

STATES, KILLS = 300_000, 8


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.torn_reads", "--writes", str(STATES), "--kills", str(KILLS)]
    run = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=True
    )
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def test_no_reader_accepts_a_torn_state_or_record(found: dict[str, Any]) -> None:
    assert found["ring"]["state_writes"] == STATES
    for counts in found["ring"]["readers"].values():
        assert counts["state_reads"] > 100
        assert counts["record_reads"] == found["ring"]["record_writes"] > 1000
        assert (counts["torn_states"], counts["torn_records"]) == (0, 0)


def test_readers_notice_a_torn_state_and_record(found: dict[str, Any]) -> None:
    for counts in found["lying"]["readers"].values():
        assert counts["torn_states"] >= 1
        assert counts["torn_records"] == 1


def test_killed_writers_lose_no_committed_record(found: dict[str, Any]) -> None:
    assert found["kills"]["kills"] == KILLS
    assert found["kills"]["records"] > 0
    assert (found["kills"]["lost"], found["kills"]["torn"]) == (0, 0)


def test_the_reader_in_c_took_part(found: dict[str, Any]) -> None:
    if found["one_slot"] is None:
        pytest.skip("no C compiler here, or a processor that reorders stores")
    assert set(found["ring"]["readers"]) == {"C", "Python"}
