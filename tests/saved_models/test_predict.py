from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import TrainingDataError
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.experiments.train import run_training
from ktrdr.market.series_file import StoredBars
from ktrdr.saved_models.predict import closed_bars, predict_last
from ktrdr.saved_models.trained_model import load_model
from ktrdr.training.files import PREDICTIONS
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.bars import Series, every_source
from tests.saved_trainings import daily, save, strategy

MODELS = {
    "lstm": {"type": "lstm", "layers": 2, "hidden_size": 9, "dropout": 0.2, "sequence_length": 7},
    "transformer": {"type": "transformer", "layers": 1, "hidden_size": 12, "sequence_length": 7},
    "gradient_boosting": {"type": "gradient_boosting"},
}
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
    bars = {"AAPL": {"1h": hours, "1d": days}}
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
        predict_last(load_model(tmp_path), "UP", {"1d": daily()["UP"]["1d"].head(11)}, 20)


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


@pytest.mark.parametrize("model", ["lstm", "transformer", "gradient_boosting"])
def test_a_training_itself_is_predicted_again_to_the_bit(model: str, tmp_path: Path) -> None:
    spec = strategy(model, model=MODELS[model], training={"epochs": 3}, validation={"test": 0.1})
    bars = daily()
    request = TrainingRequest("op_1", spec, "s", "name: s\n", tuple(bars), None, None, tmp_path)
    run_training(request, lambda symbol, each: StoredBars(bars[symbol][each], "made"), SilentObserver())
    then = pl.read_parquet(tmp_path / PREDICTIONS)

    loaded = load_model(tmp_path)

    assert set(then["part"]) == {"validation", "test"}
    for symbol in bars:
        now = predict_last(loaded, symbol, bars[symbol], 150)
        both = then.filter(symbol=symbol).join(now, on="timestamp", suffix="_now")
        assert len(both) == len(then.filter(symbol=symbol))
        assert both["probability_up"].to_list() == both["probability_up_now"].to_list()
    assert then["probability_up"].n_unique() > 10
