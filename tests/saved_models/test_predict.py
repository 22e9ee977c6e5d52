from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import TrainingDataError
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.experiments.train import run_training
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.market.series_file import StoredBars
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.evaluation import Classification
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.predict import closed_bars, predict_last
from ktrdr.saved_models.trained_model import load_model
from ktrdr.training.files import CARD, PREDICTIONS, UNSEALED
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.bars import Series, every_source
from tests.saved_trainings import daily, open_test_part, save, strategy

MODELS = {
    "lstm": {"type": "lstm", "layers": 2, "hidden_size": 9, "dropout": 0.2, "sequence_length": 7},
    "transformer": {"type": "transformer", "layers": 1, "hidden_size": 12, "sequence_length": 7},
    "mlp": {"type": "mlp", "layers": 1, "hidden_size": 9, "sequence_length": 3},
    "gradient_boosting": {"type": "gradient_boosting"},
}
CLASSES = ("down", "flat", "up")
REGRESSION = {"labels": {"type": "forward_return"}}


@pytest.mark.parametrize("model", ["lstm", "gru", "mlp", "tcn", "transformer"])
@pytest.mark.parametrize("labels", [{}, REGRESSION, {"labels": {"threshold": 0.01}}])
def test_history_is_predicted_as_in_the_training_to_the_bit(model: str, labels: dict[str, Any], tmp_path: Path) -> None:
    bars = daily()
    save(tmp_path, strategy(model, **labels), bars)
    then = pl.read_parquet(tmp_path / PREDICTIONS)

    loaded = load_model(tmp_path)

    for symbol in bars:
        for last in (1, 2, 3, 20, 10_000):
            now = predict_last(loaded, symbol, bars[symbol], last)
            both = then.filter(symbol=symbol).join(now, on="timestamp", suffix="_now")
            assert len(both) >= min(last, 50) - 1, "the newest bar has no label yet"
            for name in set(now.columns) - {"timestamp", "close"}:
                assert both[name].to_list() == both[f"{name}_now"].to_list()


def test_a_symbol_that_was_not_trained_is_predicted_too(tmp_path: Path) -> None:
    save(tmp_path, strategy(), daily())

    table = predict_last(load_model(tmp_path), "OTHER", daily(("A", "B", "OTHER"))["OTHER"], 20)

    assert len(table) == 20
    assert table["timestamp"].is_sorted()
    np.testing.assert_allclose(table.select(pl.sum_horizontal("probability_down", "probability_up")).to_series(), 1)


@every_source
def test_several_timeframes_are_predicted_as_in_the_training(series: Series, tmp_path: Path) -> None:
    hours = series("AAPL_1h").tail(700)
    days = series("AAPL_1d").filter(pl.col("timestamp") >= hours["timestamp"][0] - timedelta(days=60))
    bars = {"AAPL": SymbolBars({"1h": hours, "1d": days})}
    spec = strategy("gru", ("1h", "1d"), calendar="XNYS")
    dataset, _ = save(tmp_path, spec, bars)
    then = pl.read_parquet(tmp_path / PREDICTIONS)

    now = predict_last(load_model(tmp_path), "AAPL", bars["AAPL"], 50)

    assert any(name.endswith("@1d") for name in dataset.feature_names)
    both = then.join(now, on="timestamp", suffix="_now")
    assert len(both) > 40
    assert both["probability_up"].to_list() == both["probability_up_now"].to_list()


def test_a_bar_that_is_still_open_says_nothing() -> None:
    spec, bars = strategy(), daily(("A",), rows=10)["A"]
    last = bars["1d"]["timestamp"][-1]

    assert len(closed_bars(spec, bars, last + timedelta(hours=23))["1d"]) == 9
    assert len(closed_bars(spec, bars, last + timedelta(hours=24))["1d"]) == 10
    assert closed_bars(spec, bars, datetime(1990, 1, 1, tzinfo=UTC))["1d"].is_empty()


def test_too_few_bars_are_told_with_how_many_are_needed(tmp_path: Path) -> None:
    save(tmp_path, strategy(), daily())

    with pytest.raises(TrainingDataError, match="UP has too few closed bars for a window: there are 11; at least 12"):
        predict_last(load_model(tmp_path), "UP", SymbolBars({"1d": daily()["UP"]["1d"].head(11)}), 20)


def test_predictions_of_a_training_are_a_row_for_each_sample(tmp_path: Path) -> None:
    dataset, outputs = save(tmp_path, strategy(labels={"threshold": 0.01}), daily())

    table = pl.read_parquet(tmp_path / PREDICTIONS)

    assert table.columns == [
        *("timestamp", "symbol", "part", "label", "predicted"),
        *("probability_down", "probability_flat", "probability_up"),
    ]
    assert len(table) == len(dataset.validation.labels)
    names = np.array(dataset.class_names)
    assert table["label"].to_list() == names[dataset.validation.labels].tolist()
    assert table["predicted"].to_list() == names[outputs.argmax(1)].tolist()
    assert set(table["symbol"]) == {"UP", "DOWN"}


def test_a_rows_probabilities_do_not_depend_on_its_neighbours() -> None:
    outputs = np.random.default_rng(0).normal(0, 5, (1000, 3)).astype(np.float32)

    whole = class_probabilities(outputs)

    assert all((class_probabilities(outputs[row : row + 1]) == whole[row]).all() for row in range(1000))


