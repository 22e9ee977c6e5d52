"""Every figure of small trainings, computed again by other code from the bars and the predictions given out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from exchange_calendars import get_calendar

from ktrdr.experiments.train import run_training
from ktrdr.market.series_file import StoredBars
from ktrdr.payloads.backtest import BacktestResult, Performance
from ktrdr.payloads.evaluation import Classification, Evaluation, Lead, Regression
from ktrdr.payloads.training import TrainingResults
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import PREDICTIONS
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests import recompute
from tests.recompute import Bars, Rules

CLOSE = 1e-9
TREES = {"type": "gradient_boosting", "leaves": 4}
MLP = {"type": "mlp", "layers": 1, "hidden_size": 8, "sequence_length": 4}
GRU = {"type": "gru", "layers": 1, "hidden_size": 6, "sequence_length": 3}
WARMUP = 5  # of rsi(5) and log returns


def sessions(begin: str, end: str) -> pd.DatetimeIndex:
    return get_calendar("XNYS", start="2021-01-04", end="2025-12-31").sessions_in_range(begin, end)


def days() -> pd.DatetimeIndex:
    return sessions("2022-01-03", "2024-05-31")


def hours() -> pd.DatetimeIndex:
    """Two holes, one of them late enough to lie in the validation part, and a pause that is none."""
    every = pd.date_range("2024-01-01", periods=700, freq="h")
    lost = [*range(200, 260), *range(400, 410), *range(620, 655)]
    return every.delete(lost)


def five_minutes() -> pd.DatetimeIndex:
    """Of seven sessions in summer, which begin at 13:30 UTC."""
    steps = pd.timedelta_range("13:30:00", periods=78, freq="5min")
    return pd.DatetimeIndex([day + step for day in sessions("2024-07-08", "2024-07-16") for step in steps])


def bars_of(opened: pd.DatetimeIndex, length: str, session: str, seed: int) -> Bars:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.012, len(opened))))
    opens = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.002, len(opened)))
    pauses = np.diff(opened) if not session else np.array([], "timedelta64[ns]")
    holes = tuple(int(row) + 1 for row in np.flatnonzero(pauses > pd.Timedelta(days=1, hours=1)))
    return Bars(opened, opens.tolist(), close.tolist(), pd.Timedelta(length), session, holes)


def frame_of(bars: Bars) -> pl.DataFrame:
    opens, closes = np.array(bars.open), np.array(bars.close)
    stamps = pl.Series(bars.opened.to_numpy().astype("datetime64[us]")).dt.replace_time_zone("UTC")
    high, low = np.maximum(opens, closes) * 1.001, np.minimum(opens, closes) * 0.999
    volume = np.full(len(opens), 1000.0)
    values = {"timestamp": stamps, "open": opens, "high": high, "low": low, "close": closes, "volume": volume}
    return pl.DataFrame(values)


CASES: dict[str, tuple[dict[str, Any], str, dict[str, Bars], Rules]] = {
    "daily, balanced, with a test part": (
        {
            "model": MLP,
            "training": {"epochs": 3, "class_weights": "balanced"},
            "labels": {"horizon": 3, "threshold": 0.01},
            "validation": {"test": 0.15, "embargo": 3},
            "costs": {"fee_bps": 5, "slippage_bps": 5},
        },
        "1d",
        {"SHARE": bars_of(days(), "1D", "XNYS", 0)},
        Rules(horizon=3, threshold=0.01, warmup=WARMUP, window=4, test=0.15, embargo=3, cost=1e-3),
    ),
    "hourly with holes, trees": (
        {"model": TREES, "training": {"epochs": 4, "class_weights": "balanced"}, "labels": {"horizon": 2}},
        "1h",
        {"COINUSDT": bars_of(hours(), "1h", "", 1)},
        Rules(horizon=2, warmup=WARMUP, window=1),
    ),
    "5-minute, three symbols, a regression": (
        {"model": TREES, "training": {"epochs": 4}, "labels": {"type": "forward_return", "horizon": 6}},
        "5m",
        {name: bars_of(five_minutes(), "5min", "XNYS", seed) for seed, name in enumerate(("ONE", "TWO", "THREE"))},
        Rules(horizon=6, warmup=WARMUP, window=1, regression=True),
    ),
    "a fold of a walk forward": (
        {
            "model": GRU,
            "training": {"epochs": 2},
            "validation": {"type": "walk_forward", "folds": 3, "initial": 0.4, "embargo": 2, "test": 0.1},
        },
        "1d",
        {"SHARE": bars_of(days(), "1D", "XNYS", 2), "OTHER": bars_of(days()[30:], "1D", "XNYS", 3)},
        Rules(horizon=1, warmup=WARMUP, window=3, test=0.1, embargo=2, initial=0.4, folds=3, fold=1),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_figure_is_the_same_when_it_is_computed_by_other_code(case: str, tmp_path: Path) -> None:
    sections, timeframe, series, rules = CASES[case]
    results = train(sections, timeframe, series, rules, tmp_path)
    samples = recompute.samples(series, rules)
    given = pl.read_parquet(tmp_path / PREDICTIONS)

    for part, evaluation, money in (
        ("validation", results.evaluation, results.backtest),
        ("test", results.test_evaluation, results.test_backtest),
    ):
        # Of several folds the last one alone opens the test part.
        is_opened = part == "validation" or (rules.test > 0 and rules.fold == rules.folds - 1)
        assert (evaluation is None) == (money is None) == (not is_opened)
        if evaluation is not None and money is not None:
            table = predicted(given.filter(part=part), samples[samples["part"] == part])
            check_evaluation(evaluation, table, samples[samples["part"] == "train"], rules)
            check_backtest(money, series, table, rules)


def train(
    sections: dict[str, Any], timeframe: str, series: dict[str, Bars], rules: Rules, folder: Path
) -> TrainingResults:
    document = {"name": "Again", "indicators": [{"name": "rsi", "period": 5}], **sections}
    strategy = Strategy.model_validate(document | {"controls": {"shuffled_labels": "none"}}).on([timeframe])
    request = TrainingRequest("op_1", strategy, "s", "name: s\n", tuple(series), None, None, folder, fold=rules.fold)
    frames = {symbol: frame_of(bars) for symbol, bars in series.items()}
    return run_training(request, lambda symbol, _: StoredBars(frames[symbol], "made"), SilentObserver())


def predicted(given: pl.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The samples of a part with what was predicted; each is there once, and no other."""
    rows = {(row["symbol"], naive(row["timestamp"])): row for row in given.to_dicts()}
    keys = list(zip(samples["symbol"], samples["timestamp"], strict=True))
    assert sorted(rows) == sorted(keys)
    own = pd.DataFrame([rows[key] for key in keys]).drop(columns=["symbol", "timestamp", "part"])
    return pd.concat([samples.reset_index(drop=True), own], axis=1)


