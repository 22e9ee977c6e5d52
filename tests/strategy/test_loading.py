"""A strategy's text becomes a Strategy, or a list of every fault it has, and never anything else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import Fault, StrategyError
from ktrdr.features.columns import feature_names
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.document import read_document
from ktrdr.strategy.loading import load_strategy, strategy_schema
from ktrdr.strategy.search_schema import with_ranges
from ktrdr.strategy.sections.labels import Direction, TripleBarrier
from ktrdr.strategy.sections.model import LSTM
from ktrdr.strategy.sections.validation import Holdout, PurgedKFold
from ktrdr.strategy.spec import Strategy
from ktrdr.strategy.validation_errors import UNIONS
from tests.strategy.test_search_loading import SEARCH

jsonschema = pytest.importorskip("jsonschema")

CATALOGUE = IndicatorCatalogue()
STRATEGIES = Path(__file__).parents[2] / "config" / "strategies"
SHIPPED = sorted(path for path in STRATEGIES.glob("*.yaml") if not path.stem.startswith("search_"))

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
WHOLE = f"""\
{MINIMAL}timeframes: [1h, 1d]
calendar: XNYS
labels: {{type: triple_barrier, horizon: 12, volatility_span: 50, upper: 1.5, lower: 1.0}}
validation: {{type: purged_kfold, folds: 4, embargo: 20}}
costs: {{fee_bps: 0.5, slippage_bps: 1}}
controls: {{shuffled_labels: none}}
training: {{sample_weights: uniqueness, device: cpu}}
indicators: [{{name: rsi}}, {{name: sma, timeframe: 1d}}]
"""


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
    assert feature_names(strategy.on(["1d"])) == ("log_return", "sma_20", "rsi_14")


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

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read_document(text).data, strategy_schema(CATALOGUE))


def test_the_schema_of_searches_knows_ranges_and_their_section() -> None:
    schema = with_ranges(strategy_schema(CATALOGUE))
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(read_document(SEARCH).data, schema)
    for right, wrong in (("int: [16", "itn: [16"), ("sampler: tpe", "sampler: tpee"), ("name: sma", "name: smaa")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(read_document(SEARCH.replace(right, wrong)).data, schema)


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
        f"line 3: model.type must be one of {', '.join(UNIONS['model'])}; it is 'lstmm'; did you mean 'lstm'?",
        "line 5: training.epochs must be at least 1; it is -1",
        "line 6: training.validation_split must be at most 0.999; it is 1.5",
        "line 7: training.learning_rate must be a finite number; it is nan",
        "line 8: training.optimiser is not a key of training; did you mean 'optimizer'?",
        "line 10: indicators[0].period must be a number; it is '3'",
        "line 10: indicators[0].name must be a TA-Lib function; it is 'smaa'; did you mean 'sma'?",
        "line 12: indicators[2].period must be at least 1; it is 0",
        "line 13: indicators[3] makes the feature sma_20, which indicators[1] makes too; name it otherwise with `as`",
        "line 14: indicators[4].perid is not a parameter of rsi; it has timeperiod; did you mean 'period'?",
        "line 15: labels.type must be one of direction, forward_return, triple_barrier, trend; it is 'direktion'; "
        "did you mean 'direction'?",
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
        (
            "training: {schedule: {type: cosin}}",
            "training.schedule.type must be one of cosine, one_cycle, plateau; it is 'cosin'; did you mean 'cosine'?",
        ),
        ("training: {schedule: {factor: 0.5}}", "line 3: training.schedule.type is missing"),
        ("training: {schedule: {type: plateau, factor: 1}}", "training.schedule.factor must be less than 1; it is 1"),
        (
            "training: {schedule: {type: plateau, warmup_ratio: 0.1}}",
            "warmup_ratio is not a key of training.schedule of type plateau, but of cosine, one_cycle",
        ),
        ("training: {warmup_ratio: 0.1}", "did you mean 'training.schedule.warmup_ratio'?"),
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
        ("indicators: [{name: correl, sources: [clos, close]}]", "indicators[0].sources[0] must be one of"),
        ("labels:", "line 3: labels must be a mapping; it is null"),
        (
            "labels: {type: null}",
            "labels.type must be one of direction, forward_return, triple_barrier, trend; it is null",
        ),
        ("labels: {horizon: 0}", "line 3: labels.horizon must be at least 1; it is 0"),
        ("labels: {type: trend, horizon: 1}", "line 3: labels.horizon must be at least 2; it is 1"),
        (
            "labels: {type: triple_barrier, uper: 2}",
            "labels.uper is not a key of labels of type triple_barrier; did you mean 'upper'?",
        ),
        (
            "labels: {type: trend, threshold: 0.1}",
            "labels.threshold is not a key of labels of type trend, but of direction",
        ),
        (
            "labels: {embargo: 3}",
            "labels.embargo is not a key of labels of type direction; did you mean 'validation.embargo'?",
        ),
        (
            "labels: {quantiles: [0.7, 0.3]}",
            "line 3: labels.quantiles must rise and lie between 0 and 1; it is a list of 2",
        ),
        ("labels: {quantiles: [low]}", "labels.quantiles[0] must be a number; it is 'low'"),
        ("labels: {quantiles: []}", "labels.quantiles must have at least 1 entries; it is a list of 0"),
        ("labels: {threshold: 0.1, quantiles: [0.5]}", "labels.quantiles must be absent where there is a threshold"),
        (
            "positions: {rule: threshold}",
            "line 3: positions.threshold is missing: positions.rule threshold needs a prob",
        ),
        ("positions: {rule: threshold, threshold: 1.5}", "positions.threshold must be at most 1; it is 1.5"),
        ("positions: {rul: sign}", "positions.rul is not a key of positions; did you mean 'rule'?"),
        (
            "positions: {hold: barrier}",
            "positions.hold must be signal: only labels of type triple_barrier have barriers",
        ),
        ("costs: {min_fee: 1}", "line 3: costs.capital is missing: costs.min_fee needs to know how much is traded"),
        ("costs: {participation: 0.1}", "costs.capital is missing: costs.participation needs"),
        (
            "labels: {type: forward_return}\npositions: {kelly: 0.5, volatility_target: 0.1}",
            "line 4: positions.volatility_target must be absent in a regression with positions.kelly",
        ),
        ("horizon: 3", "line 3: horizon is not a key of a strategy; did you mean 'labels.horizon'?"),
        ("folds: 3", "did you mean 'validation.folds'?"),
        (
            "validation: {type: walkforward}",
            "one of holdout, walk_forward, purged_kfold; it is 'walkforward'; did you mean 'walk_forward'?",
        ),
        (
            "validation: {folds: 3}",
            "validation.folds is not a key of validation of type holdout, but of walk_forward, purged_kfold",
        ),
        ("validation: {type: walk_forward, folds: 1}", "validation.folds must be at least 2; it is 1"),
        ("validation: {type: walk_forward, windw: rolling}", "did you mean 'window'?"),
        ("validation: {embargo: 1.5}", "validation.embargo must be a count of bars or a share such as 1%; it is 1.5"),
        ("validation: {embargo: 1 %}", "validation.embargo must be a count of bars or a share such as 1%; it is '1 %'"),
        ("validation: {embargo: true}", "validation.embargo must be a count of bars or a share such as 1%; it is true"),
        ("validation: {embargo: -1}", "validation.embargo must be at least 0; it is -1"),
        ("costs: {fee_bp: 1}", "costs.fee_bp is not a key of costs; did you mean 'fee_bps'?"),
        (
            "controls: {shuffled_labels: breif}",
            "must be one of brief, full, none; it is 'breif'; did you mean 'brief'?",
        ),
        ("controls: {shuffled: brief}", "did you mean 'shuffled_labels'?"),
        (
            "training: {device: cudaa}",
            "training.device must be one of auto, cpu, cuda, mps; it is 'cudaa'; did you mean 'cuda'?",
        ),
        ("timeframes: [1d, 1h]", "line 3: timeframes must name each once, shortest first; it is a list of 2"),
        ("timeframes: 1h", "line 3: timeframes must be a list; it is '1h'"),
        (
            "timeframes: [1h, 1dd]",
            "line 3: timeframes[1] must be one of 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 1w; it is '1dd'",
        ),
        ("timeframe: 1h", "line 3: timeframe is not a key of a strategy; did you mean 'timeframes'?"),
        ("calendar: X NYS", "line 3: calendar must be an exchange's code, such as XNYS, or 24/7; it is 'X NYS'"),
        ("calendar: XNYC", "it is 'XNYC'; did you mean 'XNYS'?"),
        ("calendar: 3", "line 3: calendar must be text; it is 3"),
    ],
)
def test_a_wrong_value_is_one_fault_with_its_place(section: str, expected: str) -> None:
    assert expected in only_fault(MINIMAL + section)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "{type: transformer, heads: 3}",
            "line 2: model.heads must divide hidden_size; it is 3, and hidden_size is 64",
        ),
        (
            "{type: transformer, hidden_size: 30}",
            "line 2: model.heads must divide hidden_size; it is 4, and hidden_size is 30",
        ),
        ("{type: tcn, kernel: 3}", "model.kernel is not a key of model of type tcn; did you mean 'kernel_size'?"),
        ("{type: mlp, heads: 3}", "model.heads is not a key of model of type mlp, but of transformer"),
        ("{type: gradient_boosting, hidden_size: 3}", "but of lstm, gru, mlp, tcn, transformer"),
        ("{type: gradient_boosting, leaves: 1}", "model.leaves must be at least 2; it is 1"),
        (
            "{type: gradient_boosting}\ntraining: {schedule: {type: cosine}}",
            "line 3: training.schedule must be absent with model.type gradient_boosting",
        ),
        ("{heads: 3}", "line 2: model.type is missing"),
        ("mlp", "line 2: model must be a mapping; it is 'mlp'"),
    ],
)
def test_a_fault_of_a_model_is_told_by_its_type(model: str, expected: str) -> None:
    assert expected in only_fault(f"name: x\nmodel: {model}\n")


def test_types_of_labels_and_validation_may_be_left_out() -> None:
    strategy = load_strategy(MINIMAL + "labels: {horizon: 5}\nvalidation: {embargo: 1%, test: 0.1}\n", CATALOGUE)

    assert (strategy.labels, strategy.validation) == (Direction(horizon=5), Holdout(embargo="1%", test=0.1))
    assert load_strategy(strategy.model_dump_json(), CATALOGUE) == strategy


def test_every_section_loads() -> None:
    strategy = load_strategy(WHOLE, CATALOGUE)

    assert strategy.labels == TripleBarrier(type="triple_barrier", horizon=12, volatility_span=50, upper=1.5, lower=1.0)
    assert strategy.validation == PurgedKFold(type="purged_kfold", folds=4, embargo=20)
    assert [indicator.timeframe for indicator in strategy.indicators] == [None, "1d"]
    jsonschema.validate(json.loads(strategy.model_dump_json()), strategy_schema(CATALOGUE))


@pytest.mark.parametrize("calendar", ["24/7", "NYSE", "us_futures"])
def test_calendars_are_known_by_their_codes_and_other_names(calendar: str) -> None:
    assert load_strategy(f"{MINIMAL}calendar: {calendar}", CATALOGUE).calendar == calendar


def test_an_indicators_timeframe_is_one_of_the_strategys() -> None:
    indicators = "indicators:\n  - {name: sma}\n  - {name: sma, timeframe: 4h, as: slow}\n"

    assert load_strategy(MINIMAL + indicators, CATALOGUE).indicators[1].timeframe == "4h"
    assert only_fault(f"{MINIMAL}timeframes: [1h, 1d]\n{indicators}") == (
        "line 6: indicators[1].timeframe must be one of 1h, 1d, as the strategy's timeframes are; it is '4h'"
    )


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [("1h", "1d", False), ("1d", "1d", True), (None, "1d", True), ("1h", None, True), (None, None, True)],
)
def test_indicators_of_one_name_clash_where_their_timeframes_overlap(
    first: str | None, second: str | None, clash: bool
) -> None:
    items = [{"name": "rsi"} | ({"timeframe": each} if each else {}) for each in (first, second)]
    text = MINIMAL + f"timeframes: [1h, 1d]\nindicators: {json.dumps(items)}"

    if clash:
        assert "indicators[1] makes the feature rsi_14, which indicators[0] makes too" in only_fault(text)
    else:
        assert len(load_strategy(text, CATALOGUE).indicators) == 2


def test_the_same_function_may_appear_twice_under_another_name() -> None:
    strategy = load_strategy(
        MINIMAL + "indicators: [{name: sma, period: 20}, {name: sma, period: 20, as: again}]", CATALOGUE
    )

    assert feature_names(strategy.on(["1d"])) == ("log_return", "sma_20", "again")


def test_a_strategy_cannot_be_changed() -> None:
    strategy = load_strategy(GUIDE, CATALOGUE)

    with pytest.raises(ValueError, match="frozen"):
        strategy.training.epochs = 3  # type: ignore[misc]


PIECES = (
    *("name", "model", "type", "lstm", "training", "epochs", "indicators", "sma", "period", "as", "source", "null"),
    *(
        "labels",
        "trend",
        "quantiles",
        "validation",
        "embargo",
        "1%",
        "timeframes",
        "timeframe",
        "1d",
        "calendar",
        "key",
    ),
)
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
    text = data.draw(st.sampled_from([GUIDE, WHOLE, *(path.read_text() for path in SHIPPED)]))
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
def test_any_text_is_refused_in_words_that_survive_json(text: str) -> None:
    faults = faults_of(text)

    assert faults
    assert all(fault.message.strip() for fault in faults)
    assert json.loads(json.dumps([asdict(fault) for fault in faults], allow_nan=False))


@pytest.mark.processes
def test_importing_strategies_imports_nothing_heavy() -> None:
    code = "import sys, ktrdr.strategy.loading; print(*{'talib', 'numpy', 'polars', 'pandas'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
