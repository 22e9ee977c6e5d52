"""Every figure of small trainings, computed again by other code from the bars and the predictions given out."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from pydantic import BaseModel

from ktrdr.payloads.training import FoldsResults, TrainingResults
from tests.recompute import trading
from tests.recompute.figures import leaves, numeric_patterns
from tests.recompute.inference import Figures
from tests.recompute.samples import Rules
from tests.recomputed_trainings import Case, Trained, bars_of, days, five_minutes, hours, run, run_folds

CLOSE = 1e-9
# What is computed or stored in 32 bits: the loss of an epoch, and the control's predictions.
ROUNDED, CLOSE_IN_32_BITS = {"best_val_loss", "shuffled_control"}, 1e-6
NOT_RECOMPUTED = {
    "version": "of the format",
    "final_metrics.training_duration_seconds": "a time",
    "phases_seconds.": "times",
    "restored_epochs": "of a trial that goes on from a checkpoint: tests/api/test_search.py",
    "preflight.epoch_seconds": "a time, of preflights before a training",
    "preflight.total_seconds": "a time, of preflights before a training",
    "preflight.by_fold.*.epoch_seconds": "a time, of preflights before a training",
    "preflight.by_fold.*.total_seconds": "a time, of preflights before a training",
    "preflight.peak_memory_bytes": "bytes",
    "preflight.available_memory_bytes": "bytes",
    "evaluation.selection.": "beside other tries: tests/ledger/test_verdict.py",
    "test_evaluation.selection.": "not counted in old results",
    "backtest.selection.": "beside other tries: tests/ledger/test_verdict.py",
    "test_backtest.selection.": "not counted in old results",
    **{
        f"{part}.{section}.": "what was asked for, no figure: tests/evaluation/positions/test_rules.py"
        for part in ("backtest", "test_backtest")
        for section in ("positions", "costs")
    },
    "leak_gate.": "of the inspection, not of the model: tests/features/leaks",
    "reproduction.": "of a training that was run again: tests/saved_models",
    "progress.": "of an operation that failed or was cancelled",
    "metrics_recorded": "of an operation that failed or was cancelled",
}
TREES = {"type": "gradient_boosting", "leaves": 4}
MLP = {"type": "mlp", "layers": 1, "hidden_size": 8, "sequence_length": 4}
GRU = {"type": "gru", "layers": 1, "hidden_size": 6, "sequence_length": 3}
WARMUP = 5  # of rsi(5) and log returns


CASES = {
    "daily, three classes, balanced, with a test part": Case(
        {
            "model": MLP,
            "training": {"epochs": 3, "class_weights": "balanced"},
            "labels": {"horizon": 3, "threshold": 0.01},
            "validation": {"test": 0.15, "embargo": 3},
            "costs": {"fee_bps": 6, "slippage_bps": 4},
        },
        "1d",
        {"SHARE": bars_of(days(), "1D", "XNYS", 0)},
        Rules(horizon=3, threshold=0.01, warmup=WARMUP, window=4, test=0.15, embargo=3, fee_bps=6, slippage_bps=4),
    ),
    "hourly with holes, balanced, trees": Case(
        {
            "model": TREES,
            "training": {"epochs": 4, "class_weights": "balanced"},
            "labels": {"horizon": 2},
            "costs": {"fee_bps": 0, "slippage_bps": 0},  # so that it gains, beyond chance
        },
        "1h",
        {"COINUSDT": bars_of(hours(), "1h", "", 1)},
        Rules(horizon=2, warmup=WARMUP, window=1, fee_bps=0, slippage_bps=0),
    ),
    "5-minute, three symbols, a regression": Case(
        {
            "model": TREES,
            "training": {"epochs": 4},
            "labels": {"type": "forward_return", "horizon": 6},
            "validation": {"test": 0.15},
        },
        "5m",
        {name: bars_of(five_minutes(), "5min", "XNYS", seed) for seed, name in enumerate(("ONE", "TWO", "THREE"))},
        Rules(horizon=6, warmup=WARMUP, window=1, regression=True, test=0.15),
    ),
}
FOLDS = {
    "a walk forward of two symbols": Case(
        {
            "model": GRU,
            "training": {"epochs": 2},
            "labels": {"horizon": 2},
            "validation": {"type": "walk_forward", "folds": 3, "initial": 0.4, "embargo": 2, "test": 0.1},
            "controls": {"shuffled_labels": "none"},
        },
        "1d",
        {"OTHER": bars_of(days()[30:], "1D", "XNYS", 3), "SHARE": bars_of(days(), "1D", "XNYS", 2)},
        Rules(horizon=2, warmup=WARMUP, window=3, test=0.1, embargo=2, initial=0.4, folds=3),
    ),
    "a walk forward of a regression": Case(
        {
            "model": TREES,
            "training": {"epochs": 3},
            "labels": {"type": "forward_return", "horizon": 4},
            "validation": {"type": "walk_forward", "folds": 2, "initial": 0.5, "test": 0.15},
            "controls": {"shuffled_labels": "none"},
        },
        "1h",
        {"COINUSDT": bars_of(hours(), "1h", "", 5)},
        Rules(horizon=4, warmup=WARMUP, window=1, regression=True, folds=2, test=0.15),
    ),
}


def differences(found: BaseModel, again: Figures) -> tuple[list[str], set[str]]:
    """The figures that are not the same, and the patterns of all that were compared."""
    patterns = recomputed(type(found))
    ours = {path: leaf for path, leaf in leaves(found) if leaf.pattern in patterns}
    theirs = {path: leaf.value for path, leaf in leaves(again)}
    wrong = [f"{path}: not in both" for path in ours.keys() ^ theirs.keys()]
    wrong += [
        f"{path}: {ours[path].value} is {theirs[path]} by other code"
        for path in ours.keys() & theirs.keys()
        if not same(ours[path].value, theirs[path], CLOSE_IN_32_BITS if ROUNDED & {*path.split(".")} else CLOSE)
    ]
    return wrong, {leaf.pattern for leaf in ours.values()}


def same(one: Any, other: Any, tolerance: float) -> bool:
    if one is None or other is None or isinstance(one, bool):
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


def recomputed(kind: type[BaseModel]) -> set[str]:
    """The patterns of all numbers that must be computed again."""
    return {
        pattern
        for pattern in numeric_patterns(kind)
        if not any(pattern == name or (name.endswith(".") and pattern.startswith(name)) for name in NOT_RECOMPUTED)
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    return cache(lambda name: run(CASES[name], tmp_path_factory.mktemp("case")))


@pytest.fixture(scope="module")
def in_folds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[list[Trained], FoldsResults, Figures]]:
    return cache(lambda name: run_folds(FOLDS[name], tmp_path_factory.mktemp("folds")))


def check(found: TrainingResults | FoldsResults, again: Figures) -> None:
    wrong, _ = differences(found, again)
    assert not wrong, "\n".join(sorted(wrong)[:40])
    for part in ("backtest", "test_backtest"):
        backtest = getattr(found, part)
        assert (backtest is None) == (part not in again)
        assert backtest is None or backtest.verdict == trading.in_words(again[part])


@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_the_same_when_it_is_computed_by_other_code(
    name: str, trained: Callable[[str], Trained]
) -> None:
    one = trained(name)
    check(one.found, one.again)


@pytest.mark.parametrize("name", FOLDS)
def test_so_is_every_figure_of_folds_and_of_their_whole(name: str, in_folds: Any) -> None:
    by_fold, whole, again = in_folds(name)
    for fold in by_fold:
        check(fold.found, fold.again)
    check(whole, again)


def test_no_figure_of_results_is_left_out(trained: Callable[[str], Trained], in_folds: Any) -> None:
    singles = [trained(name) for name in CASES]
    wholes = [in_folds(name)[1:] for name in FOLDS]

    of_singles = set().union(*(differences(one.found, one.again)[1] for one in singles))
    of_wholes = set().union(*(differences(*whole)[1] for whole in wholes))

    assert sorted(recomputed(TrainingResults) - of_singles) == []
    assert sorted(recomputed(FoldsResults) - of_wholes) == []
