from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from tests.chaos.reference import STRATEGIES, Reference
from tests.chaos.resume import attempt, interrupted, resume, tear_newest_checkpoint
from tests.e2e.system import System, check_problem


@pytest.mark.parametrize("how", ["SIGKILL", "cancel"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_resumed_training_comes_to_the_same_bits(
    system: System, references: dict[str, Reference], strategy: str, how: str
) -> None:
    """At one random point each; `make chaos` takes 20."""
    trial = attempt(system, references[strategy], how, random.Random(f"{strategy} {how}"))

    assert not trial.differing, trial


@pytest.mark.parametrize("seed", [1, 2])
def test_a_torn_checkpoint_is_passed_over(system: System, references: dict[str, Reference], seed: int) -> None:
    reference, chosen = references["lstm_stopping"], random.Random(seed)
    operation_id, _ = interrupted(system, reference, "cancel", chosen)
    tear_newest_checkpoint(system.home / "models", operation_id, chosen)
    seen = system.mark()

    child = resume(system, operation_id)

    system.ended(child)
    assert not reference.differences(system, child)
    assert system.lines(r"WARNING Skipping a damaged checkpoint: .*epoch-\d+\.safetensors", seen)


def test_what_began_with_another_strategy_or_other_bars_is_refused_at_once(
    system: System, references: dict[str, Reference]
) -> None:
    operation_id, _ = interrupted(system, references["quick_mlp"], "SIGKILL", random.Random(3))
    before = len(system.operations())
    _retell(system, operation_id, "seed: 7", "seed: 8")

    refused = system.post(f"/operations/{operation_id}/resume")

    problem = check_problem(refused, 409, "checkpoint_mismatch", "strategy.training.seed", "start a new training")
    assert problem["differences"] == ["strategy.training.seed"]

    _retell(system, operation_id, "seed: 8", "seed: 7")
    system.load_sample("--start-date", "2023-05-01")  # the last test here: the references are of fewer bars

    refused = system.post(f"/operations/{operation_id}/resume")

    problem = check_problem(refused, 409, "checkpoint_mismatch", "bars of AAPL")
    assert problem["differences"] == ["bars of AAPL"]
    assert {operation["type"] for operation in system.operations()[: -before or None]} <= {"DATA_LOAD"}


def _retell(system: System, operation_id: str, old: str, new: str) -> None:
    """Let the registry say that the operation was asked something else, as no request can."""
    system.stop()
    with closing(sqlite3.connect(system.home / "registry.sqlite")) as registry, registry:
        change = "UPDATE operations SET details = replace(details, ?, ?) WHERE operation_id = ?"
        assert registry.execute(change, [old, new, operation_id]).rowcount == 1
    system.start()
