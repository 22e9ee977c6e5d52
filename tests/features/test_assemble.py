"""Samples never see the future, never cross symbols, and always say why there are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import TrainingDataError
from ktrdr.features import assemble
from ktrdr.features.columns import build_features
from ktrdr.features.dataset import Dataset
from ktrdr.features.scaling import Scaler
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.sections.labels import Direction
from ktrdr.strategy.spec import Strategy
from tests.bars import Series, every_source
from tests.features.series import made_bars

DAY = timedelta(days=1)
SMA_RSI = [{"name": "sma", "period": 20}, {"name": "rsi", "period": 14}]


def strategy(
    indicators: list[dict[str, Any]] | None = None,
    sequence_length: int = 10,
    validation_split: float = 0.2,
    horizon: int = 1,
    threshold: float = 0.0,
    scaling: str = "standard",
    returns: bool = True,
) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "timeframes": ["1d"],
            "model": {"type": "mlp", "sequence_length": sequence_length},
            "training": {"validation_split": validation_split},
            "indicators": SMA_RSI if indicators is None else indicators,
            "labels": {"horizon": horizon, "threshold": threshold},
            "features": {"scaling": scaling, "returns": returns},
        }
    )


def build_dataset(spec: Strategy, bars: dict[str, pl.DataFrame]) -> Dataset:
    return assemble.build_dataset(spec, {symbol: SymbolBars({"1d": frame}) for symbol, frame in bars.items()})


def windows(dataset: Dataset, part: str) -> np.ndarray[Any, Any]:
    ends = (dataset.train if part == "train" else dataset.validation).ends
    return np.asarray(dataset.values[ends[:, None] + np.arange(1 - dataset.sequence_length, 1)])


def refused(spec: Strategy, bars: dict[str, pl.DataFrame]) -> TrainingDataError:
    with pytest.raises(TrainingDataError) as caught:
        build_dataset(spec, bars)
    return caught.value


specs = st.builds(
    strategy,
    sequence_length=st.integers(1, 12),
    validation_split=st.floats(0.1, 0.6),
    horizon=st.integers(1, 8),
    threshold=st.sampled_from([0.0, 0.01]),
    scaling=st.sampled_from(["standard", "robust", "none"]),
)


@settings(max_examples=40, deadline=None)
@given(
    spec=specs,
    rows=st.lists(st.integers(150, 260), min_size=1, max_size=3),
    gaps=st.booleans(),
    offsets=st.lists(st.integers(0, 23), min_size=3, max_size=3),
)
def test_no_sample_sees_what_it_must_not(spec: Strategy, rows: list[int], gaps: bool, offsets: list[int]) -> None:
    bars = {f"S{seed}": made_bars(count, seed) for seed, count in enumerate(rows)}
    if gaps:
        bars = {symbol: frame.filter(pl.int_range(pl.len()) % 7 != 3) for symbol, frame in bars.items()}
    # Symbols of different ages and grids: the newest bars of all are of the same day, if not of the same hour.
    last = max(frame["timestamp"][-1] for frame in bars.values())
    bars = {
        symbol: frame.with_columns(pl.col("timestamp") + (last - frame["timestamp"][-1] + timedelta(hours=offset)))
        for (symbol, frame), offset in zip(bars.items(), offsets, strict=False)
    }
    assert isinstance(spec.labels, Direction)
    horizon, length, threshold = spec.labels.horizon, spec.model.sequence_length, spec.labels.threshold

    dataset = build_dataset(spec, bars)

    first_row, border = 0, dataset.validation.timestamps.min()
    assert dataset.train.timestamps.max() < border
    for coverage, frame in zip(dataset.coverage, bars.values(), strict=True):
        stamps, close = frame["timestamp"].to_numpy(), frame["close"].to_numpy()
        rows_here = frame.height - coverage.warmup_rows
        assert coverage.bars == frame.height
        counts = {}
        for name, part in (("train", dataset.train), ("validation", dataset.validation)):
            mine = (part.ends >= first_row) & (part.ends < first_row + rows_here)
            counts[name] = int(mine.sum())
            bar = part.ends[mine] - first_row + coverage.warmup_rows
            assert (bar - length + 1 >= coverage.warmup_rows).all()  # a window begins with its own symbol's rows
            np.testing.assert_array_equal(stamps[bar], part.timestamps[mine])
            ahead, behind = close[bar + horizon] / close[bar] - 1, close[bar] / close[bar - horizon] - 1
            up = len(dataset.class_names) - 1
            np.testing.assert_array_equal(part.labels[mine] == up, ahead > threshold)
            np.testing.assert_array_equal(part.persistence[mine] == up, behind > threshold)
            if name == "train":
                assert (stamps[bar + horizon] + np.timedelta64(DAY) <= border).all()  # closed when validation begins
        assert counts == {"train": coverage.train_samples, "validation": coverage.validation_samples}
        ends_possible = frame.height - max(coverage.warmup_rows + length - 1, horizon)
        assert sum(counts.values()) + coverage.purged_samples + coverage.unlabelled_rows == ends_possible
        first_row += rows_here
    assert first_row == len(dataset.values)
    assert np.isfinite(dataset.values).all()


@settings(max_examples=25, deadline=None)
@given(spec=specs, seed=st.integers(0, 1000))
def test_the_training_part_does_not_depend_on_validation_bars(spec: Strategy, seed: int) -> None:
    bars = made_bars(200)
    before = build_dataset(spec, {"S": bars})
    border = before.coverage[0].border
    other = made_bars(200, seed + 1)
    altered = pl.concat([bars.filter(pl.col("timestamp") < border), other.filter(pl.col("timestamp") >= border)])

    after = build_dataset(spec, {"S": altered})

    np.testing.assert_array_equal(after.scaler.center, before.scaler.center)
    np.testing.assert_array_equal(after.scaler.scale, before.scaler.scale)
    np.testing.assert_array_equal(windows(after, "train"), windows(before, "train"))
    np.testing.assert_array_equal(after.train.labels, before.train.labels)
    assert not np.array_equal(windows(after, "validation"), windows(before, "validation"))


@every_source
@pytest.mark.parametrize("scaling", ["standard", "robust", "none"])
def test_scaling_uses_statistics_of_the_training_rows(scaling: str, series: Series) -> None:
    spec, bars = strategy(scaling=scaling), series("AAPL_1d")
    columns = build_features(spec, SymbolBars({"1d": bars}))
    raw, names, warmup = columns.values, columns.names, columns.warmup

    dataset = build_dataset(spec, {"AAPL": bars})

    rows = raw[warmup : warmup + dataset.train.ends[-1] + 1]
    expected = {
        "standard": (rows.mean(axis=0), rows.std(axis=0)),
        "robust": (np.median(rows, axis=0), np.subtract(*np.percentile(rows, (75, 25), axis=0))),
        "none": (np.zeros(3), np.ones(3)),
    }[scaling]
    np.testing.assert_allclose(dataset.scaler.center, expected[0])
    np.testing.assert_allclose(dataset.scaler.scale, expected[1])
    np.testing.assert_allclose(dataset.values, (raw[warmup:] - expected[0]) / expected[1], rtol=1e-5, atol=1e-6)
    assert dataset.values.dtype == np.float32
    assert dataset.feature_names == names == ("log_return", "sma_20", "rsi_14")


@every_source
def test_pooled_symbols_share_one_border(series: Series) -> None:
    symbols = ("AAPL", "MSFT", "NVDA")

    dataset = build_dataset(strategy(horizon=5), {symbol: series(f"{symbol}_1d") for symbol in symbols})

    assert [coverage.symbol for coverage in dataset.coverage] == list(symbols)
    assert len({coverage.border for coverage in dataset.coverage}) == 1
    assert {coverage.purged_samples for coverage in dataset.coverage} == {5}
    share = len(dataset.validation.ends) / (len(dataset.validation.ends) + len(dataset.train.ends))
    assert share == pytest.approx(0.2, abs=0.01)


@every_source
def test_coverage_counts_every_bar_of_half_a_year(series: Series) -> None:
    half = series("AAPL_1d").filter(
        pl.col("timestamp").is_between(datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 7, 1, tzinfo=UTC))
    )

    (coverage,) = build_dataset(strategy(sequence_length=20), {"AAPL": half}).coverage

    assert (coverage.bars, coverage.warmup_rows, coverage.unlabelled_rows, coverage.purged_samples) == (124, 19, 1, 1)
    assert (coverage.train_samples, coverage.validation_samples) == (67, 17)
    assert coverage.first == datetime(2023, 1, 3, tzinfo=UTC)
    assert coverage.last == datetime(2023, 6, 30, tzinfo=UTC)
    assert coverage.border == datetime(2023, 6, 6, tzinfo=UTC)


def test_a_label_is_settled_when_its_bar_has_closed_on_whatever_grid() -> None:
    hour = timedelta(hours=1)
    on_the_hour, half_past = made_bars(200, seed=1), made_bars(200, seed=2)
    first = on_the_hour["timestamp"][0]
    grid = pl.lit(first) + pl.duration(hours=pl.int_range(pl.len()))
    bars = {
        "A": on_the_hour.with_columns(timestamp=grid),
        "B": half_past.with_columns(timestamp=grid + timedelta(minutes=30)),
    }

    dataset = assemble.build_dataset(
        strategy().on(["1h"]), {symbol: SymbolBars({"1h": frame}) for symbol, frame in bars.items()}
    )

    border = dataset.validation.timestamps.min()
    purged = {coverage.symbol: coverage.purged_samples for coverage in dataset.coverage}
    first_of = dataset.coverage[int(dataset.validation.symbols[np.argmin(dataset.validation.timestamps)])].symbol
    other = "B" if first_of == "A" else "A"
    assert purged == {first_of: 1, other: 2}
    for frame in bars.values():
        stamps = frame["timestamp"].to_numpy()
        samples = np.isin(stamps, dataset.train.timestamps)
        assert (stamps[np.flatnonzero(samples) + 1] + np.timedelta64(hour) <= border).all()


DOLLARS = [
    {"name": name}
    for name in ("sma", "bbands", "macd", "macdext", "atr", "mom", "stddev", "var", "linearreg_slope", "plus_dm", "rsi")
] + [{"name": "mult", "sources": ["close", "open"]}, {"name": "sub", "sources": ["high", "hl2"], "as": "reach"}]


@every_source
@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_share_at_another_price_makes_the_same_features(factor: float, series: Series) -> None:
    bars = series("AAPL_1d")
    dearer = bars.with_columns(pl.col("open", "high", "low", "close") * factor)

    columns = build_features(strategy(DOLLARS), SymbolBars({"1d": bars}))
    again = build_features(strategy(DOLLARS), SymbolBars({"1d": dearer}))

    assert len(columns.names) > 15
    np.testing.assert_allclose(again.values, columns.values, rtol=1e-6, atol=1e-9)


@every_source
def test_price_scaled_outputs_are_relative_to_the_close(series: Series) -> None:
    bars = series("AAPL_1d")
    close = bars["close"].to_numpy()

    columns = build_features(strategy([{"name": "sma", "period": 3}]), SymbolBars({"1d": bars}))

    values = columns.values
    assert (columns.names, columns.warmup) == (("log_return", "sma_3"), 2)
    assert np.isnan(values[:2]).all()
    np.testing.assert_allclose(values[2:, 0], np.log(close[2:] / close[1:-1]))
    np.testing.assert_allclose(values[2:, 1], (close[2:] + close[1:-1] + close[:-2]) / 3 / close[2:] - 1, atol=1e-9)


def test_a_constant_feature_is_centred_and_left_unscaled() -> None:
    bars = made_bars(120).with_columns(volume=pl.lit(5.0))

    dataset = build_dataset(strategy([{"name": "sma", "period": 3, "source": "volume"}]), {"S": bars})

    np.testing.assert_array_equal(dataset.values[:, 1], 0.0)
    assert dataset.scaler.scale[1] == 1.0


@every_source
def test_a_feature_that_mostly_rests_survives_robust_scaling(series: Series) -> None:
    dataset = build_dataset(strategy([{"name": "cdldoji"}], scaling="robust"), {"AAPL": series("AAPL_1d")})

    assert np.isfinite(dataset.values).all()
    assert np.abs(dataset.values[:, 1]).max() < 10


def test_scalers_survive_json() -> None:
    scaler = build_dataset(strategy(), {"S": made_bars(120)}).scaler

    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))

    rows = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(again.transform(rows), scaler.transform(rows))


@pytest.mark.parametrize(("horizon", "validation_split"), [(1, 0.2), (5, 0.2), (1, 0.01), (3, 0.97), (40, 0.5)])
def test_too_few_bars_say_how_many_are_needed(horizon: int, validation_split: float) -> None:
    spec = strategy(horizon=horizon, validation_split=validation_split)
    error = refused(spec, {"S": made_bars(5)})
    needed = error.context["needed"]

    assert f"S has too few bars: there are 5; at least {needed} are needed: warm-up 19 + window 10" in error.detail
    try:
        assert build_dataset(spec, {"S": made_bars(needed)}).coverage[0].bars == needed
    except TrainingDataError as enough:  # two samples may well be of one class
        assert "All 2 training samples" in enough.detail  # noqa: PT017
    assert refused(spec, {"S": made_bars(needed - 1)}).context["bars"] == needed - 1


def test_no_bars_at_all_are_too_few() -> None:
    assert "there are 0" in refused(strategy(), {"S": made_bars(1).clear()}).detail
    assert "No symbols" in refused(strategy(), {}).detail


def test_a_symbol_without_bars_before_the_border_is_named() -> None:
    young = made_bars(60, first=datetime(2030, 1, 1))  # noqa: DTZ001

    error = refused(strategy(), {"OLD": made_bars(2000), "YOUNG": young})

    assert error.detail.startswith("YOUNG has 0 training samples; at least 2 are needed.")


def test_one_class_alone_is_refused_by_name_and_count() -> None:
    rising = made_bars(120).with_columns(close=pl.lit(100.0) + pl.int_range(pl.len()))

    error = refused(strategy([], returns=True), {"S": rising})

    assert error.detail.startswith("All 86 training samples are of the class 'up'")


def test_a_feature_without_a_value_after_the_warmup_is_named_with_its_instant() -> None:
    bars = made_bars(120).with_columns(
        volume=pl.when(pl.int_range(pl.len()) == 50).then(0.0).otherwise(pl.col("volume"))
    )

    error = refused(strategy([{"name": "ln", "source": "volume"}]), {"S": bars})

    assert error.detail == (
        "S: feature ln_volume is -inf at 2020-02-20T00:00:00Z; after its warm-up it is not finite in 1 of 119 rows."
    )


def test_numbers_too_large_for_a_model_are_refused() -> None:
    bars = made_bars(120).with_columns(volume=pl.lit(1e200) * pl.int_range(1, pl.len() + 1))

    error = refused(strategy([{"name": "sma", "period": 3, "source": "volume"}], scaling="none"), {"S": bars})

    assert error.detail == "Feature sma_3_volume holds numbers too large for a model."
