"""A strategy with ranges becomes a search, or a list of every fault it has, before anything starts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import Fault, StrategyError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.search_loading import load_search

CATALOGUE = IndicatorCatalogue()
BASE = "name: x\nmodel:\n  type: mlp\n"
SEARCH = """\
# what is tried
name: Averages
model:
  type: lstm
  hidden_size: {int: [16, 128], step: 16}  # units
training:
  learning_rate:
    log: [1e-4, 1e-2]
  optimizer: {choice: [adam, sgd]}
  early_stopping: {choice: [null, {patience: 3}]}
indicators:
  - {name: sma, period: {int: [5, 60]}}
  - name: rsi
    period: {int: [5, 30]}
    include: {choice: [true, false]}
search: {trials: 20, sampler: tpe, halving: {factor: 3, min_epochs: 2}, seed: 7, lag: 1}
"""


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(StrategyError) as caught:
        load_search(text, CATALOGUE)
    return caught.value.faults


def only_fault(text: str) -> str:
    (fault,) = faults_of(text)
    return str(fault)


def test_ranges_of_all_kinds_are_read_in_the_documents_order() -> None:
    search = load_search(SEARCH, CATALOGUE)

    assert [each.name for each in search.parameters] == [
        "model.hidden_size",
        "training.learning_rate",
        "training.optimizer",
        "training.early_stopping",
        "indicators[0].period",
        "indicators[1].period",
        "indicators[1].include",
    ]
    assert [end for _, end in search.parameters[0].range.ends] == [16, 128]
    assert (search.trials, search.settings.sampler, search.settings.seed, search.settings.lag) == (20, "tpe", 7, 1)
    assert search.strategy.model.type == "lstm"


def test_the_shipped_search_loads() -> None:
    text = (Path(__file__).parents[2] / "config" / "strategies" / "search_small.yaml").read_text()

    assert load_search(text, CATALOGUE).trials == 20


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("  hidden_size: {int: [64, 16]}", "line 4: model.hidden_size.int must rise from the first to the second"),
        ("  hidden_size: {int: [64, 5000]}", "line 4: model.hidden_size.int[1] must be at most 4096; it is 5000"),
        ("  hidden_size: {int: [0, 64]}", "line 4: model.hidden_size.int[0] must be at least 1; it is 0"),
        ("  hidden_size: {int: [1, 64.5]}", "line 4: model.hidden_size.int[1] must be a whole number; it is 64.5"),
        ("  hidden_size: {int: [1, 9], stp: 2}", "line 4: model.hidden_size.stp is not a key of a range with int"),
        ("  hidden_size: {int: [1, 9], log: [1, 9]}", "line 4: model.hidden_size.log stands beside int"),
        (
            "  hiden_size: {int: [1, 9]}",
            "line 4: model.hiden_size is not a key of model of type mlp; did you",
        ),
        ("training: {learning_rate: {log: [0, 1]}}", "line 4: training.learning_rate.log must lie above 0"),
        ("training: {optimizer: {choice: [adam, adm]}}", "line 4: training.optimizer.choice[1] must be one of adam"),
        (
            "training: {optimizer: {choice: [adam, adam]}}",
            "line 4: training.optimizer.choice must name each value",
        ),
        ("training: {seed: {choice: [1, {int: [2, 3]}]}}", "line 4: training.seed.choice must hold no ranges"),
        ("indicators: [{name: sma, period: {int: [0, 9]}}]", "line 4: indicators[0].period.int[0] must be at least 1"),
        (
            "indicators: [{name: sma, period: {int: [2, 200000]}}]",
            "line 4: indicators[0].period.int[1] must be at most",
        ),
        (
            "indicators: [{name: sma, include: {choice: [true, 2]}}]",
            "line 4: indicators[0].include must be {choice:",
        ),
        ("labels: {horizon: {choice: [1, 2]}}", "line 5: search.objective must be lead, accuracy or sharpe"),
        (
            "validation: {test: {float: [0, 0.5]}}",
            "line 4: validation.test must be one value: trials that differ",
        ),
        ("costs: {fee_bps: {int: [0, 5]}}", "line 4: costs.fee_bps must be one value"),
        ("positions: {band: {float: [0, 0.5]}}", "line 5: search.objective must be sharpe where positions.band varies"),
        ("positions: {band: {float: [0, 101]}}", "line 4: positions.band.float[1] must be at most 100; it is 101"),
    ],
)
def test_a_wrong_range_is_a_fault_at_its_line(document: str, fault: str) -> None:
    assert only_fault(f"{BASE}{document}\nsearch: {{trials: 2}}\n").startswith(fault)


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("{trials: 2, sampler: rndom}", "line 5: search.sampler must be one of random, grid, tpe; it is 'rndom'; did"),
        ("{trails: 2}", "line 5: search.trails is not a key of search; did you mean 'trials'?"),
        ("{sampler: tpe}", "line 5: search.trials is missing"),
        ("{trials: 1}", "line 5: search.trials must be at least 2"),
        ("{trials: 9}", "line 5: search.trials must be at most 8, for there are no more different trials; it is 9"),
        ("{trials: 2, objective: ic}", "line 5: search.objective must not be ic, which needs labels of type forward_r"),
        ("{trials: 2, halving: {min_epochs: 50}}", "line 5: search.halving.min_epochs must be less than training.epo"),
        ("{seeds: 3, trials: 2}", "line 5: search.seeds must stand without trials"),
        ("{seeds: 3}", "line 5: search.seeds must stand in a strategy without ranges"),
        ("null", "line 5: search must be a mapping; it is null"),
    ],
)
def test_wrong_settings_are_a_fault_at_their_line(section: str, fault: str) -> None:
    assert only_fault(f"{BASE}  hidden_size: {{int: [1, 8]}}\nsearch: {section}\n").startswith(fault)


def test_all_faults_come_at_once_by_line() -> None:
    wrong = "  hidden_size: {int: [9, 1]}\n  layers: 0\nsearch: {trials: 2, lagg: 1}\ntraining: {epochs: 0}\n"

    assert [(fault.line, fault.path) for fault in faults_of(BASE + wrong)] == [
        (4, "model.hidden_size.int"),
        (5, "model.layers"),
        (6, "search.lagg"),
        (7, "training.epochs"),
    ]


def test_a_grid_needs_points_where_there_is_no_end_of_values() -> None:
    endless = f"{BASE}  dropout: {{float: [0, 0.5]}}\nsearch: {{sampler: grid}}\n"

    assert only_fault(endless) == (
        "line 4: model.dropout must say how many values a grid takes, with points, such as points: 5"
    )
    assert load_search(endless.replace("0.5]", "0.5], points: 6"), CATALOGUE).trials == 6


def test_values_that_do_not_go_together_are_a_fault_before_anything_starts() -> None:
    heads = "name: x\nmodel: {type: transformer, heads: 4, hidden_size: {int: [4, 20]}}\nsearch: {trials: 15}\n"
    twice = f"{BASE}indicators: [{', '.join(['{name: sma, period: {int: [2, 5]}}'] * 2)}]\nsearch: {{trials: 9}}\n"

    assert "model.heads must divide hidden_size; it is 4, and hidden_size is" in only_fault(heads)
    assert "indicators[1] makes the feature sma_2, which indicators[0] makes too" in only_fault(twice)
    assert load_search(heads.replace("20]", "20], step: 4").replace("15", "5"), CATALOGUE).trials == 5


def test_only_so_many_keys_vary() -> None:
    averages = ", ".join(f"{{name: sma, as: a{number}, period: {{int: [2, 9]}}}}" for number in range(65))

    assert only_fault(f"{BASE}indicators: [{averages}]\nsearch: {{trials: 3}}\n") == (
        "line 5: search may vary at most 64 keys; there are 65 ranges"
    )


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_mutated_text_gives_a_search_or_its_faults(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SEARCH) - 1))
    end = data.draw(st.integers(start, min(len(SEARCH), start + 12)))
    words = ["", "]", "}", ": ", "-1", "null", "{int: [1, 2]}", "{choice: [true, false]}", "[a]", "1e999", "\n", "x"]
    text = SEARCH[:start] + data.draw(st.sampled_from(words)) + SEARCH[end:]

    with suppress(StrategyError):
        search = load_search(text, CATALOGUE)
        assert load_strategy(search.strategy_text(search.at_random(0)), CATALOGUE)


def test_a_search_without_anything_to_vary_is_refused() -> None:
    assert only_fault(f"{BASE}search: {{trials: 3}}\n").startswith("line 4: search has nothing to vary; put a range")


def test_ranges_without_the_section_name_it() -> None:
    assert only_fault(f"{BASE}  layers: {{int: [1, 2]}}\n").startswith("line 1: search is missing; ranges need it")


def test_a_training_refuses_what_only_a_search_may_have() -> None:
    with pytest.raises(StrategyError) as refused:
        load_strategy(SEARCH, CATALOGUE)

    assert len(refused.value.faults) == 8
    assert str(refused.value.faults[0]) == (
        "line 5: model.hidden_size is a range; a training needs one value, and `ktrdr search start` takes ranges"
    )
