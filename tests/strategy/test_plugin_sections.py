"""Strategies whose features, labels and networks are plugins."""

from __future__ import annotations

import json

import pytest

from ktrdr.errors import StrategyError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.payloads.plugins import PluginDeclaration, PluginFile, PluginParameter, Plugins
from ktrdr.strategy.loading import load_strategy, strategy_schema
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_schema import with_ranges
from ktrdr.strategy.sections.base import PluginLabel, PluginModel
from ktrdr.strategy.spec import Strategy

jsonschema = pytest.importorskip("jsonschema")

WINDOW = PluginParameter(name="window", type="integer", default=20, ge=2, le=500)
SCALE = PluginParameter(name="scale", type="number", default=1.0, gt=0)
WAY = PluginParameter(name="way", type="string", default="up", choices=("up", "down"))
ON = PluginParameter(name="is_on", type="boolean", default=True)
PLUGINS = Plugins(
    files=(
        PluginFile(
            path="/srv/plugins/mine.py",
            sha256="5" * 64,
            plugins=(
                PluginDeclaration(kind="feature", name="gap", function="gap", line=1, parameters=(WINDOW, SCALE)),
                PluginDeclaration(kind="feature", name="two", function="two", line=1, outputs=("a", "b")),
                PluginDeclaration(
                    kind="label", name="rise", function="rise", line=1, parameters=(WAY,), classes=("no", "yes")
                ),
                PluginDeclaration(kind="label", name="target", function="target", line=1),
                PluginDeclaration(kind="network", name="net", function="Net", line=1, parameters=(WINDOW, ON)),
            ),
        ),
        PluginFile(path="/srv/plugins/broken.py", sha256="6" * 64, error="broken.py, line 3: NameError"),
    )
)
CATALOGUE = IndicatorCatalogue(lambda: PLUGINS)
WHOLE = """\
name: Mine
model: {type: net, window: 30, sequence_length: 8}
labels: {type: rise, horizon: 3}
indicators: [{plugin: gap, window: 5}, {plugin: two, as: pair, timeframe: 1d}, {name: rsi}]
"""


def test_a_strategy_is_loaded_with_all_parameters_and_the_hash_of_the_file() -> None:
    strategy = load_strategy(WHOLE, CATALOGUE)

    assert strategy.model == PluginModel.model_validate(
        {"type": "net", "sequence_length": 8, "sha256": "5" * 64, "window": 30, "is_on": True}
    )
    assert strategy.labels == PluginLabel.model_validate(
        {"type": "rise", "horizon": 3, "sha256": "5" * 64, "classes": ["no", "yes"], "way": "up"}
    )
    assert strategy.indicators[0].parameters == {"window": 5, "scale": 1.0}
    assert [CATALOGUE.feature_names(each) for each in strategy.indicators] == [
        ("gap_5",),
        ("pair.a", "pair.b"),
        ("rsi_14",),
    ]
    assert [(each.kind, each.name) for each in strategy.plugins] == [
        ("feature", "gap"),
        ("feature", "two"),
        ("label", "rise"),
        ("network", "net"),
    ]


def test_it_survives_json_with_its_hashes_and_others_have_none() -> None:
    strategy = load_strategy(WHOLE, CATALOGUE)
    dumped = json.dumps(strategy.model_dump(mode="json"))

    assert Strategy.model_validate_json(dumped) == strategy
    assert load_strategy(dumped, CATALOGUE) == strategy
    assert dumped.count("5" * 64) == 4
    others = load_strategy("name: x\nmodel: {type: mlp}\nindicators: [{name: rsi}]\n", CATALOGUE)
    assert '"sha256"' not in others.model_dump_json()


