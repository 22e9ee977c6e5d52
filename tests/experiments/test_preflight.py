from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ktrdr.errors import TrainingDataError
from ktrdr.experiments.preflight import Preflight, preflight
from ktrdr.features.assemble import build_dataset
from ktrdr.training.throughput import MOST_BATCHES, measure
from tests.features.series import made_bars
from tests.saved_trainings import daily, strategy


def looked_at(rows: int = 300, parameters: int = 100, **sections: Any) -> Preflight:
    spec = strategy("mlp", **sections)
    return preflight(spec, build_dataset(spec, daily(rows=rows)), model_parameters=parameters)


def test_samples_and_balance_of_every_part_are_counted() -> None:
    found = looked_at(rows=2000, labels={"threshold": 0.01}, validation={"test": 0.1})

    assert [part.part for part in found.parts] == ["train", "validation", "test"]
    train = found.parts[0]
    assert train.samples == sum(row["train_samples"] for row in found.symbols)
    assert sum(train.shares.values()) == pytest.approx(1)
    assert set(train.shares) == {"down", "flat", "up"}
    assert (found.errors, found.warnings) == ([], [])
    assert 0 < found.peak_memory_bytes < 4e9
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_makes_a_result_weak_is_warned_of() -> None:
    found = looked_at(parameters=100_000)

    by_heart, few = found.warnings
    assert "100,000 parameters for 458 training samples, 218 for each" in by_heart
    assert "116 validation samples tell an accuracy from that of a baseline only when the two lie 9 percent" in few


def test_labels_that_overlap_are_fewer_than_they_seem() -> None:
    one, ten = looked_at(labels={"horizon": 1}), looked_at(labels={"horizon": 10})

    assert ten.parts[1].resolution == pytest.approx(one.parts[1].resolution * 10**0.5, rel=0.05)


def test_a_rare_class_is_warned_of() -> None:
    found = looked_at(rows=3000, labels={"quantiles": [0.5, 0.99]})

    assert any("the class 'up' has" in warning for warning in found.warnings)


def test_a_validation_part_of_one_class_is_hopeless() -> None:
    bars = made_bars(300)
    rising = np.where(np.arange(300) > 200, np.exp(np.arange(300) * 0.01), 1.0)
    bars = bars.with_columns(close=bars["close"] * rising, high=bars["high"] * rising * 1.1)
    spec = strategy("mlp", labels={"horizon": 30})

    found = preflight(spec, build_dataset(spec, {"UP": {"1d": bars}}), model_parameters=10)

    assert found.errors == ["all 48 validation samples are of the class 'up'"]
    with pytest.raises(TrainingDataError, match="all 48 validation samples"):
        found.check()


def test_too_few_samples_are_hopeless() -> None:
    found = looked_at(rows=20)

    assert any("nothing can be told from fewer than" in error for error in found.errors)


def test_a_regression_shows_how_many_targets_lie_above_zero() -> None:
    found = looked_at(labels={"type": "forward_return"})

    assert set(found.parts[0].shares) == {"not above 0", "above 0"}


@pytest.mark.parametrize("family", ["lstm", "gradient_boosting"])
def test_pace_is_measured_on_real_batches(family: str) -> None:
    model = {"type": family} | ({} if family == "gradient_boosting" else {"hidden_size": 8, "sequence_length": 5})
    spec = strategy(family, model=model, training={"batch_size": 8})
    dataset, seen = build_dataset(spec, daily()), list[int]()

    throughput = measure(spec, dataset, on_samples=seen.append)

    assert 0 < throughput.epoch_seconds < 60
    assert (throughput.parameters > 0) is (family == "lstm")
    assert len(seen) <= MOST_BATCHES
    found = preflight(spec, dataset, model_parameters=throughput.parameters, throughput=throughput)
    assert found.total_seconds == pytest.approx(spec.training.epochs * throughput.epoch_seconds)
