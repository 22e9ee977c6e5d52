from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.chaos.reference import STRATEGIES, request
from tests.e2e.system import System

NOTICED_WITHIN_S = 2.0
REACHED = r'without leaving a result; it had reached "Epoch \d+/100000"'
REASONS = {
    signal.SIGSEGV: ("worker_died", rf"was killed by SIGSEGV {REACHED}"),
    signal.SIGUSR1: ("worker_died", rf"ended with exit code 0 {REACHED}"),
    signal.SIGUSR2: ("worker_error", r"ZeroDivisionError: in the middle of a batch"),
}
"""SIGUSR1 makes it leave with `os._exit(0)`, SIGUSR2 raises in it."""


@dataclass(frozen=True, slots=True)
class Death:
    """`told`: the epochs that a client had been told of before."""

    told: list[dict[str, Any]]
    died_at: datetime
    operation: dict[str, Any]


@pytest.fixture(scope="module")
def deaths(system: System) -> dict[signal.Signals, Death]:
    """As many at once as there may be workers."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(REASONS, pool.map(lambda number: _death(system, number), REASONS), strict=True))


def _death(system: System, number: signal.Signals) -> Death:
    strategy = re.sub(r"epochs: \d+", "epochs: 100000", STRATEGIES["quick_mlp"])
    operation_id = system.post("/training/start", request(strategy)).json()["operation_id"]
    system.wait_for_epochs(operation_id, 3)
    told = system.metrics(operation_id)["metrics"]
    died_at = datetime.now(UTC)
    system.worker_of(operation_id).send_signal(number)
    return Death(told, died_at, system.wait_for_end(operation_id))


@pytest.mark.parametrize("number", REASONS)
def test_a_worker_that_dies_in_any_way_fails_its_operation_with_the_true_reason(
    system: System, deaths: dict[signal.Signals, Death], number: signal.Signals
) -> None:
    code, how = REASONS[number]

    failed, operation_id = deaths[number].operation, deaths[number].operation["operation_id"]

    assert (failed["status"], failed["error"]["code"]) == ("FAILED", code)
    assert re.search(how, failed["error"]["detail"]), failed["error"]
    noticed_after = datetime.fromisoformat(failed["completed_at"]) - deaths[number].died_at
    assert noticed_after.total_seconds() < NOTICED_WITHIN_S
    kept, results = system.metrics(operation_id), system.results(operation_id)
    assert kept["metrics"][: len(deaths[number].told)] == deaths[number].told
    assert (results["status"], results["error"]) == ("failed", failed["error"])
    assert results["metrics_recorded"] == kept["new_cursor"]
