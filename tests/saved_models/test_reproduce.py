from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ktrdr.errors import ArtifactNotFound
from ktrdr.payloads.training import Reproduction
from ktrdr.saved_models.reproduce import bars_of, compare_with
from ktrdr.training.files import CARD, METRICS
from tests.sample_results import backtest, final_metrics, training
from tests.saved_trainings import daily, save, strategy


def metrics(folder: Path, loss: float, duration: float = 0.1) -> None:
    pl.DataFrame({"epoch": [1, 2], "val_loss": [0.7, loss], "duration": [duration] * 2}).write_parquet(folder / METRICS)


def changed(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD).read_bytes())
    (folder / CARD).write_text(json.dumps(card | changes))


def test_the_same_training_twice_is_identical_whatever_the_clock_says(tmp_path: Path) -> None:
    one, other = tmp_path / "op_one", tmp_path / "op_other"
    save(one, strategy(), daily())
    save(other, strategy(), daily(), results=training(final_metrics=final_metrics(training_duration_seconds=99.0)))
    metrics(one, 0.69, 0.1)
    metrics(other, 0.69, 0.2)

    found = compare_with(one, other)

    assert found == Reproduction(of="op_one", identical=True, differences=(), inputs=())


def test_other_weights_and_metrics_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "op_one", tmp_path / "op_other"
    save(one, strategy("mlp"), daily(), results=training(backtest=backtest()))
    save(other, strategy("mlp"), daily(), seed=1, results=training(backtest=backtest("test")))
    metrics(one, 0.69)
    metrics(other, 0.68)

    found = compare_with(one, other)

    assert not found.identical
    assert found.inputs == ()
    told = "\n".join(found.differences)
    assert "weights head.bias: 2 of 2 differ, by " in told
    assert "metrics: val_loss differs in 1 of 2 rows, first in row 2: 0.69 → 0.68" in told
    assert "predictions: probability_down differs in" in told
    assert 'results.money.part: "validation" → "test"' in told


def test_inputs_that_were_not_the_same_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "op_one", tmp_path / "op_other"
    save(one, strategy(), daily())
    save(other, strategy(), daily(rows=290))
    changed(other, device="cuda", libraries=json.loads((other / CARD).read_bytes())["libraries"] | {"torch": "9.9"})

    told = "\n".join(compare_with(one, other).inputs)

    assert all(each in told for each in ("data_sha256.UP.1d", "data_sha256.DOWN.1d", 'device: "cpu" → "cuda"', "9.9"))


def test_bars_that_came_later_are_none_of_the_inputs(tmp_path: Path) -> None:
    save(tmp_path, strategy(), daily())

    assert bars_of(tmp_path, "UP", "1d") == (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 10, 26, tzinfo=UTC))
    assert bars_of(tmp_path, "UP", "1h") is None
    assert bars_of(tmp_path / "none", "UP", "1d") is None


def test_nothing_can_be_compared_with_a_model_that_is_gone(tmp_path: Path) -> None:
    save(tmp_path / "op_one", strategy(), daily())

    with pytest.raises(ArtifactNotFound, match="op_gone"):
        compare_with(tmp_path / "op_gone", tmp_path / "op_one")
