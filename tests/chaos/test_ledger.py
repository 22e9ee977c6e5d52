"""The judge is judged: each kind of lie must show."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.ledger import EPOCHS, TORN, UNTRUE, Ledger
from tests.chaos.reference import Reference

RECORDS: tuple[dict[str, Any], ...] = tuple({"epoch": epoch, "val_loss": 1 / epoch} for epoch in (1, 2, 3))
REFERENCE = Reference("some", "", 3, 100, RECORDS, {}, {}, b"")


def view(status: str = "RUNNING", percentage: float = 50.0, step: int = 2, items: int = 164) -> dict[str, Any]:
    progress = {"percentage": percentage, "current_step": step, "items_processed": items, "epoch_index": step}
    return {"operation_id": "a", "status": status, "metadata": {"strategy": "some"}, "progress": progress}


def page(*epochs: int, cursor: int = 0) -> dict[str, Any]:
    return {"metrics": [RECORDS[epoch - 1] for epoch in epochs], "new_cursor": cursor + len(epochs)}


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger({"some": REFERENCE})
    ledger.hear_view(view())
    ledger.hear_metrics("a", 0, page(1, 2))
    return ledger


def kinds(ledger: Ledger) -> list[str]:
    return [fault.kind for fault in ledger.faults]


def test_the_truth_is_no_fault(ledger: Ledger) -> None:
    ledger.hear_metrics("a", 1, page(2, 3, cursor=1))
    ledger.hear_metrics("a", 3, page(cursor=3))
    ledger.hear_view(view("COMPLETED", 100.0, 3, 300))

    assert kinds(ledger) == []
    assert ledger.epochs_told == 3


@pytest.mark.parametrize(
    ("cursor", "told"),
    [
        (0, page(2, 3)),
        (2, page(2, cursor=2)),
        (1, page(3, cursor=1)),
        (2, {**page(3, cursor=2), "new_cursor": 4}),
        (3, page(cursor=3)),
    ],
    ids=["one missing", "one doubled", "one misplaced", "a cursor too far", "a cursor beyond what was told"],
)
def test_epochs_lost_doubled_or_misplaced_show(ledger: Ledger, cursor: int, told: dict[str, Any]) -> None:
    ledger.hear_metrics("a", cursor, told)

    assert EPOCHS in kinds(ledger)


def test_a_torn_record_shows(ledger: Ledger) -> None:
    ledger.hear_metrics("a", 2, {"metrics": [{"epoch": 3, "val_loss": 0.5}], "new_cursor": 3})

    assert kinds(ledger) == [TORN]


@pytest.mark.parametrize(("step", "items", "percentage"), [(3, 164, 50.0), (2, 264, 50.0), (2, 164, 66.67)])
def test_a_state_of_two_instants_shows(ledger: Ledger, step: int, items: int, percentage: float) -> None:
    ledger.hear_view(view(percentage=percentage, step=step, items=items))

    assert kinds(ledger) == [TORN]


def test_an_end_that_changes_shows(ledger: Ledger) -> None:
    ended = view("FAILED")

    ledger.hear_view(view("RUNNING"), ended)

    assert kinds(ledger) == [UNTRUE]
