"""Every known kind of leak is caught and called by its name; what is honest passes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import LeakFound
from ktrdr.features.assemble import build_dataset
from ktrdr.features.columns import Build, build_features
from ktrdr.features.dataset import Dataset, Part
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.labels.label import Measured
from ktrdr.features.labels.types import label_of
from ktrdr.features.leaks import label_correlation
from ktrdr.features.leaks.gate import audit, check_leaks
from ktrdr.features.leaks.label_correlation import Targets
from ktrdr.features.leaks.leak import Kind
from ktrdr.features.scaling import Scaler, fit_scaler
from ktrdr.features.splits import fold_count
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from tests.bars import SOURCES, Series
from tests.features import leaky
from tests.features.leaky import with_column
from tests.features.series import made_bars

STRATEGIES = Path(__file__).parents[2] / "config" / "strategies"
SHIPPED = sorted(path for path in STRATEGIES.glob("*.yaml") if not path.stem.startswith("search_"))


def strategy(*timeframes: str, **sections: Any) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "model": {"type": "mlp", "sequence_length": 5},
            "timeframes": timeframes or ("1d",),
            "indicators": [{"name": "sma", "period": 20}, {"name": "rsi", "period": 14}],
            **sections,
        }
    )


@dataclass(frozen=True, slots=True)
class Market:
    """The bars of one source."""

    series: Series

    def days(self, symbol: str = "AAPL", rows: int = 700) -> SymbolBars:
        return SymbolBars({"1d": self.series(f"{symbol}_1d").tail(rows)})

    def hours_and_days(self, since: datetime = datetime(2020, 7, 1, tzinfo=UTC)) -> SymbolBars:
        hours = self.series("AAPL_1h").filter(pl.col("timestamp") >= since)
        days = self.series("AAPL_1d").filter(pl.col("timestamp") < datetime(2021, 4, 1, tzinfo=UTC))
        return SymbolBars({"1h": hours, "1d": days})


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def market(request: pytest.FixtureRequest) -> Market:
    return Market(request.param)


def caught(spec: Strategy, bars: SymbolBars, build: Build = build_features, **made_with: Any) -> LeakFound:
    dataset = build_dataset(spec, {"AAPL": bars}, build=build, **made_with)
    with pytest.raises(LeakFound) as found:
        check_leaks(spec, {"AAPL": bars}, dataset, build=build)
    return found.value


# What is made of later bars.


@pytest.mark.parametrize(
    ("kind", "column", "make"),
    [
        (Kind.OPEN_BAR, "log_return@1d", leaky.unshifted_day),
        (Kind.LOOK_AHEAD, "rsi_14@1d", leaky.centred_days),
        (Kind.LOOK_AHEAD, "rsi_14", leaky.centred_mean),
        (Kind.WHOLE_HISTORY, "sma_20", leaky.normalised),
        (Kind.LABEL_IN_FEATURES, "log_return", leaky.move_ahead),
    ],
)
def test_a_feature_of_later_bars_is_caught_by_name(market: Market, kind: Kind, column: str, make: Any) -> None:
    def padded(spec: Strategy, bars: SymbolBars) -> pl.Series:
        return pl.Series(make(spec, bars)).fill_nan(0.0).fill_null(0.0)

    error = caught(strategy("1h", "1d"), market.hours_and_days(), with_column(column, padded))

    assert (error.context["kind"], error.context["column"], error.context["symbol"]) == (kind.value, column, "AAPL")
    assert error.context["whole"] != error.context["known"]


@pytest.mark.parametrize("rows", [700, 3000])
def test_back_fills_of_gaps_and_of_the_warm_up_are_caught_by_name(market: Market, rows: int) -> None:
    bars = market.days(rows=rows)
    gap = caught(strategy(), bars, with_column("log_return", leaky.filled_gap))
    start = caught(strategy(), bars, leaky.without_warmup(build_features))

    assert (gap.context["kind"], gap.context["column"]) == (Kind.BACK_FILL, "log_return")
    assert start.context["kind"] == Kind.BACK_FILL


def test_the_message_names_column_symbol_instant_and_both_values(market: Market) -> None:
    bars = market.hours_and_days()
    error = caught(strategy("1h", "1d"), bars, with_column("log_return@1d", leaky.unshifted_day))

    instant = datetime.fromisoformat(error.context["instant"])
    hour = bars["1h"].filter(pl.col("timestamp") < instant)["timestamp"][-1]
    today = bars["1d"].filter(pl.col("timestamp").dt.date() == hour.date())
    before = bars["1d"].filter(pl.col("timestamp").dt.date() < hour.date())
    move = float(np.log(today["close"][0] / before["close"][-1]))
    assert error.context["whole"] == pytest.approx(move)
    assert error.detail == (
        f"unshifted timeframe: feature log_return@1d of AAPL at {error.context['instant']} is {move:.4g} with the "
        f"whole history and {error.context['known']:.4g} with what was known then: a bar of a longer timeframe is read "
        "before it has closed."
    )
    assert error.code == "leak_found"


def test_a_label_that_came_with_the_features_is_caught_where_no_history_tells(market: Market) -> None:
    spec, bars = strategy(), market.days()
    error = caught(spec, bars, leaky.from_elsewhere({"AAPL": bars}, spec, "AAPL"))

    assert (error.context["kind"], error.context["column"]) == (Kind.LABEL_IN_FEATURES, "log_return")


def test_one_bar_of_all_is_found_by_an_audit(market: Market) -> None:
    spec, bars = strategy(), {"AAPL": market.days(rows=300)}
    build = with_column("log_return", leaky.peeks_once(133))

    report = audit(spec, bars, build=build)

    assert (report.passed, report.complete, report.exhaustive) == (False, True, True)
    assert [(leak.kind, leak.column, leak.symbol) for leak in report.leaks] == [(Kind.BACK_FILL, "log_return", "AAPL")]
    closed = bars["AAPL"]["1d"]["timestamp"][133] + timedelta(days=1)
    assert report.leaks[0].instant == closed


# Scaling, classes, labels, splits.


@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_scaling_with_other_rows_than_those_of_the_training_is_caught(market: Market, scaling: str) -> None:
    spec, bars = strategy(features={"scaling": scaling}), market.days()

    def fit(method: Any, rows: Any) -> Scaler:
        columns = build_features(spec, bars)
        return fit_scaler(method, columns.values[columns.warmup :])

    error = caught(spec, bars, fit=fit)

    assert (error.context["kind"], error.context["column"]) == (Kind.WHOLE_SAMPLE_SCALING, "log_return")


def test_classes_cut_with_moves_of_the_validation_are_caught(market: Market) -> None:
    spec, bars = strategy(labels={"quantiles": [0.3, 0.7]}), market.days()
    dataset = build_dataset(spec, {"AAPL": bars})
    moves = np.concatenate((dataset.train.measures, dataset.validation.measures))

    with pytest.raises(LeakFound) as found:
        check_leaks(spec, {"AAPL": bars}, replace(dataset, cuts=label_of(spec.labels).cuts(spec.labels, moves)))

    assert found.value.context["kind"] == Kind.WHOLE_SAMPLE_LABELS


def unpurged(dataset: Dataset) -> Dataset:
    """The border 3 samples later, and nothing left out before it."""
    train, validation = dataset.train, dataset.validation
    fields = Part.__slots__
    moved = {name: np.concatenate((getattr(train, name), getattr(validation, name)[:3])) for name in fields}
    return replace(
        dataset,
        train=Part(**moved),
        validation=Part(**{name: getattr(validation, name)[3:] for name in fields}),
    )


@pytest.mark.parametrize("label", [{"horizon": 3}, {"type": "triple_barrier", "horizon": 5}])
def test_labels_that_reach_over_a_border_are_caught(market: Market, label: dict[str, Any]) -> None:
    spec, bars = strategy(labels=label), {"AAPL": market.days()}

    with pytest.raises(LeakFound, match="the validation part begins at") as found:
        check_leaks(spec, bars, unpurged(build_dataset(spec, bars)))

    assert found.value.context["kind"] == Kind.UNPURGED_SPLIT


def test_an_embargo_that_was_not_kept_is_caught(market: Market) -> None:
    bars = {"AAPL": market.days()}
    kept = strategy(validation={"embargo": 4})

    assert check_leaks(kept, bars, build_dataset(kept, bars)).passed
    with pytest.raises(LeakFound, match="less an embargo of 4 bars"):
        check_leaks(kept, bars, build_dataset(strategy(), bars))


def test_a_label_that_needs_more_bars_than_it_says_is_caught(market: Market) -> None:
    spec, bars = strategy(labels={"horizon": 2}), {"AAPL": market.days()}
    dataset = build_dataset(spec, bars)

    def measure(spec: Any, frame: pl.DataFrame) -> Measured:
        honest = label_of(spec).measure(spec, frame)
        return replace(honest, values=honest.values - np.nanmean(honest.values))

    with pytest.raises(LeakFound) as found:
        check_leaks(spec, bars, dataset, measure=measure)

    assert found.value.context["kind"] == Kind.LABEL


# No false alarms.


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_strategies_pass_an_audit(market: Market, path: Path) -> None:
    spec = load_strategy(path.read_text(encoding="utf-8"), IndicatorCatalogue())
    bars = {symbol: market.days(symbol, 500) for symbol in ("AAPL", "SPY")}

    one = audit(spec.on(["1d"]), bars, instants=30)
    two = audit(spec.on(["1h", "1d"]), {"AAPL": market.hours_and_days(datetime(2020, 11, 1, tzinfo=UTC))}, instants=30)

    assert (one.leaks, two.leaks) == ((), ())
    assert one.checks.symbols == 2
    assert two.checks.instants_with_open_bars > 20
    assert not one.checks.label_controls.void


@pytest.mark.parametrize(
    "sections",
    [
        {"validation": {"type": "walk_forward", "folds": 3, "test": 0.1, "embargo": "1%"}},
        {"validation": {"type": "walk_forward", "folds": 2, "window": "rolling"}},
        {"validation": {"type": "purged_kfold", "folds": 3, "test": 0.1}},
        {"labels": {"type": "forward_return", "horizon": 4}},
        {"labels": {"type": "triple_barrier"}, "training": {"sample_weights": "uniqueness"}},
        {"labels": {"type": "trend"}, "features": {"scaling": "robust"}},
        {"labels": {"horizon": 5, "quantiles": [0.3, 0.7]}, "validation": {"test": 0.2}},
    ],
    ids=str,
)
def test_every_split_and_label_passes(market: Market, sections: dict[str, Any]) -> None:
    spec, bars = strategy(**sections), {symbol: market.days(symbol) for symbol in ("AAPL", "MSFT")}

    for fold in range(fold_count(spec)):
        assert check_leaks(spec, bars, build_dataset(spec, bars, fold)).passed


def test_the_open_bar_as_known_so_far_is_no_leak(market: Market) -> None:
    spec, bars = strategy("1h", "1d"), {"AAPL": market.hours_and_days()}
    build = with_column("log_return", leaky.day_so_far)

    verdict = check_leaks(spec, bars, build_dataset(spec, bars, build=build), build=build)

    assert verdict.passed
    assert verdict.checks.instants_with_open_bars > 5


@pytest.mark.parametrize("known", [0.65, 0.9])
def test_a_signal_that_is_really_there_is_no_leak(known: float) -> None:
    """The volume's rise tells the next move's direction, so many times in 100."""
    bars, random = made_bars(1500), np.random.default_rng(1)
    ahead = np.sign(np.diff(np.log(bars["close"].to_numpy()), append=0.0))
    told = np.where(random.random(1500) < known, ahead, -ahead)
    bars = bars.with_columns(volume=pl.Series(1000.0 + 100 * told))
    spec = strategy(indicators=[{"name": "linearreg", "period": 2, "source": "volume"}])

    verdict = check_leaks(spec, {"X": SymbolBars({"1d": bars})}, build_dataset(spec, {"X": SymbolBars({"1d": bars})}))

    assert (verdict.checks.label_controls.strongest_score or 0) > 0.5 * (2 * known - 1)


def test_a_market_that_repeats_itself_is_no_leak() -> None:
    """On a curve the last move tells the next: features know no more than that."""
    bars = made_bars(900)
    scale = pl.Series(np.exp(0.1 * np.sin(np.arange(900) / 30))) / bars["close"]
    curve = bars.with_columns(pl.col("open", "high", "low", "close") * scale)

    verdict = check_leaks(
        strategy(), {"X": SymbolBars({"1d": curve})}, build_dataset(strategy(), {"X": SymbolBars({"1d": curve})})
    )

    assert verdict.checks.label_controls.void


def test_a_day_on_which_the_market_fell_is_one_event_and_no_leak() -> None:
    """All falls of a class lie on one day, whose own feature stands out: it tells them all, and knows none of them."""
    day, falls = np.arange(20_000) // 78, np.zeros(20_000, np.int64)
    falls[78 * 100 : 78 * 101 : 3], falls[78 * 101 : 78 * 102 : 3] = -1, 1
    measures = falls + np.random.default_rng(0).normal(0, 0.1, 20_000)
    targets = Targets(np.arange(20_000), measures, falls, falls + 1, 1.0)

    (score,) = label_correlation.scores(np.abs(day - 100.0)[:, None], targets)

    assert score < label_correlation.MAX_CHANCE_SCORE
    assert not replace(targets, span=2000.0).is_enough


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_feature_that_knows_one_class_alone_is_a_leak(known: int) -> None:
    random = np.random.default_rng(1)
    measures = random.normal(size=600)
    classes = np.searchsorted([-0.43, 0.43], measures).astype(np.int64)
    targets = Targets(np.arange(600), measures, classes - 1, classes, 1.0)
    honest = 0.6 * measures + random.normal(size=600)

    scores = label_correlation.scores(np.column_stack(((classes == known).astype(float), honest)), targets)

    assert scores[0] >= label_correlation.LEAK_SCORE > label_correlation.MAX_CHANCE_SCORE > scores[1]


# What the verdict says.


def test_the_verdict_counts_what_was_done_and_repeats_itself(market: Market) -> None:
    spec, bars = strategy(), {"AAPL": market.days()}
    dataset = build_dataset(spec, bars)

    first, second = (check_leaks(spec, bars, dataset) for _ in range(2))

    assert (first.checks, first.verdict) == (second.checks, second.verdict)
    assert json.loads(first.model_dump_json())["passed"] is True
    assert first.verdict.startswith("Nothing knows its future: 3 features of AAPL")
    assert (first.checks.columns, first.checks.samples) == (
        3,
        len(dataset.train.ends) + len(dataset.validation.ends),
    )
    assert first.checks.instants >= 24
    assert first.checks.rows_compared > 10_000


def test_an_audit_tells_its_progress_and_stops(market: Market) -> None:
    seen: list[tuple[int, int]] = []

    def on_progress(done: int, total: int) -> None:
        seen.append((done, total))

    report = audit(strategy(), {"AAPL": market.days()}, on_progress, lambda: len(seen) > 20)
    whole = audit(strategy(), {"AAPL": market.days(rows=200)}, on_progress)

    assert (report.complete, report.passed) == (False, True)
    assert report.verdict.startswith("Stopped before its end.")
    assert seen[20] == (21, 700)
    assert seen[-1] == (200, 200)
    assert json.loads(whole.model_dump_json())["exhaustive"] is True
