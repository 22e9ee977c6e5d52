"""Expressions in strategies: their faults by line, their schema, and what a search varies of them."""

from __future__ import annotations

import json

import pytest

from ktrdr.errors import StrategyError
from ktrdr.features.columns import feature_names
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.loading import load_strategy, strategy_schema
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_schema import with_ranges

jsonschema = pytest.importorskip("jsonschema")

CATALOGUE = IndicatorCatalogue()
HEAD = "name: Gap\nmodel: {type: gradient_boosting}\ntimeframes: [1h, 1d]\n"


def faults(indicators: str) -> list[str]:
    with pytest.raises(StrategyError) as found:
        load_strategy(f"{HEAD}indicators:\n{indicators}", CATALOGUE)
    return [str(fault) for fault in found.value.faults]


def test_an_expression_is_a_feature_of_each_timeframe_or_of_the_one_that_it_names() -> None:
    text = f"""{HEAD}
indicators:
  - {{expr: "close / ema(close, n) - 1", n: 20, as: gap}}
  - {{expr: "diff(log(close))", as: step, timeframe: 1d}}
"""
    strategy = load_strategy(text, CATALOGUE)

    assert feature_names(strategy) == ("log_return", "gap", "log_return@1d", "gap@1d", "step@1d")
    assert [CATALOGUE.warmup(each) for each in strategy.indicators] == [19, 1]
    assert strategy.model_dump(mode="json")["indicators"][0] == {
        "expr": "close / ema(close, n) - 1",
        "as": "gap",
        "timeframe": None,
        "n": 20,
    }
    jsonschema.validate(strategy.model_dump(mode="json", exclude_none=True)["indicators"], _items())


def _items() -> dict[str, object]:
    schema = strategy_schema(CATALOGUE)
    return {"$defs": schema["$defs"], **schema["properties"]["indicators"]}


def test_faults_have_line_place_and_character() -> None:
    found = faults(
        """  - {expr: "close - open", as: gap}
  - {expr: "mean(returns, n)", n: 0, as: average}
  - {expr: "close / open"}
  - {expr: 3, as: x}
  - {expr: "returns", as: log_return}
  - {expr: "returns", as: y, timefrme: 1d}
  - {expr: "returns", as: z, name: rsi}
  - {expr: "retrns", as: "1"}
"""
    )

    assert [fault.partition(" ")[2].partition(" ")[2] for fault in found] == [
        "indicators[0].expr is wrong at character 1: close - open is a price, and nothing enters a model in dollars or "
        "shares; divide it by another of its kind, such as mean(close, 20)",
        "indicators[1].n in mean(returns, n) must be at least 1; it is 0",
        "indicators[2].as is missing",
        "indicators[3].expr must be text; it is 3",
        "indicators[4] makes the feature log_return, which features.returns makes too; name it otherwise with `as`",
        "indicators[5].timefrme must be a number; it is '1d'; did you mean 'timeframe'?",
        "indicators[6].name is a key of an entry with name, and not of one with expr",
        "indicators[7].as must begin with a letter and go on with letters, digits, - and _, at most 64; it is '1'",
    ]
    assert [fault.partition(":")[0] for fault in found] == [f"line {number}" for number in range(5, 13)]


SEARCH = f"""{HEAD}
indicators:
  - expr: {{choice: ["close / ema(close, n) - 1", "close / mean(close, n) - 1"]}}
    n: {{int: [5, 60]}}
    as: gap
  - {{expr: "zscore(volume, 20)", as: busy, include: {{choice: [true, false]}}}}
search: {{trials: 4}}
"""


def test_a_search_varies_the_numbers_of_an_expression_and_the_expression() -> None:
    search = load_search(SEARCH, CATALOGUE)
    texts = {search.strategy_text(search.at_random(number)) for number in range(12)}
    trials = [load_strategy(text, CATALOGUE) for text in texts]

    assert [parameter.title for parameter in search.parameters] == ["gap.expr", "gap.n", "busy.include"]
    assert {trial.indicators[0].formula for trial in trials} == {
        "close / ema(close, n) - 1",
        "close / mean(close, n) - 1",
    }
    assert len({trial.indicators[0].parameters["n"] for trial in trials}) > 5
    assert {len(trial.indicators) for trial in trials} == {1, 2}


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("[5, 60]", "[0, 60]", "indicators[0].n.int[0]", "must be at least 1; it is 0"),
        (
            '"close / mean(close, n) - 1"',
            '"close - mean(close, n)"',
            "indicators[0].expr",
            "close - mean(close, n) is a price",
        ),
    ],
)
def test_both_ends_of_a_range_are_checked_in_the_expression(old: str, new: str, place: str, message: str) -> None:
    with pytest.raises(StrategyError) as found:
        load_search(SEARCH.replace(old, new), CATALOGUE)

    assert found.value.faults[0].path == place
    assert message in found.value.faults[0].message


def test_the_schema_of_searches_takes_ranges_in_expressions() -> None:
    entry = with_ranges(strategy_schema(CATALOGUE))["$defs"]["Expression"]

    assert {"$ref": "#/$defs/Range"} in entry["properties"]["expr"]["anyOf"]
    assert {"$ref": "#/$defs/Range"} in entry["additionalProperties"]["anyOf"]
    assert json.loads(json.dumps(entry))["required"] == ["expr", "as"]
