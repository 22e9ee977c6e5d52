"""Runs in memory: what is selected, in which order, with which columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ktrdr.errors import InputError
from ktrdr.payloads.runs import Annotations, Measures, RunKind, RunSummary, RunTable, Value
from ktrdr.run_table.csv import csv_of
from ktrdr.run_table.frame import frame_of
from ktrdr.run_table.query import EVERY, Condition, Order, RunQuery
from ktrdr.run_table.rows import Runs

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def summary(
    number: int, *, lead: float | None = None, indicators: tuple[str, ...] = (), **parameters: Value
) -> RunSummary:
    return RunSummary(
        operation_id=f"op_training_20261129_{number:06d}",
        name=f"run {number}",
        strategy="S",
        kind=RunKind.TRAINING,
        status="COMPLETED",
        created_at=NOON + timedelta(minutes=number),
        symbols=("AAPL",),
        timeframes=("1d",),
        parameters={name.replace("__", "."): value for name, value in parameters.items()},
        indicators=indicators,
        measures=Measures(lead=lead),
    )


def runs(*summaries: RunSummary) -> Runs:
    made = Runs()
    for each in summaries:
        made.put(each, Annotations())
    return made


def order_of(table: RunTable) -> list[int]:
    return [int(row.operation_id[-6:]) for row in table.rows]


def names_of(table: RunTable) -> list[str]:
    return [column.name for column in table.columns]


def test_runs_without_a_value_come_last_either_way_and_the_newest_first_among_equals() -> None:
    made = runs(summary(1, lead=0.1), summary(2), summary(3, lead=0.2), summary(4, lead=0.1))

    assert order_of(made.select(RunQuery(order=(Order("lead", True),)))) == [3, 4, 1, 2]
    assert order_of(made.select(RunQuery(order=(Order("lead"),)))) == [4, 1, 3, 2]
    assert order_of(made.select(RunQuery())) == [4, 3, 2, 1]


def test_a_part_of_the_runs_is_selected_and_all_matches_are_counted() -> None:
    made = runs(*(summary(number, lead=number / 10) for number in range(9)))

    table = made.select(RunQuery(where=(Condition.parse("lead>0.25"),), limit=2, offset=1))

    assert (order_of(table), table.total) == ([7, 6], 6)


def test_the_columns_are_those_in_which_the_runs_differ() -> None:
    made = runs(
        summary(1, training__seed=1, training__epochs=5, model__type="gru"),
        summary(2, training__seed=2, training__epochs=5, labels__type="trend", model__type="mlp"),
    )

    table = made.select(RunQuery())

    assert names_of(table) == ["id", "name", "training.seed", "model.type", "labels.type"]
    assert [column.title for column in table.columns] == ["id", "name", "seed", "model.type", "labels.type"]
    assert [column.is_number for column in table.columns] == [False, False, True, False, False]
    assert "training.epochs" in table.names


def test_an_indicators_declared_name_and_its_path_mean_the_same() -> None:
    declared = summary(1, indicators=("fast", "indicators[1]"), **{"fast__period": 7, "indicators[1]__period": 5})
    plain = summary(2, indicators=("indicators[0]",), **{"indicators[0]__period": 30})
    made = runs(declared, plain)

    assert order_of(made.select(RunQuery(order=(Order("indicators[0].period"),)))) == [1, 2]
    assert order_of(made.select(RunQuery(where=(Condition.parse("fast.period=7"),)))) == [1]


def test_tags_are_searched_and_gone_runs_are_not_shown() -> None:
    made = runs(summary(1), summary(2), summary(3))
    made.annotate("op_training_20261129_000002", Annotations(tags=("baseline",), note="too early"))
    made.remove("op_training_20261129_000003")

    assert order_of(made.select(RunQuery(text="BASE"))) == [2]
    assert order_of(made.select(RunQuery(text="too early"))) == [2]
    assert order_of(made.select(RunQuery(), [(summary(4), Annotations())])) == [4, 2, 1]


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        (RunQuery(order=(Order("leed"),)), "did you mean lead?"),
        (RunQuery(columns=("seed",)), "did you mean training.seed?"),
        (RunQuery(where=(Condition.parse("zzzzzz=1"),)), "there are id, name"),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest(query: RunQuery, hint: str) -> None:
    with pytest.raises(InputError, match="there is no column") as refused:
        runs(summary(1, training__seed=1)).select(query)

    assert refused.value.hint.startswith(hint)


@pytest.mark.parametrize("column", ["lead", "epochs", "fold", "trial"])
def test_a_text_is_not_ordered_among_numbers_even_without_runs(column: str) -> None:
    with pytest.raises(InputError, match=f"{column} holds numbers, and 'high' is none"):
        Runs().select(RunQuery(where=[Condition.parse(f"{column}>high")]))


def test_csv_and_frame_hold_the_same_runs() -> None:
    mixed: list[dict[str, Any]] = [{"a__b": 1, "c__d": 2, "e__f": True}, {"a__b": "none", "c__d": 2.5}]
    made = runs(*(summary(number, lead=-0.5, **parameters) for number, parameters in enumerate(mixed)))
    made.annotate("op_training_20261129_000001", Annotations(tags=("x", "y"), note="=SUM(A1)"))
    table = made.select(RunQuery(columns=EVERY))

    frame, lines = frame_of(table), csv_of(table).splitlines()

    assert frame["created"].to_list() == [NOON + timedelta(minutes=1), NOON]
    assert frame["a.b"].to_list() == ["none", "1"]
    assert frame["c.d"].to_list() == [2.5, 2.0]
    assert frame["e.f"].to_list() == [None, True]
    assert frame.schema["tags"] == pl.List(pl.String)
    assert lines[0].split(",") == frame.columns
    assert ",-0.5," in lines[1]
    assert lines[1].endswith(',"x,y",\'=SUM(A1),none,2.5,')
