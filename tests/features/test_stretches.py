"""Nothing bridges a hole in the bars: no indicator, window, label or prediction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import TrainingDataError
from ktrdr.features.assemble import build_dataset
from ktrdr.features.columns import build_features
from ktrdr.features.dataset import Dataset
from ktrdr.features.leaks.gate import audit, check_leaks
from ktrdr.features.panel import build_panel
from ktrdr.features.stretches import Divider
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.saved_models.predict import last_windows
from ktrdr.strategy.spec import Strategy
from tests.features.series import made_bars

HOLE = slice(150, 180)
WINDOW, WARMUP = 4, 5


def strategy(timeframes: tuple[str, ...] = ("1d",), **sections: Any) -> Strategy:
    document = {
        "name": "Holes",
        "timeframes": timeframes,
        "model": {"type": "lstm", "sequence_length": WINDOW},
        "indicators": [{"name": "rsi", "period": WARMUP}],
        **sections,
    }
    return Strategy.model_validate(document)


def holed(lost: slice = HOLE, jump: float = 2.0) -> pl.DataFrame:
    """300 daily bars of a coin, some of them missing; after these the price is another."""
    bars = made_bars(300)
    kept = ~np.isin(np.arange(300), np.arange(300)[lost])
    after = np.arange(300) >= lost.start
    prices = [pl.when(pl.Series(after)).then(pl.col(name) * jump).otherwise(pl.col(name)) for name in bars.columns[1:5]]
    return bars.with_columns(prices).filter(kept)


def hours(lost: slice) -> pl.DataFrame:
    bars = made_bars(1200, seed=3)
    stamps = pl.Series([datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(1200)])
    return bars.with_columns(timestamp=stamps.cast(pl.Datetime("us", "UTC"))).filter(
        ~np.isin(np.arange(1200), np.arange(1200)[lost])
    )


def by_day(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.group_by_dynamic("timestamp", every="1d").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )


def dataset_of(spec: Strategy, bars: SymbolBars) -> Dataset:
    return build_dataset(spec, {"COINUSDT": bars})


LABELS: list[dict[str, Any]] = [
    {"horizon": 3},
    {"type": "forward_return", "horizon": 3},
    {"type": "trend", "horizon": 3},
    {"type": "triple_barrier", "horizon": 6, "volatility_span": 5},
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels.get("type", "direction"))
def test_each_side_of_a_hole_is_as_if_the_other_were_not_there(labels: dict[str, Any]) -> None:
    spec, bars = strategy(labels=labels), holed()
    (whole,) = build_panel(spec, {"COINUSDT": SymbolBars({"1d": bars})}).series

    for rows in (slice(0, HOLE.start), slice(HOLE.start, 270)):
        (alone,) = build_panel(spec, {"COINUSDT": SymbolBars({"1d": bars[rows]})}).series
        np.testing.assert_array_equal(whole.columns.values[rows], alone.columns.values)
        np.testing.assert_array_equal(whole.measured.values[rows], alone.measured.values)
        settled = whole.measured.settled[rows]
        np.testing.assert_array_equal(np.where(settled < 0, -1, settled - rows.start), alone.measured.settled)


def test_no_sample_has_bars_or_a_label_from_both_sides_of_a_hole() -> None:
    dataset = dataset_of(strategy(labels={"horizon": 3}), SymbolBars({"1d": holed()}))

    for part in (dataset.train, dataset.validation):
        first = part.rows - (WINDOW - 1) - WARMUP
        assert ((part.settled < HOLE.start) | (first >= HOLE.start)).all()
        assert (np.abs(part.measures) < 0.5).all()  # not the jump
        windows = part.ends[:, None] - np.arange(WINDOW)
        assert np.isfinite(dataset.values[windows]).all()
    (hole,) = dataset.coverage[0].holes
    assert (hole.row, hole.bars) == (HOLE.start, 30)


def test_a_strategy_may_bridge_holes() -> None:
    spec = strategy(data={"holes": "bridge"})
    dataset = dataset_of(spec, SymbolBars({"1d": holed()}))

    assert dataset.bridges_holes
    assert len(dataset.rows_after_holes(0)) == 0
    assert max(dataset.train.measures) > 0.8  # the price doubled over the hole
    assert len(dataset.train.rows) > len(dataset_of(strategy(), SymbolBars({"1d": holed()})).train.rows)


@pytest.mark.parametrize("lost", [HOLE, slice(3, 30), slice(285, 292), slice(40, 44)])
@pytest.mark.parametrize("validation", [{}, {"type": "purged_kfold", "folds": 3}])
def test_the_leak_gate_passes_wherever_a_hole_lies(lost: slice, validation: dict[str, Any]) -> None:
    spec = strategy(labels={"horizon": 2}, validation=validation)
    bars = {"COINUSDT": SymbolBars({"1d": holed(lost)})}

    assert check_leaks(spec, bars, build_dataset(spec, bars)).passed


def test_the_audit_passes_with_holes_in_two_timeframes() -> None:
    base = hours(slice(500, 700))
    bars = {"COINUSDT": SymbolBars({"1h": base, "1d": by_day(base)})}

    assert audit(strategy(("1h", "1d")), bars, instants=300).passed


def test_a_day_before_a_hole_is_not_used_after_it() -> None:
    """Hours and days lack the same nine days; the days warm up again after it, and not before their first close."""
    base = hours(slice(480, 700))
    days = by_day(base)
    spec = strategy(("1h", "1d"))

    columns = Divider.of(spec, "COINUSDT", SymbolBars({"1h": base, "1d": days})).features(build_features)(
        spec, SymbolBars({"1h": base, "1d": days})
    )

    after = np.flatnonzero(np.arange(base.height) >= 480)
    known = after[np.isfinite(columns.values[after]).all(axis=1)]
    first_day = base["timestamp"][480].date()
    assert base["timestamp"][int(known[0])].date() >= first_day + timedelta(days=WARMUP)


def test_the_newest_bars_after_a_hole_have_no_window_until_they_are_enough() -> None:
    spec = strategy()
    few = holed(slice(150, 292))  # eight bars follow, and a window needs nine

    with pytest.raises(TrainingDataError, match=r"since bars .* are 8; at least 9") as refused:
        last_windows(spec, "COINUSDT", SymbolBars({"1d": few}), 5)
    assert "dates" not in refused.value.hint
    enough = last_windows(spec, "COINUSDT", SymbolBars({"1d": holed(slice(150, 290))}), 5)
    assert len(enough) == 2
    assert np.isfinite(enough.stacked()).all()


def test_windows_before_and_after_a_hole_are_predicted_from_their_own_bars() -> None:
    spec, bars = strategy(), holed()

    windows = last_windows(spec, "COINUSDT", SymbolBars({"1d": bars}), 10_000)
    before = last_windows(spec, "COINUSDT", SymbolBars({"1d": bars[: HOLE.start]}), 10_000)

    assert len(windows) == 270 - 2 * (WARMUP + WINDOW - 1)
    np.testing.assert_array_equal(windows.stacked()[: len(before)], before.stacked())
    assert np.isfinite(windows.stacked()).all()
