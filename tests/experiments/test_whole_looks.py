"""The look at all folds of a training together, and its verdict over all trainings in the same folds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import ktrdr
from ktrdr.ledger.store import Ledger
from ktrdr.ledger.verdict import verdict_today
from ktrdr.payloads.looks import LookKind
from ktrdr.payloads.training import FoldsResults

STRATEGY = """
name: Walk {seed}
model: {{type: mlp, layers: 1, hidden_size: 4, sequence_length: 3}}
training: {{epochs: 1, seed: {seed}}}
indicators: [{{name: rsi, period: 7}}]
validation: {{type: walk_forward, folds: 2}}
controls: {{shuffled_labels: none}}
"""


def train(home: Path, folder: str, seed: int) -> FoldsResults:
    results = ktrdr.train(STRATEGY.format(seed=seed), "AAPL", ["1d"], output=home / folder, home=home).results
    assert isinstance(results, FoldsResults)
    return results


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, list[FoldsResults]]]:
    """Two trainings in the same folds."""
    home = tmp_path_factory.mktemp("home")
    ktrdr.load("AAPL", "1d", provider="sample", start="2023-09-01", home=home)
    results = [train(home, name, seed) for name, seed in (("one", 1), ("two", 2))]
    ledger = Ledger(home / "ledger.sqlite")
    yield ledger, results
    ledger.close()


def test_a_whole_is_one_try_beside_other_wholes(trained: tuple[Ledger, list[FoldsResults]]) -> None:
    _, results = trained

    counts = [each.evaluation.selection.tries for each in results if each.evaluation and each.evaluation.selection]

    assert counts == [1, 2]
    assert [each.backtest.selection.tries for each in results if each.backtest and each.backtest.selection] == counts


def test_the_verdict_of_a_whole_can_be_had_again(trained: tuple[Ledger, list[FoldsResults]]) -> None:
    ledger, results = trained

    today = [verdict_today(name, ledger) for name in ("one", "two")]

    assert results[1].evaluation
    assert today[1].selection == results[1].evaluation.selection
    assert [each.selection.tries for each in today] == [2, 2]


def test_beside_a_fold_a_whole_is_no_other_try(trained: tuple[Ledger, list[FoldsResults]]) -> None:
    ledger, _ = trained
    folds = [look for look in ledger.looks() if look.kind is LookKind.FOLD]
    wholes = [look for look in ledger.looks() if look.kind is LookKind.WHOLE]

    assert (len(folds), len(wholes)) == (4, 2)
    # The same fold of both trainings; each fold has rows of its own.
    assert verdict_today(folds[0].look_id, ledger).selection.tries == 2
    assert [account.tries for account in ledger.accounts()] == [4]
    assert {look.samples for look in wholes} == {sum(fold.samples for fold in folds[:2])}
