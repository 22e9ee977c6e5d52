"""The trials of a search: which there are, and the text of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.document import read_document
from ktrdr.strategy.editing import edited
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_space import Search
from tests.strategy.test_search_loading import BASE, SEARCH

CATALOGUE = IndicatorCatalogue()
SMALL = f"""\
{BASE}  layers: {{int: [1, 2]}}
indicators:
  - {{name: sma, period: {{int: [5, 15], step: 5}}, include: {{choice: [true, false]}}}}
search: {{sampler: grid}}
"""
COMMENTED = f"""\
{BASE}  dropout: {{float: [0, 0.5]}}  # near
training:
  optimizer: {{choice: [adam, sgd]}}            # which
  learning_rate: {{log: [1e-4, 1e-1]}}          # how fast
  gradient_clip: {{choice: [null, 1.0]}}
indicators:
  # the first
  - {{name: sma, period: {{int: [5, 15]}}, include: {{choice: [true, false]}}}}
  # the second
  - name: rsi
    period: {{int: [2, 20]}}   # short
search: {{trials: 40}}  # the section
"""


def load(text: str) -> Search:
    return load_search(text, CATALOGUE)


def test_a_grid_has_each_different_trial_once() -> None:
    search = load(SMALL)

    trials = [search.named(search.on_grid(number, number)) for number in range(search.trials)]

    # The average has 3 periods or is not there, and then it has no period: 4, times 2 numbers of layers.
    assert search.trials == search.grid_size == 8
    assert len({str(trial) for trial in trials}) == 8
    assert [trial for trial in trials if not trial["indicators[0].include"]] == [
        {"model.layers": layers, "indicators[0].include": False} for layers in (1, 2)
    ]


@pytest.mark.parametrize(("declared", "title"), [("as: fast, ", "fast.period"), ("", "indicators[0].period")])
def test_an_indicators_values_bear_the_name_that_it_declares(declared: str, title: str) -> None:
    search = load(SMALL.replace("{name: sma, ", f"{{name: sma, {declared}"))

    named = [search.named(search.on_grid(number, number)) for number in range(search.trials)]

    assert {trial[title] for trial in named if title in trial} == {5, 10, 15}


def test_chance_repeats_nothing_in_a_small_space_and_follows_the_seed() -> None:
    search = load(SMALL)
    other = load(SMALL.replace("grid}", "grid, seed: 1}"))

    assert {search.at_random(number).values for number in range(8)} == {
        search.on_grid(number, number).values for number in range(8)
    }
    assert [search.at_random(number) for number in range(8)] == [search.at_random(number) for number in range(8)]
    assert [search.at_random(number) for number in range(8)] != [other.at_random(number) for number in range(8)]


def test_a_trials_text_is_the_strategy_as_it_was_written() -> None:
    search = load(SEARCH)
    values = (48, 0.00123, "sgd", {"patience": 3}, 21, 14, True)

    assert (
        search.strategy_text(search.proposal(0, values))
        == """\
# what is tried
name: Averages
model:
  type: lstm
  hidden_size: 48                          # units
training:
  learning_rate: 0.00123
  optimizer: sgd
  early_stopping: {patience: 3}
indicators:
  - {name: sma, period: 21}
  - name: rsi
    period: 14
"""
    )


def test_an_indicator_that_is_not_there_leaves_nothing_behind() -> None:
    search = load(SEARCH)

    text = search.strategy_text(search.proposal(0, (48, 0.001, "sgd", None, 21, 14, False)))

    assert [indicator.formula for indicator in load_strategy(text, CATALOGUE).indicators] == ["sma"]
    assert "early_stopping: null" in text


@given(number=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_every_trials_text_has_its_values_and_the_rest_of_the_document(number: int) -> None:
    search = load(SEARCH)
    proposal = search.at_random(number)

    trial = read_document(search.strategy_text(proposal)).data
    original = read_document(SEARCH).data

    assert load_strategy(search.strategy_text(proposal), CATALOGUE).name == "Averages"
    assert trial.keys() == original.keys() - {"search"}
    for name, value in search.named(proposal).items():
        if name.startswith(("model.", "training.")):
            section, key = name.split(".")
            assert trial[section][key] == value


def test_seeds_are_the_smallest_search() -> None:
    search = load(f"{BASE}training: {{epochs: 2, seed: 5}}\nsearch: {{seeds: 3}}\n")
    absent = load(f"{BASE}search: {{seeds: 2}}\n")

    assert [search.named(search.on_grid(n, n)) for n in range(search.trials)] == [
        {"training.seed": seed} for seed in (5, 6, 7)
    ]
    assert load_strategy(absent.strategy_text(absent.on_grid(1, 1)), CATALOGUE).training.seed == 43


def test_a_choice_may_be_of_whole_sections() -> None:
    search = load(
        "name: x\nmodel: {choice: [{type: gru, layers: 1}, {type: gradient_boosting}]}\nsearch: {sampler: grid}\n"
    )

    kinds = [load_strategy(search.strategy_text(search.on_grid(n, n)), CATALOGUE).model.type for n in range(2)]

    assert kinds == ["gru", "gradient_boosting"]


@pytest.mark.parametrize(
    ("range_", "holds"),
    [
        ("{int: [3, 10], step: 3}", lambda value: value in (3, 6, 9)),
        ("{float: [0.1, 0.7]}", lambda value: 0.1 <= value <= 0.7 and value == float(f"{value:.6g}")),
        ("{log: [1e-5, 0.1]}", lambda value: 1e-5 <= value <= 0.1),
        ("{log: [0.01, 1], points: 3}", lambda value: value in (0.01, 0.1, 1)),
    ],
)
def test_chance_stays_within_a_range(range_: str, holds: Callable[[Any], bool]) -> None:
    search = load(f"{BASE}training: {{gradient_clip: {range_}}}\nsearch: {{trials: 3}}\n")

    assert all(holds(search.at_random(number).values[0]) for number in range(200))


def test_a_logarithmic_range_has_as_many_small_values_as_large_ones() -> None:
    search = load(f"{BASE}training: {{learning_rate: {{log: [1e-4, 1e-2]}}}}\nsearch: {{trials: 3}}\n")

    small = sum(search.at_random(number).values[0] < 1e-3 for number in range(1000))

    assert 450 < small < 550


def test_a_trial_is_the_same_as_text_and_as_parsed_and_its_comments_keep_their_columns() -> None:
    search = load(COMMENTED)
    for number in range(40):
        proposal = search.at_random(number)
        text = search.strategy_text(proposal)
        assert read_document(text).data == search.strategy_document(proposal).data
        values = {each.path: value for each, value in search.present(proposal) if not each.decides_presence}
        inclusion = [(each.path, value) for each, value in search.present(proposal) if each.decides_presence]
        removed = [path if value else path[:2] for path, value in inclusion]
        assert text == edited(COMMENTED, values, [*removed, ("search",)])
