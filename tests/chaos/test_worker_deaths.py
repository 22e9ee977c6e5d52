from __future__ import annotations

import re
import signal
from datetime import UTC, datetime

import pytest

from tests.chaos.reference import STRATEGIES
from tests.e2e.system import System

NOTICED_WITHIN_S = 2.0


@pytest.mark.parametrize(
    ("number", "code", "how"),
    [
        (signal.SIGKILL, "worker_died", r"was killed by SIGKILL .* it had reached \"Epoch \d+/100000\""),
        (signal.SIGSEGV, "worker_died", r"was killed by SIGSEGV .* it had reached \"Epoch \d+/100000\""),
        (signal.SIGABRT, "worker_died", r"was killed by SIGABRT .* it had reached \"Epoch \d+/100000\""),
        (signal.SIGUSR1, "worker_died", r"ended with exit code 0 without leaving a result"),
        (signal.SIGUSR2, "worker_error", r"ZeroDivisionError: in the middle of a batch"),
    ],
)
def test_a_worker_that_dies_in_any_way_fails_its_operation_with_the_true_reason(
    system: System, number: signal.Signals, code: str, how: str
) -> None:
    """SIGUSR1 makes it leave with `os._exit(0)`, SIGUSR2 raises in it."""
    strategy = re.sub(r"epochs: \d+", "epochs: 100000", STRATEGIES["quick_mlp"])
    request = {"strategy": strategy, "symbols": ["AAPL"], "timeframes": ["1d"]}
    operation_id = system.post("/training/start", request).json()["operation_id"]
    system.wait_for_epochs(operation_id, 3)
    told = system.metrics(operation_id)["metrics"]

    died_at = datetime.now(UTC)
    system.worker_of(operation_id).send_signal(number)

    failed, results = system.ended(operation_id, "FAILED"), system.results(operation_id)
    assert failed["error"]["code"] == code
    assert re.search(how, failed["error"]["detail"]), failed["error"]
    assert (datetime.fromisoformat(failed["completed_at"]) - died_at).total_seconds() < NOTICED_WITHIN_S
    assert system.metrics(operation_id)["metrics"][: len(told)] == told
    assert (results["status"], results["error"]) == ("failed", failed["error"])
    assert results["metrics_recorded"] == system.metrics(operation_id)["new_cursor"]
