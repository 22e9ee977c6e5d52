from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ktrdr.cache import FolderCache
from ktrdr.experiments.fold_data import Fold, FoldCache, FoldData, fold_key
from ktrdr.experiments.train import ReadBars, run_training
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.saved_models.reproduce import compare_with
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import CHECKSUMS, LEAN_ARTIFACTS, WEIGHTS
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.observer import SilentObserver
from tests.small_trainings import SYMBOLS

Documents = dict[str, Any]


def strategy(**sections: Any) -> Strategy:
    document = {
        "name": "shared",
        "timeframes": ["1d"],
        "model": {"type": "mlp", "layers": 1, "hidden_size": 4, "sequence_length": 5},
        "training": {"epochs": 2},
        "indicators": [{"name": "sma", "period": 5}],
    }
    return Strategy.model_validate_json(json.dumps(document | sections))


@pytest.fixture(scope="module")
def bars(read_bars: ReadBars) -> Mapping[str, SymbolBars]:
    return {symbol: SymbolBars.of({"1d": read_bars(symbol, "1d")}) for symbol in SYMBOLS}


@pytest.fixture
def cache(tmp_path: Path) -> FoldCache:
    return FoldCache(FolderCache(tmp_path / "cache", 10**9))


def same(one: Any, other: Any) -> bool:
    """To the bit, types of arrays included; a mapped array counts as an array."""
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if is_dataclass(one) and type(one) is type(other):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


SHAPES: list[Documents] = [
    {},
    {"labels": {"type": "forward_return", "horizon": 3}, "features": {"scaling": "robust"}},
    {"labels": {"type": "triple_barrier"}, "validation": {"type": "holdout", "test": 0.2}},
    {"labels": {"quantiles": [0.3, 0.7]}, "training": {"sample_weights": "uniqueness"}},
    {"validation": {"type": "walk_forward", "folds": 2, "test": 0.1}, "data": {"holes": "bridge"}},
]


@pytest.mark.parametrize("sections", SHAPES)
def test_what_is_read_is_what_was_made_to_the_bit(
    bars: Mapping[str, SymbolBars], tmp_path: Path, sections: Documents
) -> None:
    made = FoldData.of(Fold(strategy(**sections), bars, 0))
    made.write(tmp_path)

    read = FoldData.read(tmp_path)

    assert same(made.dataset, read.dataset)
    assert same(made.yardsticks, read.yardsticks)
    assert made.leak_gate == read.leak_gate


def test_a_second_process_reads_what_the_first_has_made(
    cache: FoldCache, bars: Mapping[str, SymbolBars], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = strategy()
    fingerprint = Fingerprint.of(chosen, bars)
    made = cache.get(chosen, bars, fingerprint)
    assert cache.get(chosen, bars, fingerprint) is made
    monkeypatch.setattr(FoldData, "of", None)  # nothing may be made again

    read = FoldCache(cache._folders).get(chosen, bars, fingerprint)

    assert same(made.dataset, read.dataset)


KEEPING: dict[str, Documents] = {
    "name": {"name": "another", "description": "in other words"},
    "network": {"model": {"type": "lstm", "layers": 2, "hidden_size": 8, "sequence_length": 5}},
    "learning": {"training": {"epochs": 7, "learning_rate": 0.1, "seed": 9, "class_weights": "balanced"}},
    "costs": {"costs": {"fee_bps": 9.0}, "controls": {"shuffled_labels": "full"}},
}
CHANGING: dict[str, Documents] = {
    "window": {"model": {"type": "mlp", "layers": 1, "hidden_size": 4, "sequence_length": 6}},
    "split": {"training": {"validation_split": 0.3}},
    "weights": {"training": {"sample_weights": "uniqueness"}},
    "indicators": {"indicators": [{"name": "sma", "period": 6}]},
    "labels": {"labels": {"horizon": 2}},
    "validation": {"validation": {"embargo": 3}},
    "scaling": {"features": {"scaling": "robust"}},
    "holes": {"data": {"holes": "bridge"}},
    "calendar": {"calendar": "XNYS"},
}


def key(bars: Mapping[str, SymbolBars], fold: int = 0, **sections: Any) -> str:
    return fold_key(bars, Fingerprint.of(strategy(**sections), bars, fold))


@pytest.mark.parametrize("sections", KEEPING.values(), ids=KEEPING)
def test_what_only_the_model_needs_shares_the_data(bars: Mapping[str, SymbolBars], sections: Documents) -> None:
    assert key(bars, **sections) == key(bars)


@pytest.mark.parametrize("sections", CHANGING.values(), ids=CHANGING)
def test_what_decides_the_data_makes_other_data(bars: Mapping[str, SymbolBars], sections: Documents) -> None:
    assert key(bars, **sections) != key(bars)


BARS: dict[str, Callable[[Mapping[str, SymbolBars]], Mapping[str, SymbolBars]]] = {
    "order": lambda bars: dict(reversed(list(bars.items()))),
    "fewer": lambda bars: {symbol: own.map(lambda _, frame: frame.head(-1)) for symbol, own in bars.items()},
    "symbols": lambda bars: {"UP": bars["UP"]},
    "calendar": lambda bars: {symbol: replace(own, calendar="XNYS") for symbol, own in bars.items()},
}


@pytest.mark.parametrize("change", BARS.values(), ids=BARS)
def test_other_bars_make_other_data(
    bars: Mapping[str, SymbolBars], change: Callable[[Mapping[str, SymbolBars]], Mapping[str, SymbolBars]]
) -> None:
    assert key(change(bars)) != key(bars)


def test_another_fold_and_other_code_make_other_data(
    bars: Mapping[str, SymbolBars], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(bars)
    assert key(bars, fold=1) != before

    monkeypatch.setattr("ktrdr.experiments.fold_data.code_sha256", lambda rooms: "changed")

    assert key(bars) != before


def test_a_disk_that_fails_costs_a_cache_and_no_training(
    cache: FoldCache, bars: Mapping[str, SymbolBars], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(FolderCache, "find", fail)
    monkeypatch.setattr(FolderCache, "add", fail)
    chosen = strategy()

    with caplog.at_level(logging.WARNING):
        data = cache.get(chosen, bars, Fingerprint.of(chosen, bars))

    assert data.leak_gate.passed
    assert "cannot be cached: input/output error" in caplog.text


def test_a_lean_training_comes_to_the_bits_of_the_full_one(
    make_request: Any, read_bars: ReadBars, cache: FoldCache
) -> None:
    settings: Documents = {"epochs": 2, "model": {"type": "lstm", "hidden_size": 4}}
    requests = [replace(make_request(name, **settings), is_lean=True) for name in ("first", "second", "third")]
    others = FoldCache(cache._folders)

    # The first makes the data, the second finds them in memory and the third on disk.
    for request, folds in zip(requests, (cache, cache, others), strict=True):
        lean = run_training(request, read_bars, SilentObserver(), folds=folds, looks=Unrecorded())
    full = replace(make_request("full", **settings), reproduces=requests[0].output)
    results = run_training(full, read_bars, SilentObserver(), looks=Unrecorded())

    assert results.reproduction
    assert results.reproduction.differences == ()
    assert results.reproduction.inputs == ()
    for request in requests[1:]:
        assert compare_with(requests[0].output, request.output).identical
    left = {path.name for path in requests[0].output.iterdir()}
    assert left == {*LEAN_ARTIFACTS.values(), WEIGHTS, CHECKSUMS}
    assert lean.artifacts == LEAN_ARTIFACTS
    assert lean.evaluation
    assert "shuffled_control" not in lean.evaluation.baselines