@pytest.mark.parametrize(("label", "is_regression"), [("rise", False), ("target", True)])
def test_a_label_without_classes_makes_a_regression(label: str, is_regression: bool) -> None:
    strategy = load_strategy(f"name: x\nmodel: {{type: mlp}}\nlabels: {{type: {label}}}\n", CATALOGUE)

    assert strategy.is_regression is is_regression


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        (
            "model: {type: nett}",
            "model.type must be one of lstm, gru, mlp, tcn, transformer, gradient_boosting, net",
        ),
        ("model: {type: nett}", "a plugin file cannot be used: broken.py, line 3: NameError; did you mean 'net'?"),
        ("model: {type: net, window: 1}", "line 2: model.window must be at least 2; it is 1"),
        ("model: {type: net, window: 1.5}", "line 2: model.window must be a whole number; it is 1.5"),
        (
            "model: {type: net, windw: 5}",
            "is not a parameter of net; it has window, is_on; did you mean 'window'?",
        ),
        ("model: {type: net, is_on: 1}", "model.is_on must be true or false; it is 1"),
        ("model: {type: net, sequence_length: 0}", "model.sequence_length must be at least 1; it is 0"),
        ("model: {type: net, sha256: abc}", "model.sha256 must be 5555"),
        ("model: {type: 3}", "model.type must be one of lstm"),
        ("labels: {type: rise, way: left}", "labels.way must be one of up, down; it is 'left'"),
        (
            "labels: {type: rise, classes: [a, b]}",
            "labels.classes must be what rise declares, ['no', 'yes']",
        ),
        ("labels: {type: target, way: up}", "labels.way is not a parameter of target; it has no parameters"),
        ("labels: {type: ris}", "did you mean 'rise'?"),
        ("indicators: [{plugin: gap, scale: 0}]", "indicators[0].scale must be greater than 0; it is 0"),
        ("indicators: [{plugin: gap, window: 501}]", "indicators[0].window must be at most 500; it is 501"),
        ("indicators: [{plugin: gap, source: close}]", "indicators[0].source"),
        ("indicators: [{plugin: gapp}]", "indicators[0].plugin must be one of gap, two; it is 'gapp'"),
        (
            "indicators: [{plugin: gap}, {plugin: gap}]",
            "indicators[1] makes the feature gap_20, which",
        ),
    ],
)
def test_every_fault_has_its_place_and_rule(section: str, fault: str) -> None:
    text = f"name: x\n{section}\n" + ("" if section.startswith("model") else "model: {type: mlp}\n")

    with pytest.raises(StrategyError) as caught:
        load_strategy(text, CATALOGUE)

    assert len(caught.value.faults) == 1
    assert fault in str(caught.value.faults[0])


def test_faults_of_plugins_and_of_the_schema_are_told_at_once() -> None:
    with pytest.raises(StrategyError) as caught:
        load_strategy("name: x\nmodel: {type: net, window: 0}\ntraining: {epochs: 0}\nlabels: {type: x}\n", CATALOGUE)

    assert [fault.path for fault in caught.value.faults] == ["model.window", "training.epochs", "labels.type"]


def test_the_schema_has_them_beside_the_shipped_ones() -> None:
    schema = with_ranges(strategy_schema(CATALOGUE))
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = json.loads(load_strategy(WHOLE, CATALOGUE).model_dump_json(exclude_none=True))

    jsonschema.validate(valid, schema)
    jsonschema.validate(valid | {"model": {"type": "net", "window": {"int": [2, 9]}}}, schema)
    for wrong in ({"type": "net", "window": 1}, {"type": "net", "windw": 3}, {"type": "nett"}):
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(valid | {"model": wrong}))
    assert set(strategy_schema(CATALOGUE)["properties"]["model"]["discriminator"]["mapping"]) >= {"net", "lstm"}


def test_their_parameters_are_searched_as_others_are() -> None:
    text = """\
name: x
model: {type: {choice: [net, lstm]}}
labels: {type: rise, way: {choice: [up, down]}}
indicators: [{plugin: gap, window: {int: [2, 60]}, as: gap}]
search: {trials: 3, objective: lead}
"""
    titles = [each.title for each in load_search(text, CATALOGUE).parameters]

    assert titles == ["model.type", "labels.way", "gap.window"]

    with pytest.raises(StrategyError, match=r"indicators\[0\].window.int\[0\] must be at least 2; it is 1"):
        load_search(text.replace("[2, 60]", "[1, 60]"), CATALOGUE)
