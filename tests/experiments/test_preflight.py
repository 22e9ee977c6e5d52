from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ktrdr.errors import TrainingDataError
from ktrdr.experiments.preflight import check_before_start, preflight, preflight_folds
from ktrdr.features.assemble import build_dataset
from ktrdr.features.dataset import Dataset
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.preflight import PreflightReport
from ktrdr.training import throughput
from ktrdr.training.boosting import BoostingTrainer
from ktrdr.training.loop import Score
from ktrdr.training.throughput import MAX_BATCHES, Throughput, measure
from tests.features.series import days, made_bars
from tests.saved_trainings import daily, strategy

ROOT = Path(__file__).parents[2]
MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"type": "lstm", "hidden_size": 8, "sequence_length": 5},
    "gradient_boosting": {"type": "gradient_boosting"},
}


def looked_at(rows: int = 300, parameters: int = 100, **sections: Any) -> PreflightReport:
    spec = strategy("mlp", **sections)
    return preflight(spec, build_dataset(spec, daily(rows=rows)), model_parameters=parameters)


def test_samples_and_balance_of_every_part_are_counted() -> None:
    found = looked_at(rows=2000, labels={"threshold": 0.01}, validation={"test": 0.1})

    assert [part.part for part in found.parts] == ["train", "validation", "test"]
    train = found.parts[0]
    assert train.samples == sum(row.train_samples for row in found.symbols)
    assert sum(train.shares.values()) == pytest.approx(1)
    assert set(train.shares) == {"down", "flat", "up"}
    assert (found.errors, found.warnings) == ((), ())
    assert 0 < found.peak_memory_bytes < 4e9
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_what_makes_a_result_weak_is_warned_of() -> None:
    found = looked_at(parameters=100_000)

    by_heart, few = found.warnings
    assert "100,000 parameters for 458 training samples, 218 for each" in by_heart
    assert few.startswith("116 validation samples, worth about ")
    assert few.endswith("need a lead of about 17 points over a baseline for 80% power")


def test_labels_that_overlap_are_fewer_than_they_seem() -> None:
    one, ten = looked_at(labels={"horizon": 1}), looked_at(labels={"horizon": 10})

    validation, overlapping = one.parts[1], ten.parts[1]
    assert validation.effective_samples is not None
    assert overlapping.effective_samples is not None
    assert overlapping.effective_samples < validation.effective_samples / 2
    assert overlapping.resolution > validation.resolution


def test_a_rare_class_is_warned_of() -> None:
    found = looked_at(rows=3000, labels={"quantiles": [0.5, 0.99]})

    assert any("the class 'up' has" in warning for warning in found.warnings)


def test_a_validation_part_of_one_class_is_hopeless() -> None:
    bars = made_bars(300)
    rising = np.where(np.arange(300) > 200, np.exp(np.arange(300) * 0.01), 1.0)
    bars = bars.with_columns(close=bars["close"] * rising, high=bars["high"] * rising * 1.1)
    spec = strategy("mlp", labels={"horizon": 30})

    found = preflight(spec, build_dataset(spec, {"UP": SymbolBars({"1d": bars})}), model_parameters=10)

    assert found.errors == ("all 48 validation samples are of the class 'up'",)
    with pytest.raises(TrainingDataError, match="all 48 validation samples"):
        found.check()


def test_too_few_samples_are_hopeless() -> None:
    found = looked_at(rows=20)

    assert any("samples; at least" in error for error in found.errors)


def test_a_regression_shows_how_many_targets_lie_above_zero() -> None:
    found = looked_at(labels={"type": "forward_return"})

    assert set(found.parts[0].shares) == {"not above 0", "above 0"}


