"""Conditions and orders, as people write them."""

from __future__ import annotations

import pytest

from ktrdr.errors import InputError
from ktrdr.payloads.runs import Value
from ktrdr.run_table.query import Condition, Order


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("training.learning_rate<0.01", 0.001, True),
        ("training.learning_rate<1e-3", 0.001, False),
        ("lead >= 0", 0.0, True),
        ("lead>0", None, False),
        ("lead!=0", None, True),
        ("fold=", None, True),
        ("fold!=", 2, True),
        ("epochs=50", 50, True),
        ("epochs=fifty", 50, False),
        ("features.returns=yes", True, True),
        ("features.returns!=true", True, False),
        ("status=completed", "COMPLETED", True),
        ("name~RSI", "fast_rsi_2", True),
        ("name~gru", None, False),
        ("tags=baseline", ("baseline", "old"), True),
        ("tags!=baseline", ("baseline", "old"), False),
        ("tags=", (), True),
        ("symbols~aap", ("AAPL", "MSFT"), True),
        ("created>=2026-11-01", "2026-11-29T01:02:03Z", True),
        ("created<2026-11-29", "2026-11-29T01:02:03Z", False),
        ("indicators[0].period<=14", 14, True),
    ],
)
def test_a_condition_holds_or_does_not(condition: str, value: Value, holds: bool) -> None:
    assert Condition.parse(condition).holds(value) is holds


@pytest.mark.parametrize("condition", ["lead", "=3", "", "  <2"])
def test_what_is_no_condition_is_refused_with_an_example(condition: str) -> None:
    with pytest.raises(InputError, match="is no condition") as refused:
        Condition.parse(condition)

    assert "'lead>0.01'" in refused.value.hint


def test_a_text_is_not_ordered_among_numbers() -> None:
    with pytest.raises(InputError, match="lead holds numbers, and 'high' is none"):
        Condition.parse("lead>high").holds(0.1)


def test_orders_come_one_at_a_time_or_with_commas() -> None:
    assert Order.parse(["-lead", "name, -created"]) == (Order("lead", True), Order("name"), Order("created", True))
