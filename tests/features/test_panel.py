"""A symbol that is listed later, or delisted earlier, is in the folds that it can serve, and named in the others."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import LeakFound, TrainingDataError
from ktrdr.features.assemble import assemble, build_dataset
from ktrdr.features.dataset import Dataset, Part
from ktrdr.features.leaks.gate import audit, check_leaks
from ktrdr.features.leaks.leak import Kind
from ktrdr.features.panel import build_panel
from ktrdr.features.splits import fold_count
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from tests.features.series import days, made_bars

WALK = {"type": "walk_forward", "folds": 4}
KFOLD = {"type": "purged_kfold", "folds": 4}
LABELS: tuple[dict[str, Any], ...] = (
    {"horizon": 3},
    {"type": "forward_return", "horizon": 3},
    {"type": "triple_barrier", "horizon": 8},
    {"type": "trend", "horizon": 8},
)


def strategy(validation: dict[str, Any], **sections: Any) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "timeframes": ["1d"],
            "model": {"type": "mlp", "sequence_length": 5},
            "indicators": [{"name": "sma", "period": 20}],
            "labels": {"horizon": 3},
            "validation": validation,
            **sections,
        }
    )


def folds(spec: Strategy, bars: dict[str, SymbolBars]) -> list[Dataset]:
    panel = build_panel(spec, bars)
    return [assemble(panel, fold) for fold in range(fold_count(spec))]


def left_out(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {each.symbol: each.parts for each in dataset.left_out}


def test_a_symbol_that_is_listed_later_is_left_out_of_the_first_folds_alone() -> None:
    bars = {"OLD": days(0, 800), "YOUNG": days(520, 800, seed=1)}

    found = folds(strategy(WALK), bars)

    assert [dataset.symbols for dataset in found] == [("OLD",), ("OLD", "YOUNG"), ("OLD", "YOUNG"), ("OLD", "YOUNG")]
    (named,) = found[0].left_out
    assert (named.symbol, named.parts) == ("YOUNG", ("train", "validation"))
    assert f"{named.first:%Y-%m-%d}" == "2021-06-04"
    assert named.reason == ("has 0 training samples and needs 2: its bars run from 2021-06-04 to 2022-03-10")
    assert all(not dataset.left_out for dataset in found[1:])


def test_borders_are_the_same_whoever_is_left_out() -> None:
    """The validation parts of one symbol follow each other without a gap."""
    found = folds(strategy(WALK), {"OLD": days(0, 800), "YOUNG": days(520, 800, seed=1)})

    rows = np.concatenate([dataset.validation.rows[dataset.validation.symbols == 0] for dataset in found])

    np.testing.assert_array_equal(rows, np.arange(rows[0], 800 - 3))


def test_a_delisted_symbol_is_trained_on_and_not_validated() -> None:
    bars = {"OLD": days(0, 800), "GONE": days(0, 420, seed=1)}

    *_, last = folds(strategy({**WALK, "test": 0.1}), bars)

    assert last.symbols == ("OLD", "GONE")
    assert left_out(last) == {"GONE": ("validation", "test")}
    gone = last.coverage[1]
    assert (gone.validation_samples, gone.test_samples, gone.border) == (0, 0, None)
    assert gone.train_samples > 300
    assert last.left_out[0].reason.startswith("has no validation and no test samples: its bars run from 2020-01-01 to")


def test_a_rolling_window_leaves_behind_what_was_delisted_before_it() -> None:
    bars = {"OLD": days(0, 800), "GONE": days(0, 250, seed=1)}

    *_, last = folds(strategy({**WALK, "window": "rolling", "initial": 0.3}), bars)

    assert last.symbols == ("OLD",)
    assert left_out(last) == {"GONE": ("train", "validation")}


def test_a_young_symbol_is_trained_on_after_the_part_that_it_is_not_in() -> None:
    """Once the labels of the other symbols' part are settled, and after an embargo of bars that there are."""
    spec = strategy({**KFOLD, "embargo": 7})
    bars = {"OLD": days(0, 800), "YOUNG": days(100, 800, seed=1), "LATE": days(600, 800, seed=2)}

    first = folds(spec, bars)[0]

    settled = first.validation.settled[first.validation.symbols == 0].max()
    later = first.train.rows[first.train.symbols == 0].min()
    assert later == settled + 7
    assert left_out(first) == {"LATE": ("validation",)}
    assert first.train.rows[first.train.symbols == 2].min() == 19 + 5 - 1  # its first sample of all


