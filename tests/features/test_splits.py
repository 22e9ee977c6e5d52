"""No label reaches over a border, and every fold is where it should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.features.assemble import build_dataset
from ktrdr.features.dataset import Dataset
from ktrdr.features.splits import fold_count
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from tests.bars import Series, every_source
from tests.features.series import made_bars

DAY = np.timedelta64(1, "D")


def strategy(validation: dict[str, Any] | None = None, **labels: Any) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "timeframes": ["1d"],
            "model": {"type": "mlp", "sequence_length": 5},
            "labels": {"horizon": 3, **labels},
            "validation": validation or {},
        }
    )


def dataset_of(spec: Strategy, rows: int = 400, fold: int = 0) -> Dataset:
    return build_dataset(
        spec, {"A": SymbolBars({"1d": made_bars(rows)}), "B": SymbolBars({"1d": made_bars(rows, seed=1)})}, fold
    )


rules = st.one_of(
    st.fixed_dictionaries({"type": st.just("holdout")}),
    st.fixed_dictionaries(
        {
            "type": st.just("walk_forward"),
            "folds": st.integers(2, 6),
            "initial": st.floats(0.3, 0.6),
            "window": st.sampled_from(["expanding", "rolling"]),
        }
    ),
    st.fixed_dictionaries({"type": st.just("purged_kfold"), "folds": st.integers(2, 6)}),
)
labels = st.one_of(
    st.fixed_dictionaries({"horizon": st.integers(1, 9)}),
    st.fixed_dictionaries({"type": st.just("triple_barrier"), "horizon": st.integers(2, 15)}),
    st.fixed_dictionaries({"type": st.just("forward_return"), "horizon": st.integers(1, 9)}),
)


@settings(max_examples=60, deadline=None)
@given(
    rule=rules,
    label=labels,
    test=st.sampled_from([0.0, 0.15]),
    embargo=st.sampled_from([0, 4, "1%"]),
    choice=st.integers(0, 5),
)
def test_no_label_reaches_over_a_border(
    rule: dict[str, Any], label: dict[str, Any], test: float, embargo: int | str, choice: int
) -> None:
    spec = strategy({**rule, "test": test, "embargo": embargo}, **label)
    dataset = dataset_of(spec, fold=choice % fold_count(spec))
    bars_out = embargo if isinstance(embargo, int) else 4

    for symbol in (0, 1):
        train, validation = (one(part, symbol) for part in (dataset.train, dataset.validation))
        begin, over = validation["rows"].min(), validation["settled"].max()
        before, after = train["rows"] < begin, train["rows"] > begin
        assert (train["settled"][before] + bars_out < begin).all()
        assert (train["rows"][after] >= over + bars_out).all()
        if dataset.test is not None:
            first = one(dataset.test, symbol)["rows"].min()
            for part in (train, validation):
                assert (part["settled"] + bars_out < first).all()
    assert not after.any() or rule["type"] == "purged_kfold"


def one(part: Any, symbol: int) -> dict[str, Any]:
    mine = part.symbols == symbol
    return {"rows": part.rows[mine], "settled": part.settled[mine]}


@pytest.mark.parametrize("rule", [{"type": "walk_forward", "folds": 4}, {"type": "purged_kfold", "folds": 4}])
def test_every_sample_after_the_first_border_is_validated_once(rule: dict[str, Any]) -> None:
    spec = strategy(rule)
    parts = [dataset_of(spec, fold=fold).validation for fold in range(4)]

    seen = np.concatenate([part.rows[part.symbols == 0] for part in parts])

    np.testing.assert_array_equal(seen, np.arange(seen[0], seen[-1] + 1))
    assert seen[-1] == 400 - 3 - 1
    share = len(seen) / (400 - 3 - 5)
    assert share == pytest.approx(0.5 if rule["type"] == "walk_forward" else 1.0, abs=0.01)


def test_a_rolling_window_trains_on_as_much_in_every_fold() -> None:
    rolling, expanding = (
        [len(dataset_of(strategy({"type": "walk_forward", "window": window}), fold=fold).train.rows) for fold in (0, 4)]
        for window in ("rolling", "expanding")
    )

    assert rolling[0] == pytest.approx(rolling[1], abs=4)
    assert expanding[1] > 1.6 * expanding[0]


def test_the_test_part_is_the_latest_and_in_no_other() -> None:
    whole = dataset_of(strategy())
    kept = dataset_of(strategy({"test": 0.2}))

    assert whole.test is None
    assert kept.test is not None
    assert len(kept.test.rows) == pytest.approx(0.2 * 2 * 392, abs=2)
    assert kept.test.timestamps.min() > kept.validation.timestamps.max()
    assert kept.test.rows.max() == whole.validation.rows.max()


@every_source
def test_samples_whose_labels_overlap_weigh_less(series: Series) -> None:
    spec = Strategy.model_validate(
        {
            **strategy(type="triple_barrier", horizon=20).model_dump(mode="json"),
            "training": {"sample_weights": "uniqueness"},
        }
    )
    train = build_dataset(spec, {"AAPL": SymbolBars({"1d": series("AAPL_1d")})}).train
    length = train.settled - train.rows

    assert train.weights.mean() == pytest.approx(1.0, abs=1e-5)
    assert train.weights[length <= 3].mean() > 1.2 * train.weights[length >= 15].mean()