@pytest.mark.parametrize("family", ["lstm", "gradient_boosting"])
def test_time_and_memory_come_from_real_batches_of_the_largest_fold(family: str) -> None:
    spec = strategy(family, model=MODELS[family], training={"batch_size": 8}, validation={"type": "walk_forward"})
    measured, seen = list[Dataset](), list[int]()

    def timed(dataset: Dataset) -> Throughput:
        measured.append(dataset)
        return measure(spec, dataset, on_samples=seen.append)

    found = preflight_folds(spec, daily(), timed)

    (largest,) = measured
    assert len(largest.train.labels) == max(fold.parts[0].samples for fold in found.by_fold)
    assert 0 < len(seen) <= MAX_BATCHES
    assert (found.parameters > 0) is (family == "lstm")
    first, *_, last = found.by_fold
    assert first.epoch_seconds is not None
    assert last.epoch_seconds is not None
    assert 0 < first.epoch_seconds < last.epoch_seconds < 60
    assert found.epoch_seconds == first.epoch_seconds
    assert found.total_seconds == pytest.approx(sum(fold.total_seconds or 0 for fold in found.by_fold))
    assert (found.total_seconds or 0) >= spec.training.epochs * 5 * first.epoch_seconds


def test_what_trees_need_once_is_not_taken_for_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Binning outlasts the time limit here, and the rounds after it are still timed by themselves."""
    spec, begin = strategy("gradient_boosting", model=MODELS["gradient_boosting"]), BoostingTrainer._begin
    clock = Clock()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=clock))

    def slow(trainer: BoostingTrainer, epoch: int) -> None:
        begin(trainer, epoch)
        clock.now += 100.0

    monkeypatch.setattr(BoostingTrainer, "_begin", slow)

    found = measure(spec, build_dataset(spec, daily()))

    assert found.setup_seconds == pytest.approx(100.0)
    assert found.epoch_seconds(400, 100) < 2.0


def test_the_first_validation_is_not_taken_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, validate = strategy("gradient_boosting", model=MODELS["gradient_boosting"]), BoostingTrainer.validate
    clock, calls = Clock(), itertools.count()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=clock))

    def slow_at_first(trainer: BoostingTrainer, stop: Callable[[], bool]) -> Score | None:
        clock.now += 100.0 if next(calls) == 0 else 0.0
        return validate(trainer, stop)

    monkeypatch.setattr(BoostingTrainer, "validate", slow_at_first)

    assert measure(spec, build_dataset(spec, daily())).epoch_seconds(400, 100) < 2.0


class Clock:
    """Each look at it takes a tenth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


# All folds of a training.

WALK = {"type": "walk_forward", "folds": 4}


def test_every_fold_is_looked_at() -> None:
    found = preflight_folds(strategy("mlp", validation=WALK), daily(rows=800))

    assert [fold.fold for fold in found.by_fold] == [1, 2, 3, 4]
    samples = [fold.parts[0].samples for fold in found.by_fold]
    assert samples == sorted(samples)
    assert (found.folds, found.parts) == (4, found.by_fold[0].parts)
    assert (found.errors, found.total_seconds) == ((), None)


def test_a_late_fold_of_one_class_is_found_before_the_first_is_trained() -> None:
    spec = strategy("mlp", validation=WALK, labels={"horizon": 5})
    bars = rising_from(350, to=430)

    found = preflight_folds(spec, bars)

    assert [bool(fold.errors) for fold in found.by_fold] == [False, True, False, False]
    assert found.errors == ("fold 2: all 73 validation samples are of the class 'up'",)
    with pytest.raises(TrainingDataError, match="fold 2: all 73 validation samples"):
        check_before_start(spec, bars)


def rising_from(first: int, to: int) -> dict[str, SymbolBars]:
    bars, rows = made_bars(600), np.arange(600)
    rise = np.exp(0.2 * np.clip(rows - first, 0, to - first))
    return {"UP": SymbolBars({"1d": bars.with_columns(close=bars["close"] * rise, high=bars["high"] * rise * 2)})}


def test_a_fold_that_cannot_be_made_is_told_beside_those_that_can() -> None:
    spec = strategy("mlp", validation={"type": "walk_forward", "folds": 2})
    bars = {"GONE": days(0, 300), "YOUNG": days(400, 700, seed=1)}

    found = preflight_folds(spec, bars)

    assert [len(fold.parts) for fold in found.by_fold] == [0, 2]
    assert found.errors == (f"fold 1: {found.by_fold[0].errors[0]}",)
    assert found.parts == found.by_fold[1].parts
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_a_training_without_a_single_fold_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="has too few bars"):
        preflight_folds(strategy("mlp", validation=WALK), daily(("A",), rows=9))