def test_a_symbol_in_its_warm_up_obeys_the_embargo_too() -> None:
    spec, bars = strategy({**KFOLD, "embargo": 20}), {"OLD": days(0, 800), "YOUNG": days(320, 800, seed=1)}

    first = folds(spec, bars)[0]

    assert left_out(first) == {"YOUNG": ("validation",)}
    settled = first.validation.settled.max() - 320  # as a row of YOUNG
    assert 0 < settled < 19
    assert first.train.rows[first.train.symbols == 1].min() == settled + 20


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels.get("type", "direction"))
@pytest.mark.parametrize("rows", [1, 2, 9, 24])
def test_a_symbol_with_fewer_bars_than_its_warm_up_needs_is_left_out_of_all(rows: int, labels: dict[str, Any]) -> None:
    spec = strategy(WALK, labels=labels)

    for dataset in folds(spec, {"OLD": days(0, 600), "NEW": days(600 - rows, 600, seed=1)}):
        assert left_out(dataset) == {"NEW": ("train", "validation")}
        assert len(dataset.values) == 600 - 19


def test_a_fold_that_no_symbol_can_serve_is_named() -> None:
    spec = strategy({"type": "walk_forward", "folds": 2, "initial": 0.5})
    bars = {"GONE": days(0, 300), "YOUNG": days(400, 700, seed=1)}

    with pytest.raises(TrainingDataError) as found:
        build_dataset(spec, bars, 0)

    assert found.value.detail == (
        "Fold 1 of 2 has 0 validation samples; at least 2 are needed. No symbol can serve it: "
        "GONE has no validation samples: its bars run from 2020-01-01 to 2020-10-26; "
        "YOUNG has 0 training samples and needs 2: its bars run from 2021-02-04 to 2021-11-30."
    )
    assert build_dataset(spec, bars, 1).symbols == ("GONE", "YOUNG")


def test_bars_without_a_single_sample_are_refused() -> None:
    for bars in ({"A": days(0, 9), "B": days(0, 12)}, {"A": days(0, 9)}):
        with pytest.raises(TrainingDataError):
            build_panel(strategy(WALK), bars)
    flat = {"A": SymbolBars({"1d": made_bars(300).with_columns(open=1.0, high=1.0, low=1.0, close=1.0)})}
    with pytest.raises(TrainingDataError, match="No bar of A can be the end of a sample"):
        build_panel(strategy({}, labels={"type": "triple_barrier"}), flat)


def test_a_holdout_needs_every_symbol() -> None:
    with pytest.raises(TrainingDataError, match="YOUNG has 0 training samples"):
        build_dataset(strategy({}), {"OLD": days(0, 800), "YOUNG": days(700, 800, seed=1)})


@settings(max_examples=40, deadline=None)
@given(
    rule=st.sampled_from([WALK, KFOLD, {**WALK, "window": "rolling"}]),
    test=st.sampled_from([0.0, 0.15]),
    embargo=st.sampled_from([0, 6, "1%"]),
    label=st.sampled_from(LABELS),
    spans=st.lists(st.tuples(st.integers(0, 500), st.integers(60, 600)), min_size=1, max_size=2),
)
def test_no_label_reaches_over_a_border_whatever_the_ages(
    rule: dict[str, Any], test: float, embargo: int | str, label: dict[str, Any], spans: list[tuple[int, int]]
) -> None:
    spec = strategy({**rule, "test": test, "embargo": embargo}, labels=label)
    begins = [0, *(begin for begin, _ in spans)]
    bars = {"OLD": days(0, 600)} | {
        f"S{place}": days(begin, min(begin + length, 600), seed=place + 1)
        for place, (begin, length) in enumerate(spans)
    }
    numbers = {symbol: place for place, symbol in enumerate(bars)}

    for dataset in folds(spec, bars):
        offsets = np.array([begins[numbers[symbol]] for symbol in dataset.symbols])
        validation, train = dataset.validation, dataset.train
        begin, over = day(validation, offsets).min(), (validation.settled + offsets[validation.symbols]).max()
        is_before = day(train, offsets) < begin
        assert (train.settled + offsets[train.symbols])[is_before].max(initial=-1) < begin
        has_none = ~np.isin(train.symbols, validation.symbols)
        assert (day(train, offsets)[~is_before & has_none] >= over).all()
        assert rule["type"] == "purged_kfold" or is_before.all()
        assert set(dataset.symbols) | {each.symbol for each in dataset.left_out} == set(bars)