def read_both_parts(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(each / PREDICTIONS) for each in (folder, folder / UNSEALED)])


@pytest.mark.parametrize("model", ["lstm", "transformer", "gradient_boosting"])
def test_a_training_itself_is_predicted_again_to_the_bit(model: str, tmp_path: Path) -> None:
    spec = strategy(model, model=MODELS[model], training={"epochs": 3}, validation={"test": 0.1})
    bars = daily()
    request = TrainingRequest("op_1", spec, "s", "name: s\n", tuple(bars), None, None, tmp_path)
    run_training(
        request, lambda symbol, each: StoredBars(bars[symbol][each], "made"), SilentObserver(), looks=Unrecorded()
    )
    open_test_part(tmp_path, bars)
    then = read_both_parts(tmp_path)

    loaded = load_model(tmp_path)

    assert set(then["part"]) == {"validation", "test"}
    for symbol in bars:
        now = predict_last(loaded, symbol, bars[symbol], 150)
        both = then.filter(symbol=symbol).join(now, on="timestamp", suffix="_now")
        assert len(both) == len(then.filter(symbol=symbol))
        assert both["probability_up"].to_list() == both["probability_up_now"].to_list()
    assert then["probability_up"].n_unique() > 10


BALANCED: dict[str, Any] = {
    "labels": {"threshold": 0.02},
    "training": {"epochs": 2, "class_weights": "balanced"},
    "validation": {"test": 0.1},
}


def balanced(model: str, folder: Path) -> tuple[TrainingResults, dict[str, Any]]:
    """The results of a training with balanced class weights in `folder`, and its bars."""
    spec, bars = strategy(model, model=MODELS[model], **BALANCED), daily()
    request = TrainingRequest("op_1", spec, "s", "name: s\n", tuple(bars), None, None, folder)
    return run_training(
        request, lambda symbol, each: StoredBars(bars[symbol][each], "made"), SilentObserver(), looks=Unrecorded()
    ), bars


def log_loss(table: pl.DataFrame) -> float:
    names = table["label"].to_list()
    return float(np.mean([-np.log(table[f"probability_{name}"][row]) for row, name in enumerate(names)]))


@pytest.mark.parametrize("model", ["mlp", "lstm", "gradient_boosting"])
def test_the_probabilities_given_out_are_those_that_log_loss_is_about(model: str, tmp_path: Path) -> None:
    results, bars = balanced(model, tmp_path)
    opened = open_test_part(tmp_path, bars).evaluation
    then = read_both_parts(tmp_path)

    now = pl.concat(
        predict_last(load_model(tmp_path), symbol, bars[symbol], 200).with_columns(symbol=pl.lit(symbol))
        for symbol in bars
    )

    assert isinstance(results.evaluation, Classification)
    assert isinstance(opened, Classification)
    given = then.join(now, on=["timestamp", "symbol"], suffix="_now", maintain_order="left")
    assert len(given) == len(then)
    for part, evaluation in (("validation", results.evaluation), ("test", opened)):
        own = given.filter(part=part)
        assert log_loss(own) == pytest.approx(evaluation.log_loss, abs=1e-12)
        renamed = {f"probability_{name}_now": f"probability_{name}" for name in CLASSES}
        again = own.select("label", *renamed).rename(renamed)
        assert log_loss(again) == pytest.approx(evaluation.log_loss, abs=1e-12)
    assert then["predicted"].to_list() == given["predicted_now"].to_list()


@pytest.mark.parametrize("sample_weights", ["none", "uniqueness"])
def test_a_model_of_0_1_0_is_corrected_where_its_card_shows_the_weights(sample_weights: str, tmp_path: Path) -> None:
    results, _ = balanced("mlp", tmp_path)
    weights = load_model(tmp_path).class_weights
    card = json.loads((tmp_path / CARD).read_bytes())
    del card["class_weights"]
    card["strategy"]["training"]["sample_weights"] = sample_weights
    (tmp_path / CARD).write_text(json.dumps(card), encoding="utf-8")

    of_before = load_model(tmp_path).class_weights

    assert results.preflight is not None
    assert weights.values is not None
    if sample_weights == "none":
        assert of_before.values == pytest.approx(weights.values, rel=1e-6)
        assert of_before.are_known
    else:
        assert (of_before.values, of_before.are_known) == (None, False)


def test_bars_of_the_training_are_told_from_later_ones_and_from_others(tmp_path: Path) -> None:
    results, bars = balanced("mlp", tmp_path)
    trained_on = load_model(tmp_path).trained_on
    assert results.preflight is not None
    ranges = {part.part: (part.first, part.last) for part in results.preflight.parts}

    for part, (first, last) in ranges.items():
        assert (trained_on.part_of("UP", first), trained_on.part_of("UP", last)) == (part, part)
    assert trained_on.part_of("UP", ranges["test"][1] + timedelta(days=1)) is None
    assert trained_on.part_of("OTHER", ranges["train"][0]) is None
    changed = {"1d": bars["UP"]["1d"].with_columns(close=pl.col("close") * 1.01)}
    assert trained_on.is_changed("UP", changed)
    assert not trained_on.is_changed("UP", bars["UP"])
    assert not trained_on.is_changed("OTHER", changed)
    more = daily(rows=310)["UP"]["1d"].with_columns(pl.lit(1.0).alias("close"))
    appended = pl.concat([bars["UP"]["1d"], more.tail(10)])
    assert not trained_on.is_changed("UP", {"1d": appended})