def test_symbols_that_folds_leave_out_are_named_once_with_their_bars() -> None:
    bars = {"OLD": days(0, 800), "YOUNG": days(620, 800, seed=1), "GONE": days(0, 390, seed=2)}

    found = preflight_folds(strategy("mlp", validation=WALK), bars)

    named = [[each.symbol for each in fold.left_out] for fold in found.by_fold]
    assert named == [["YOUNG"], ["YOUNG", "GONE"], ["YOUNG", "GONE"], ["GONE"]]
    left_out = [warning for warning in found.warnings if "bars from" in warning]
    assert left_out == [
        "fold 1, and likewise 2, 3: left out without training samples: YOUNG (bars from 2021-09-12 to 2022-03-10)",
        "fold 2, and likewise 3, 4: no validation samples: GONE (bars from 2020-01-01 to 2021-01-24)",
    ]
    first = found.model_dump(mode="json")["left_out"][0]
    assert (first["symbol"], first["first"]) == ("YOUNG", "2021-09-12T00:00:00Z")


def test_the_same_warning_of_several_folds_is_given_once() -> None:
    found = preflight_folds(strategy("mlp", validation=WALK), daily(rows=400))

    (few,) = found.warnings
    assert few.startswith("all folds, as fold 1: 96 validation samples need a lead of about ")
    assert [len(fold.warnings) for fold in found.by_fold] == [1, 1, 1, 1]


@pytest.mark.processes
def test_nothing_heavy_is_imported_to_refuse_a_training() -> None:
    code = """
import sys
from ktrdr.errors import TrainingDataError
from ktrdr.experiments.preflight import check_before_start
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from tests.features.series import made_bars

spec = Strategy.model_validate({
    "name": "x", "timeframes": ["1d"], "model": {"type": "lstm"}, "indicators": [{"name": "rsi", "period": 5}],
    "validation": {"type": "walk_forward", "folds": 3},
})
assert check_before_start(spec, {"A": SymbolBars({"1d": made_bars(400)})}).folds == 3
try:
    check_before_start(spec, {"A": SymbolBars({"1d": made_bars(30)})})
except TrainingDataError:
    print(*sorted({"torch", "sklearn", "scipy", "lightgbm", "matplotlib"} & set(sys.modules)), "refused")
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["refused"]


def test_missing_bars_are_warned_of_and_listed() -> None:
    bars = made_bars(300)
    holed = bars.filter(~np.isin(np.arange(300), range(150, 180)))
    spec = strategy()
    bridging = strategy(data={"holes": "bridge"})

    report = preflight_folds(spec, {"COINUSDT": SymbolBars({"1d": holed})})

    (warning,) = (text for text in report.warnings if "lacks bars" in text)
    assert warning == (
        "COINUSDT lacks bars that the calendar 24/7 (a guess: 14% of the bars are on a Saturday) expects: "
        "30 between 2020-05-29 and 2020-06-29; features, labels and returns stop there"
    )
    (hole,) = report.symbols[0].holes
    assert (hole.bars, f"{hole.after:%m-%d}", f"{hole.before:%m-%d}") == (30, "05-29", "06-29")
    bridged = preflight_folds(bridging, {"COINUSDT": SymbolBars({"1d": holed})})
    assert any("bridge them, as data.holes asks" in text for text in bridged.warnings)
    assert not preflight_folds(spec, {"COINUSDT": SymbolBars({"1d": bars})}).symbols[0].holes


def test_a_key_that_does_nothing_is_warned_of() -> None:
    spec = strategy("gradient_boosting", model=MODELS["gradient_boosting"], training={"optimizer": "sgd"})

    report = preflight_folds(spec, daily())

    assert "training.optimizer does nothing with model.type gradient_boosting" in report.warnings