def day(part: Part, offsets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(part.rows + offsets[part.symbols])


UNEQUAL = {"OLD": days(0, 800), "YOUNG": days(450, 800, seed=1), "GONE": days(0, 380, seed=2)}


@pytest.mark.parametrize(
    "rule", [{**WALK, "test": 0.1}, {**KFOLD, "test": 0.1}, {**WALK, "window": "rolling"}], ids=str
)
def test_the_leak_gate_passes_every_fold(rule: dict[str, Any]) -> None:
    spec = strategy(rule)

    found = folds(spec, UNEQUAL)

    assert any(dataset.left_out for dataset in found)
    for dataset in found:
        assert check_leaks(spec, UNEQUAL, dataset).passed


def test_the_leak_gate_sees_training_that_resumes_too_early_beside_a_part_of_others() -> None:
    spec, bars = strategy(KFOLD), {"OLD": days(0, 800), "YOUNG": days(320, 800, seed=1)}
    dataset = folds(spec, bars)[0]
    assert left_out(dataset) == {"YOUNG": ("validation",)}

    stricter = strategy({**KFOLD, "embargo": 40})
    honest = folds(stricter, bars)[0]
    check_leaks(stricter, bars, honest)
    own = dataset.train.symbols == 1
    early = mixed(honest.train, honest.train.symbols == 0, dataset.train, own)
    assert early.rows[early.symbols == 1].min() < honest.train.rows[honest.train.symbols == 1].min()

    with pytest.raises(LeakFound) as found:
        check_leaks(stricter, bars, with_train(honest, early))

    assert (found.value.context["kind"], found.value.context["symbol"]) == (Kind.UNPURGED_SPLIT, "YOUNG")


def mixed(one: Part, of_one: np.ndarray[Any, Any], other: Part, of_other: np.ndarray[Any, Any]) -> Part:
    pairs = {name: (getattr(one, name)[of_one], getattr(other, name)[of_other]) for name in Part.__slots__}
    return Part(**{name: np.concatenate(pair) for name, pair in pairs.items()})


def with_train(dataset: Dataset, train: Part) -> Dataset:
    fields = {name: getattr(dataset, name) for name in Dataset.__slots__}
    return Dataset(**fields | {"train": train})


def test_an_audit_covers_the_features_of_a_symbol_that_the_first_fold_leaves_out() -> None:
    spec = strategy({**WALK, "folds": 2})

    report = audit(spec, {"OLD": days(0, 400), "YOUNG": days(230, 400, seed=1)}, instants=50)

    assert report.passed
    assert report.checks.symbols == 2
    # Fifty of each symbol, and one more of the symbol that the second fold meets again.
    assert report.checks.instants >= 2 * 50


# The bits of a training whose symbols are all in every fold.

KNOWN: dict[str, dict[str, Any]] = {
    "holdout": {"validation": {}},
    "holdout_test": {"validation": {"test": 0.15, "embargo": 4}},
    "walk_forward": {"validation": {**WALK, "test": 0.1, "embargo": "1%"}},
    "rolling": {"validation": {**WALK, "window": "rolling"}},
    "purged_kfold": {"validation": {**KFOLD, "test": 0.1}},
    "uniqueness": {
        "validation": KFOLD,
        "labels": {"type": "triple_barrier", "horizon": 8},
        "training": {"sample_weights": "uniqueness"},
    },
}
HASHES = {
    "holdout": "31e5e3d76629ebf1",
    "holdout_test": "dc52d9b9bf9e7249",
    "walk_forward": "cde8347d423f2dac",
    "rolling": "a5d946bbd8a199e3",
    "purged_kfold": "00cc2234336c3d87",
    "uniqueness": "c134e051cb17c9f7",
}


@pytest.mark.parametrize("name", KNOWN)
def test_folds_that_all_symbols_serve_have_the_arrays_that_they_always_had(name: str) -> None:
    spec, bars = strategy(**KNOWN[name]), {"A": days(0, 400), "B": days(40, 400, seed=1)}

    digest = hashlib.sha256()
    for dataset in folds(spec, bars):
        assert (dataset.symbols, dataset.left_out) == (("A", "B"), ())
        for array in arrays(dataset):
            digest.update(np.ascontiguousarray(array).tobytes())

    assert digest.hexdigest()[:16] == HASHES[name]


def arrays(dataset: Dataset) -> list[np.ndarray[Any, Any]]:
    """Of floats the digits that every processor agrees on."""
    parts = [part for part in (dataset.train, dataset.validation, dataset.test) if part is not None]
    named = [getattr(part, name) for part in parts for name in Part.__slots__]
    floats = [dataset.values, dataset.scaler.center, dataset.scaler.scale]
    every = [*named, *floats]
    return [np.round(array.astype(np.float64), 4) + 0.0 if array.dtype.kind == "f" else array for array in every]
