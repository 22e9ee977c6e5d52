"""The calendar of a training: the strategy's, or else the one named for the symbol, or else a guess."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ktrdr
from ktrdr.home import Home
from ktrdr.market.sessions import sessions_of
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.training import FoldsResults, TrainingResults
from ktrdr.saved_models.predict import predict_last
from ktrdr.saved_models.trained_model import load_model
from tests.features.series import made_bars

# By its name a coin, which trades on all days.
SYMBOL = "ACMEUSDT"
WARMUP = 5
STRATEGY = f"""
name: Hours
model: {{type: mlp, layers: 1, hidden_size: 4, sequence_length: 3}}
training: {{epochs: 1}}
controls: {{shuffled_labels: none}}
indicators: [{{name: rsi, period: {WARMUP}}}]
"""


def hours_of_new_york() -> pl.DataFrame:
    """Hourly bars of the sessions of half a year, seven a day."""
    sessions = sessions_of("XNYS", np.datetime64("2024-01-01", "us"), np.datetime64("2024-07-01", "us"))
    opens = [
        np.arange(open, close, np.timedelta64(1, "h"))
        for open, close in zip(sessions.opens, sessions.closes, strict=True)
        if open < np.datetime64("2024-07-01")
    ]
    stamps = pl.Series(np.concatenate(opens)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return made_bars(len(stamps)).with_columns(timestamp=stamps)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    BarStore(Home(home).bars).merge(SYMBOL, "1h", hours_of_new_york(), "made")
    return home


@pytest.fixture
def store(home: Path) -> Iterator[BarStore]:
    store = BarStore(Home(home).bars)
    yield store
    store.set_calendar(SYMBOL, None)


@pytest.mark.parametrize(
    ("named", "in_strategy", "calendar", "bars_per_year", "holes"),
    [
        (None, "", "24/7 (a guess: USDT is a coin)", (3000, 3500), True),
        ("XNYS", "", "XNYS (named for ACMEUSDT)", (1720, 1770), False),
        ("24/7", "calendar: XNYS\n", "XNYS (named by the strategy)", (1720, 1770), False),
        ("XNYS", "calendar: 24/7\n", "24/7 (named by the strategy)", (3000, 3500), True),
    ],
    ids=["guess", "named", "strategy over named", "strategy over named, holes"],
)
def test_holes_and_bars_per_year_follow_the_calendar(
    store: BarStore,
    home: Path,
    tmp_path: Path,
    named: str | None,
    in_strategy: str,
    calendar: str,
    bars_per_year: tuple[int, int],
    holes: bool,
) -> None:
    store.set_calendar(SYMBOL, named)

    trained = ktrdr.train(STRATEGY + in_strategy, SYMBOL, ["1h"], output=tmp_path / "one", home=home)

    results = trained.results
    assert isinstance(results, TrainingResults)
    assert results.backtest
    assert results.preflight
    assert bars_per_year[0] <= results.backtest.bars_per_year <= bars_per_year[1]
    (samples,) = results.preflight.symbols
    assert (str(samples.calendar), bool(samples.holes)) == (calendar, holes)
    assert calendar in " ".join(trained.summary.split())
    assert any(f"the calendar {calendar} expects" in text for text in results.preflight.warnings) is holes


def test_folds_and_predictions_go_by_the_named_calendar(store: BarStore, home: Path, tmp_path: Path) -> None:
    store.set_calendar(SYMBOL, "XNYS")
    strategy = f"{STRATEGY}validation: {{type: purged_kfold, folds: 2}}\n"

    trained = ktrdr.train(strategy, SYMBOL, ["1h"], output=tmp_path / "folds", home=home)
    bars = SymbolBars.of({"1h": store.read_stored(SYMBOL, "1h")})
    predicted = predict_last(load_model(tmp_path / "folds" / "fold-2"), SYMBOL, bars, 500)

    assert isinstance(trained.results, FoldsResults)
    assert trained.results.backtest
    assert 1720 <= trained.results.backtest.bars_per_year <= 1770
    assert len(predicted) == 500


def test_features_do_not_begin_anew_after_a_weekend_of_the_named_calendar(store: BarStore, home: Path) -> None:
    guessed = ktrdr.build_features(STRATEGY, SYMBOL, ["1h"], home=home)
    store.set_calendar(SYMBOL, "XNYS")
    named = ktrdr.build_features(STRATEGY, SYMBOL, ["1h"], home=home)

    assert named[f"rsi_{WARMUP}"].null_count() == WARMUP
    assert guessed[f"rsi_{WARMUP}"].null_count() > 20 * WARMUP
