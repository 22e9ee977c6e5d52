from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from tests.chaos.reference import STRATEGIES, Reference
from tests.chaos.resume import attempt, interrupted, resume, tear_newest_checkpoint
from tests.e2e.system import System, check_problem


@pytest.mark.parametrize(
    ("strategy", "how"), [*((strategy, "SIGKILL") for strategy in STRATEGIES), ("gru_dropout", "cancel")]
)
def test_a_resumed_training_comes_to_the_same_bits(
    system: System, references: dict[str, Reference], strategy: str, how: str
) -> None:
    """At one random point each; `make chaos` takes 20."""
    trial = attempt(system, references[strategy], how, random.Random(f"{strategy} {how}"))

    assert not trial.differing, trial


def test_a_torn_checkpoint_is_passed_over(system: System, references: dict[str, Reference]) -> None:
    reference, chosen = references["lstm_stopping"], random.Random(1)
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
    _import_changing_bars(system, last_close=None)
    operation_id, _ = interrupted(system, references["quick_mlp"], "SIGKILL", random.Random(3), symbol="CHANGING")
    _retell(system, operation_id, "seed: 7", "seed: 8")

    refused = system.post(f"/operations/{operation_id}/resume")

    problem = check_problem(refused, 409, "checkpoint_mismatch", "strategy.training.seed", "start a new training")
    assert problem["differences"] == ["strategy.training.seed"]

    _retell(system, operation_id, "seed: 8", "seed: 7")
    _import_changing_bars(system, last_close=1.0)

    refused = system.post(f"/operations/{operation_id}/resume")

    problem = check_problem(refused, 409, "checkpoint_mismatch", "bars of CHANGING")
    assert problem["differences"] == ["bars of CHANGING"]
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
