"""Values that take the place of a strategy's own."""

from __future__ import annotations

from typing import Any

import pytest

from ktrdr.errors import StrategyError
from ktrdr.strategy.document import Path, parse_path, path_text, read_document
from ktrdr.strategy.editing import with_settings

TEXT = """\
# mine
name: x   # a name
model: {type: mlp, layers: 2}
training:
  epochs: 0o12
  early_stopping: {patience: 3}
indicators:
  - name: "sma"
    period: 20
"""


def test_values_are_replaced_and_all_else_stays() -> None:
    text = with_settings(TEXT, {"training.epochs": 5, "indicators[0].period": 7, "model.layers": 1})

    assert text == TEXT.replace("0o12", "5").replace("20", "7").replace("layers: 2", "layers: 1")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("costs.fee_bps", 2.5),
        ("training.early_stopping", None),
        ("training.early_stopping.patience", 9),
        ("labels.quantiles", [0.3, 0.7]),
        ("model", {"type": "gru", "layers": 1}),
        ("description", "yes: no"),
        ("training.learning_rate", 1e-05),
    ],
)
def test_what_is_set_is_read_again(place: str, value: Any) -> None:
    entry = read_document(with_settings(TEXT, {place: value})).data
    for key in parse_path(place):
        entry = entry[key]

    assert entry == value


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("indicators[1].period", "indicators[1].period is no place: indicators is a list of 1"),
        ("training.epochs.x", "training.epochs.x is no place: training.epochs is 10"),
        ("training[0]", "training[0] is no place: training is a mapping"),
        ("a b", "a b is no place in a strategy"),
        (
            "",
            "strategy is no place in a strategy",
        ),
    ],
)
def test_a_place_that_cannot_be_is_refused(place: str, message: str) -> None:
    with pytest.raises(StrategyError) as refused:
        with_settings(TEXT, {place: 1})

    assert [str(fault) for fault in refused.value.faults] == [message]


@pytest.mark.parametrize("scalar", ["2020-13-45", "1_000", "0o17", "NULL", "<<", "'1'", "1e5", ".inf", "0.10"])
def test_scalars_that_are_not_set_stay_as_they_are_written(scalar: str) -> None:
    text = f"name: x\ndescription: {scalar}\nlabels: {{horizon: 1}}\n"

    assert with_settings(text, {"labels.horizon": 2}) == text.replace("horizon: 1", "horizon: 2")


@pytest.mark.parametrize(
    "value", [None, True, 3, 1e-05, "null", "1", "a: b", "# x", "", " x", "- a", "{a}", "it's", "x\ny"]
)
def test_a_value_is_read_as_what_it_was(value: Any) -> None:
    text = with_settings("name: x\ntraining:\n", {"name": value, "training.list": [value, {"a": value}]})

    assert read_document(text).data == {"name": value, "training": {"list": [value, {"a": value}]}}


def test_a_text_that_cannot_be_read_is_left_to_loading() -> None:
    twice = f"{TEXT}name: y\n"

    assert with_settings(twice, {"training.epochs": 1}) == twice


@pytest.mark.parametrize("path", [("training", "seed"), ("indicators", 12, "period"), ("name",)])
def test_a_path_is_read_from_what_is_shown(path: Path) -> None:
    assert parse_path(path_text(path)) == path