def naive(instant: datetime) -> pd.Timestamp:
    return pd.Timestamp(instant).tz_localize(None)


def check_evaluation(evaluation: Evaluation, table: pd.DataFrame, train: pd.DataFrame, rules: Rules) -> None:
    assert evaluation.samples == len(table)
    if isinstance(evaluation, Classification):
        check_classes(evaluation, table, train, rules)
    else:
        check_numbers(evaluation, table, train)


def check_classes(evaluation: Classification, table: pd.DataFrame, train: pd.DataFrame, rules: Rules) -> None:
    labels, classes = table["move"].map(rules.label), rules.classes
    assert list(labels) == list(table["label"])
    probabilities = table[[f"probability_{name}" for name in classes]].set_axis(classes, axis=1)
    for name, value in recompute.class_scores(labels, table["predicted"], classes).items():
        same(getattr(evaluation, name), value)
    same(evaluation.log_loss, recompute.log_loss(labels, probabilities))
    calibration = recompute.calibration(labels, table["predicted"], probabilities)
    same(evaluation.calibration.expected_error, calibration["expected_error"])
    # Overlapping labels are worth fewer independent ones, which the other code takes them for.
    assert evaluation.calibration.error_by_chance > calibration["error_by_chance"] - CLOSE
    shares = train["move"].map(rules.label).value_counts(normalize=True).reindex(classes, fill_value=0.0)
    constant = pd.Series([shares.idxmax()] * len(table))
    rivals = {"majority": constant, "persistence": table["last_move"].map(rules.label)}
    for name, guess in rivals.items():
        scores = recompute.class_scores(labels, guess, classes)
        for figure in ("accuracy", "balanced_accuracy", "mcc"):
            same(getattr(evaluation.baselines[name], figure), scores[figure])
        hits = labels == table["predicted"]
        check_lead(evaluation.significance.against[name], hits.astype(float) - (labels == guess), table)
    agreement = recompute.timing(labels, table["predicted"], table, classes)
    assert evaluation.significance.timing is not None
    check_lead(evaluation.significance.timing, agreement, table)
    chances = pd.DataFrame([shares] * len(table))
    same(evaluation.baselines["majority"].log_loss, recompute.log_loss(labels, chances))


def check_numbers(evaluation: Regression, table: pd.DataFrame, train: pd.DataFrame) -> None:
    np.testing.assert_allclose(table["move"], table["label"], rtol=1e-12)
    scale = float(np.std(train["move"]))

    def scaled(values: pd.Series) -> np.ndarray[Any, Any]:
        return np.asarray((values.to_numpy() / scale).astype(np.float32), np.float64)

    targets, mean = scaled(table["move"]), float(scaled(train["move"]).mean())
    constant = np.full(len(targets), mean)
    for scores, guesses in (
        (evaluation, scaled(table["predicted"])),
        (evaluation.baselines["mean"], constant),
        (evaluation.baselines["persistence"], scaled(table["last_move"])),
    ):
        for name, value in recompute.number_scores(targets, guesses, mean).items():
            same(getattr(scores, name), value)
    errors = (targets - scaled(table["predicted"])) ** 2
    for name, guesses in (("mean", constant), ("persistence", scaled(table["last_move"]))):
        check_lead(evaluation.significance.against[name], (targets - guesses) ** 2 - errors, table)


def check_lead(found: Lead, gains: Any, table: pd.DataFrame) -> None:
    again = recompute.lead(gains, table)
    same(found.lead, again["lead"])
    if again["standard_error"] > CLOSE:  # else the gains are all alike, and the error is not their spread
        same(found.standard_error, again["standard_error"])


def check_backtest(money: BacktestResult, series: dict[str, Bars], table: pd.DataFrame, rules: Rules) -> None:
    sides = np.sign(table["predicted"]) if rules.regression else table["predicted"].map({"up": 1.0, "down": -1.0})
    traded = table.assign(side=sides.fillna(0.0))
    for performance, hold in ((money.model, False), (money.buy_and_hold, True)):
        again = recompute.backtest(series, traded, rules, hold)
        same((money.bars, money.bars_per_year), (again.pop("bars"), again.pop("bars_per_year")))
        assert again.keys() <= set(Performance.model_fields)
        for name, value in again.items():
            same(getattr(performance, name), value)


def same(found: Any, again: Any) -> None:
    if found is None or again is None:
        assert found is again
    elif isinstance(again, list):
        assert [list(row) for row in found] == again
    else:
        assert found == pytest.approx(again, rel=CLOSE, abs=CLOSE)
