"""A strategy's text becomes a Strategy, or a list of every fault it has, and never anything else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import Fault, StrategyError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.matrix import feature_names
from ktrdr.strategy.loading import load_strategy, strategy_schema
from ktrdr.strategy.spec import LSTM, Strategy

jsonschema = pytest.importorskip("jsonschema")

CATALOGUE = IndicatorCatalogue()
SHIPPED = sorted((Path(__file__).parents[2] / "config" / "strategies").glob("*.yaml"))

GUIDE = """\
name: E2E Test Strategy
description: Fast training for E2E validation

training:
  epochs: 10  # Small number for quick testing
  batch_size: 32
  validation_split: 0.2

model:
  type: lstm
  layers: 2
  hidden_size: 64

indicators:
  - name: sma
    period: 20
  - name: rsi
    period: 14
"""
MINIMAL = "name: x\nmodel: {type: mlp}\n"


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(StrategyError) as caught:
        load_strategy(text, CATALOGUE)
    return caught.value.faults


def only_fault(text: str) -> str:
    (fault,) = faults_of(text)
    return str(fault)


def test_the_guides_strategy_loads_as_it_stands() -> None:
    strategy = load_strategy(GUIDE, CATALOGUE)

    assert strategy.model == LSTM(type="lstm", layers=2, hidden_size=64)
    assert (strategy.training.epochs, strategy.training.batch_size, strategy.training.validation_split) == (10, 32, 0.2)
    assert [indicator.parameters for indicator in strategy.indicators] == [{"timeperiod": 20}, {"timeperiod": 14}]
    assert feature_names(strategy) == ("log_return", "sma_20", "rsi_14")


def test_the_shipped_end_to_end_strategy_is_the_guides() -> None:
    shipped = load_strategy(next(path for path in SHIPPED if path.stem == "test_e2e").read_text(), CATALOGUE)

    words = {"name": "", "description": ""}
    assert shipped.model_copy(update=words) == load_strategy(GUIDE, CATALOGUE).model_copy(update=words)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_strategies_load_survive_json_and_fit_the_schema(path: Path) -> None:
    strategy = load_strategy(path.read_text(), CATALOGUE)
    dumped = json.loads(json.dumps(strategy.model_dump(mode="json")))

    assert Strategy.model_validate(dumped) == strategy
    assert load_strategy(json.dumps(dumped), CATALOGUE) == strategy
    for schema in (strategy_schema(), strategy_schema(CATALOGUE)):
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(dumped, schema)


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nmodel: {type: lstm, layers: 0}",
        "name: x\nmodel: {type: lstmm}",
        MINIMAL + "training: {epochs: ten}",
        MINIMAL + "trainng: {epochs: 10}",
        MINIMAL + "indicators: [{name: smaa}]",
        MINIMAL + "indicators: [{name: sma, period: twenty}]",
    ],
)
def test_the_schema_refuses_what_loading_refuses(text: str) -> None:
    faults_of(text)
    from ktrdr.strategy.document import read_document

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read_document(text).data, strategy_schema(CATALOGUE))


def test_every_fault_is_told_at_once_in_the_order_of_lines() -> None:
    faults = faults_of(
        """\
name: 3
modle: 1
model: {type: lstmm}
training:
  epochs: -1
  validation_split: 1.5
  learning_rate: .nan
  optimiser: adam
indicators:
  - {name: smaa, period: "3"}
  - {name: sma, period: 20}
  - {name: sma, period: 0}
  - {name: SMA, timeperiod: 20}
  - {name: rsi, perid: 3}
