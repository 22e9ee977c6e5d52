"""Features and labels that are plugins, as a training makes them."""

from __future__ import annotations

import numpy as np
import pytest

from ktrdr.errors import PluginError
from ktrdr.features.assemble import build_dataset
from ktrdr.features.columns import build_features
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.labels.types import label_of
from ktrdr.features.leaks.gate import check_leaks
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from tests.plugin_files import Write, write
from tests.small_trainings import planted_bars

__all__ = ["write"]

BARS = planted_bars(200)
FEATURES = """\
@feature(warmup=lambda window: window - 1, unit="price")
def average(bars, window: int = 3):
    return bars["close"].rolling_mean(window)


@feature(warmup=0, outputs=("span", "sign"))
def body(bars):
    return pl.DataFrame({"span": bars["high"] / bars["low"], "sign": bars["close"] > bars["open"]})


@label(classes=("small", "middle", "large"), cuts=(0.001, 0.01))
def size(bars, horizon, factor: float = 1.0):
    return (bars["close"].shift(-horizon) / bars["close"]).log().abs() * factor


@label()
def move(bars, horizon):
    return (bars["close"].shift(-horizon) / bars["close"]).log()
"""


def strategy(text: str) -> Strategy:
    head = "name: x\nmodel: {type: mlp, sequence_length: 2}\n"
    return load_strategy(f"{head}{text}\n", IndicatorCatalogue()).on(["1d"])


def test_features_are_computed_named_and_freed_of_their_unit(write: Write) -> None:
    write(FEATURES)
    spec = strategy("features: {returns: false}\nindicators: [{plugin: average}, {plugin: body}]")

    built = build_features(spec, SymbolBars({"1d": BARS}))

    assert (built.names, built.warmup) == (("average_3", "body.span", "body.sign"), 2)
    close = BARS["close"].to_numpy()
    assert built.values[5, 0] == pytest.approx(close[3:6].mean() / close[5] - 1)
    assert set(built.values[2:, 2]) == {0.0, 1.0}
    assert np.isnan(built.values[:2]).all()
    assert np.isfinite(built.values[2:]).all()


def test_labels_are_measured_and_settled_by_their_horizon(write: Write) -> None:
    write(FEATURES)
    spec = strategy("labels: {type: size, horizon: 2, factor: 2.0}").labels
    label = label_of(spec)

    found = label.measure(spec, BARS)

    close = BARS["close"].to_numpy()
    assert found.values[4] == pytest.approx(2 * abs(np.log(close[6] / close[4])))
    assert found.settled.tolist() == [*range(2, 200), -1, -1]
    cuts = label.cuts(spec, found.values[found.known])
    assert cuts is not None
    assert (cuts.low, cuts.high, label.class_names(spec)) == (0.001, 0.01, ("small", "middle", "large"))


@pytest.mark.parametrize(("label", "outputs"), [("size", 3), ("move", 1)])
def test_they_make_a_dataset_that_passes_the_leak_gate(label: str, outputs: int, write: Write) -> None:
    write(FEATURES)
    spec = strategy(f"labels: {{type: {label}, horizon: 2}}\nindicators: [{{plugin: average, window: 5}}]")
    bars = {"UP": SymbolBars({"1d": BARS})}
    dataset = build_dataset(spec, bars)

    assert dataset.outputs == outputs
    assert check_leaks(spec, bars, dataset).passed


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "mine.py, line 6, in bad: it returns None and not a pl.Series"),
        ("return bars", "it returns a DataFrame and not a pl.Series"),
        ("return bars['close'].head(3)", "it returns a series of 3 values for 200 bars"),
        ("return bars['timestamp']", "which are no numbers"),
        ("return bars['x']", 'mine.py, line 8, in bad: ColumnNotFoundError: "x" not found'),
        ("raise SystemExit(3)", "mine.py, line 8, in bad: SystemExit: 3"),
    ],
)
def test_what_a_feature_does_not_return_is_said_with_its_place(body: str, words: str, write: Write) -> None:
    write(f"@feature(warmup=0)\ndef bad(bars):\n    {body}\n")
    spec = strategy("indicators: [{plugin: bad}]")

    with pytest.raises(PluginError) as caught:
        build_features(spec, SymbolBars({"1d": BARS}))

    assert words in caught.value.detail


def test_a_catalogue_describes_and_lists_them(write: Write) -> None:
    write(FEATURES)
    catalogue = IndicatorCatalogue()

    described = catalogue.describe("BODY")

    assert {"average", "body", "rsi"} <= {each.name for each in catalogue.describe_all()}
    assert (described.group, described.outputs, described.enters_as) == ("Plugins", ("span", "sign"), ("span", "sign"))
    assert catalogue.describe("average").enters_as == ("average / close - 1",)
    assert catalogue.describe("average").warmup == 2
