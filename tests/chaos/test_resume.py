from __future__ import annotations

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.chaos.reference import Reference
from tests.chaos.resume import Trial, attempt, interrupted, tear_newest_checkpoint
from tests.e2e.system import System
from tests.refusals import check_problem

HOWS = {"quick_mlp": "SIGKILL", "gru_dropout": "SIGKILL", "lstm_stopping": "cancel"}


@pytest.fixture(scope="module")
def trials(system: System, references: dict[str, Reference]) -> dict[str, Trial]:
    """At one random point for each strategy, as many at once as there may be workers; `make chaos` takes 20.

    Of the one that is cancelled the newest checkpoint is torn.
    """

    def trial(strategy: str) -> Trial:
        how, chosen = HOWS[strategy], random.Random(strategy)

        def tear(operation_id: str) -> None:
            tear_newest_checkpoint(system.home / "models", operation_id, chosen)

        reference = references[strategy]
        return attempt(system, reference, how, chosen, *([tear] if how == "cancel" else []))

    with ThreadPoolExecutor() as pool:
        return dict(zip(HOWS, pool.map(trial, HOWS), strict=True))


@pytest.mark.parametrize("strategy", HOWS)
def test_a_resumed_training_comes_to_the_same_bits(trials: dict[str, Trial], strategy: str) -> None:
    assert not trials[strategy].differing, trials[strategy]


def test_a_torn_checkpoint_is_passed_over(system: System, trials: dict[str, Trial]) -> None:
    assert not trials["lstm_stopping"].differing
    assert system.lines(r"WARNING Skipping a damaged checkpoint: .*epoch-\d+\.safetensors")


def test_what_began_with_another_strategy_or_other_bars_is_refused_at_once(
    system: System, references: dict[str, Reference]
) -> None:
    _import_changing_bars(system, last_close=None)
    operation_id, _ = interrupted(system, references["quick_mlp"], "SIGKILL", random.Random(3), symbol="CHANGING")
    _import_changing_bars(system, last_close=1.0)

    refused = system.post(f"/operations/{operation_id}/resume")

    problem = check_problem(refused, 409, "checkpoint_mismatch", "bars of CHANGING 1d", "start a new training")
    assert problem["differences"] == ["bars of CHANGING 1d"]

    _retell(system, operation_id, "seed: 7", "seed: 8")

    refused = system.post(f"/operations/{operation_id}/resume")

    problem = check_problem(refused, 409, "checkpoint_mismatch", "strategy.training.seed")
    assert problem["differences"] == ["bars of CHANGING 1d", "strategy.training.seed"]
    assert not [operation for operation in system.operations() if operation["parent_id"] == operation_id]


def _import_changing_bars(system: System, last_close: float | None) -> None:
    bars = system.get("/data/AAPL/1d", limit=300).json()["bars"]
    if last_close:
        bars[-1] |= {"close": last_close, "low": last_close}
    lines = [",".join(bars[0]), *(",".join(str(value) for value in bar.values()) for bar in bars)]
    answer = system.post("/data/CHANGING/1d/import?filename=bars.csv", content="\n".join(lines).encode())
    assert answer.status_code == 202, answer.text
    system.ended(answer.json()["operation_id"])


def _retell(system: System, operation_id: str, old: str, new: str) -> None:
    """Let the registry say that the operation was asked something else, as no request can."""
    system.stop()
    with closing(sqlite3.connect(system.home / "registry.sqlite")) as registry, registry:
        change = "UPDATE operations SET details = replace(details, ?, ?) WHERE operation_id = ?"
        assert registry.execute(change, [old, new, operation_id]).rowcount == 1
    system.start()