labels: {type: direktion}
"""
    )

    assert [str(fault) for fault in faults] == [
        "line 1: name must be text; it is 3",
        "line 2: modle is not a key of a strategy; did you mean 'model'?",
        "line 3: model.type must be one of lstm, gru, mlp; it is 'lstmm'; did you mean 'lstm'?",
        "line 5: training.epochs must be at least 1; it is -1",
        "line 6: training.validation_split must be at most 0.999; it is 1.5",
        "line 7: training.learning_rate must be a finite number; it is nan",
        "line 8: training.optimiser is not a key of training; did you mean 'optimizer'?",
        "line 10: indicators[0].period must be a number; it is '3'",
        "line 10: indicators[0].name must be a TA-Lib function; it is 'smaa'; did you mean 'sma'?",
        "line 12: indicators[2].period must be at least 1; it is 0",
        "line 13: indicators[3] makes the feature sma_20, which indicators[1] makes too; name it otherwise with `as`",
        "line 14: indicators[4].perid is not a parameter of rsi; it has timeperiod; did you mean 'period'?",
        "line 15: labels.type must be direction; it is 'direktion'; did you mean 'direction'?",
    ]
    json.dumps([fault.value for fault in faults], allow_nan=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "strategy is empty"),
        ("# nothing\n", "strategy is empty"),
        ("name: x\0y", "line 1: strategy is not text: it holds binary data"),
        ("\x89PNG\r\n\x1a\n", "strategy is not valid YAML: unacceptable character"),
        ("a" * 1_000_001, "strategy is larger than 1,000,000 bytes"),
        ("just words", "line 1: strategy must be a mapping of keys to values; it is 'just words'"),
        ("- name: x", "line 1: strategy must be a mapping of keys to values; it is a list of 1"),
        ("name: x\n---\nname: y", "line 2: strategy must be one document; a second one begins"),
        ("a: &a [*a]", "line 1: strategy must not use anchors and aliases (& and *)"),
        ("a: &a 1\nb: [*a, *a]", "line 1: strategy must not use anchors and aliases (& and *)"),
        ("a: !!python/object:os.system x", "line 1: strategy must not use tags"),
        ("a: " + "[" * 1000, "line 1: strategy is nested more than 16 levels deep"),
        ("a: [1", "line 1: strategy is not valid YAML"),
        ("? [a]\n: 1", "line 1: strategy must have plain text as keys"),
        ("[" + "1, " * 6000 + "]", "line 1: strategy has more than 5,000 entries"),
    ],
)
def test_documents_that_cannot_be_read_say_why(text: str, expected: str) -> None:
    assert only_fault(text).startswith(expected)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("name: y", "line 3: name is given twice; first on line 1"),
        ("training: {epochs: ten}", "line 3: training.epochs must be a whole number; it is 'ten'"),
        ("training: {epochs: '10'}", "line 3: training.epochs must be a whole number; it is '10'"),
        ("training: {epochs: true}", "line 3: training.epochs must be a whole number; it is true"),
        ("training: {epochs: 10.0}", "line 3: training.epochs must be a whole number; it is 10.0"),
        ("training: {learning_rate: .inf}", "line 3: training.learning_rate must be a finite number; it is inf"),
        ("training: {learning_rate: false}", "line 3: training.learning_rate must be a number; it is false"),
        ("training: {dropout: 0.1}", "did you mean 'model.dropout'?"),
        ("training: {early_stopping: {patience: 0}}", "training.early_stopping.patience must be at least 1; it is 0"),
        ("training:", "line 3: training must be a mapping; it is null"),
        ("features: {returns: yes}", "line 3: features.returns must be true or false; it is 'yes'"),
        ("features: {returns: false}", "line 3: features.returns must be true when there are no indicators"),
        ("indicators: {name: sma}", "line 3: indicators must be a list; it is a mapping"),
        ("indicators: [{name: macd, period: 9}]", "it has fastperiod, slowperiod, signalperiod"),
        ("indicators: [{name: sma, period: 2.5}]", "indicators[0].period must be a whole number; it is 2.5"),
        ("indicators: [{name: sma, period: .nan}]", "indicators[0].period must be a finite number; it is nan"),
        ("indicators: [{name: sma, sorce: close}]", "did you mean 'source'?"),
        ("indicators: [{name: sma, source: clos}]", "did you mean 'close'?"),
        ("indicators: [{name: sma, as: log_return}]", "makes the feature log_return, which features.returns makes too"),
        ("indicators: [{name: sma, as: ../../x}]", "indicators[0].as must begin with a letter"),
    ],
)
def test_a_wrong_value_is_one_fault_with_its_place(section: str, expected: str) -> None:
    assert expected in only_fault(MINIMAL + section)


def test_the_same_function_may_appear_twice_under_another_name() -> None:
    strategy = load_strategy(
        MINIMAL + "indicators: [{name: sma, period: 20}, {name: sma, period: 20, as: again}]", CATALOGUE
    )

    assert feature_names(strategy) == ("log_return", "sma_20", "again")


def test_a_strategy_cannot_be_changed() -> None:
    strategy = load_strategy(GUIDE, CATALOGUE)

    with pytest.raises(ValueError, match="frozen"):
        strategy.training.epochs = 3  # type: ignore[misc]


PIECES = ("name", "model", "type", "lstm", "training", "epochs", "indicators", "sma", "period", "as", "source", "null")
SYNTAX = (
    *[":", "-", "[", "]", "{", "}", ",", "#", "&", "*", "!", "|", ">", "'", '"', "%", "@", "`", "?", "~", "<", "="],
    "\n",
    "  ",
    "---",
    "...",
    "<<",
    ".nan",
    "1e999",
    "0x",
    "0o9",
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_text_gives_a_strategy_or_its_faults(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([GUIDE, *(path.read_text() for path in SHIPPED)]))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        patch = st.one_of(
            st.sampled_from(SYNTAX),
            st.sampled_from(PIECES),
            st.text(max_size=4),
            st.integers().map(str),
            st.floats().map(str),
        )
        text = text[:start] + data.draw(patch) + text[end:]

    try:
        strategy = load_strategy(text, CATALOGUE)
    except StrategyError as error:
        json.dumps(error.context, allow_nan=False)
    else:
        assert load_strategy(strategy.model_dump_json(), CATALOGUE) == strategy


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_is_refused_politely(text: str) -> None:
    faults_of(text)


def test_importing_strategies_imports_nothing_heavy() -> None:
    code = "import sys, ktrdr.strategy.loading; print(*{'talib', 'numpy', 'polars', 'pandas'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
