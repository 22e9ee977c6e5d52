"""A training in folds as a whole: one test, one backtest and one curve over the rows of all folds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePath

import numpy as np
import polars as pl
import pytest

import ktrdr
from ktrdr.evaluation.evaluate import evaluate_rows
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.experiments.folds import TrainedFold, TrainingInFolds, summarise
from ktrdr.home import Home
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.market.bars import fingerprint
from ktrdr.market.series_file import StoredBars
from ktrdr.market.store import BarStore
from ktrdr.payloads.training import FoldsResults, TrainingResults
from ktrdr.python_api import Training
from ktrdr.saved_models.rows_file import write_rows
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import EVALUATED_ROWS, PREDICTIONS, UNSEALED
from tests.made_rows import rows
from tests.sample_results import training
from tests.small_trainings import planted_bars

FOLDS = Strategy.model_validate(
    {
        "name": "Folds",
        "timeframes": ["1d"],
        "model": {"type": "gradient_boosting"},
        "indicators": [{"name": "rsi", "period": 5}],
    }
)
STRATEGY = """
name: Turning tides
timeframes: [1d]
model: {type: gradient_boosting, leaves: 3}
training: {epochs: 4}
indicators: [{name: rsi, period: 5}]
labels: {type: direction, horizon: 2}
controls: {shuffled_labels: none}
costs: {fee_bps: 10, slippage_bps: 0}
validation: {type: %s, folds: 3, test: 0.15}
"""


def no_bars(symbol: str, timeframe: str, first: object, last: object) -> StoredBars:
    return StoredBars(planted_bars(), "planted")


def summary_of(folds: Sequence[EvaluatedRows], folder: Path) -> FoldsResults:
    trained = []
    for number, own in enumerate(folds, start=1):
        output = folder / f"fold-{number}"
        write_rows(output, [own])
        (output / "model.json").write_text(json.dumps({"data_sha256": {"UP": {"1d": "another"}}}))
        trained.append(TrainedFold(output.name, training(evaluation=evaluate_rows(own)), output))
    whole = TrainingInFolds(FOLDS, "folds", "name: Folds\n", ("UP",), None, None)
    return summarise(whole, trained, no_bars, folder, PurePath(), looks=Unrecorded())


def test_skill_that_no_fold_shows_by_itself_shows_over_all_folds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folds = []
    for number in range(12):
        labels = random.integers(0, 2, 60)
        hits = random.random(60) < 0.62
        naive = {"majority": 1, "persistence": random.integers(0, 2, 60)}
        folds.append(rows(labels, np.where(hits, labels, 1 - labels), naive, first=60 * number))

    found = summary_of(folds, tmp_path)

    assert found.evaluation is not None
    assert found.lead is not None
    assert sum(fold.beats_baselines for fold in found.folds) <= 3
    assert found.lead.beats_baselines
    assert found.lead.beats_baselines == found.evaluation.significance.beats_baselines
    assert found.verdict.startswith("The model beats its baselines beyond chance: ")
    assert f"ahead of every naive baseline in {found.lead.folds_ahead} of 12 folds" in found.verdict
    assert found.evaluation.samples == 720
    assert found.lead.mean == found.evaluation.significance.against[found.lead.over].lead


def test_equal_leads_of_two_folds_prove_nothing(tmp_path: Path) -> None:
    # The model leaves the majority on two bars of each fold and is right both times, as one of 16 coins would be.
    labels = np.ones(100, np.int64)
    labels[[20, 60]] = 0
    persistence = np.zeros(100, np.int64)
    folds = [rows(labels, labels, {"majority": 1, "persistence": persistence}, first=100 * n) for n in range(2)]

    found = summary_of(folds, tmp_path)

    assert found.lead is not None
    assert [fold.lead for fold in found.folds] == [pytest.approx(0.02)] * 2
    assert (found.lead.folds_ahead, found.lead.over) == (2, "majority")
    assert not found.lead.beats_baselines
    assert found.lead.p_value >= 1 / 16
    assert "beyond chance" not in found.verdict


def test_a_model_that_is_level_with_its_baseline_is_ahead_in_no_fold(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    naive = {"majority": 1, "persistence": 0}
    folds = [rows(random.integers(0, 2, 80), np.ones(80), naive, first=80 * n) for n in range(3)]

    found = summary_of(folds, tmp_path)

    assert found.lead is not None
    assert found.lead.folds_ahead == 0
    assert not found.lead.beats_baselines
    assert "in 0 of 3 folds" in found.verdict


def test_a_regression_is_judged_by_its_squared_error_as_each_of_its_folds_is(tmp_path: Path) -> None:
    # The size of a move is known and always up, its baseline's sign too: accuracies are equal.
    random = np.random.default_rng(2)
    sizes = [np.abs(random.normal(1, 1, 200)) for _ in range(3)]
    knowing = [
        rows(size, 0.8 * size, {"mean": 1.0, "persistence": np.roll(size, 1)}, first=200 * n, classes=())
        for n, size in enumerate(sizes)
    ]
    signs = [random.normal(0, 1, 200) for _ in range(3)]
    boasting = [
        rows(sign, 10 * sign, {"mean": 0.0, "persistence": np.roll(sign, 1)}, first=200 * n, classes=())
        for n, sign in enumerate(signs)
    ]

    right, wrong = summary_of(knowing, tmp_path / "right"), summary_of(boasting, tmp_path / "wrong")

    assert right.lead is not None
    assert wrong.lead is not None
    assert [fold.beats_baselines for fold in right.folds] == [True] * 3
    assert right.lead.beats_baselines
    assert "a squared error of" in right.verdict
    assert all(fold.baseline_mse and fold.mse and fold.lead == fold.baseline_mse - fold.mse for fold in right.folds)
    # It is right about every sign, and its numbers are far off.
    assert [fold.accuracy for fold in wrong.folds] == [1.0] * 3
    assert not wrong.lead.beats_baselines
    assert wrong.lead.folds_ahead == 0


def test_a_fold_without_stored_predictions_is_named_and_nothing_is_tested(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    folds = [
        rows(random.integers(0, 2, 50), np.ones(50), {"majority": 1, "persistence": 0}, first=50 * n) for n in range(2)
    ]
    summary_of(folds, tmp_path)
    (tmp_path / "fold-2" / EVALUATED_ROWS).unlink()
    trained = [
        TrainedFold(f"fold-{n}", training(evaluation=evaluate_rows(own)), tmp_path / f"fold-{n}")
        for n, own in enumerate(folds, start=1)
    ]

    whole = TrainingInFolds(FOLDS, "folds", "", ("UP",), None, None)
    found = summarise(whole, trained, no_bars, tmp_path, PurePath(), looks=Unrecorded())

    assert (found.evaluation, found.backtest, found.lead) == (None, None, None)
    assert found.note == "no predictions are stored of fold 2, which an older version trained"
    assert "cannot be tested" in found.verdict
    assert len(found.folds) == 2


def test_bars_that_have_changed_are_not_traded(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    naive = {"majority": 1, "persistence": 0}

    found = summary_of([rows(random.integers(0, 2, 50), np.ones(50), naive, first=50 * n) for n in range(2)], tmp_path)

    assert found.evaluation is not None
    assert found.backtest is None
    assert found.note == (
        "there is no joined backtest: the stored bars of UP 1d have changed since the folds were trained"
    )


# Whole trainings.


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("home")
    store = BarStore(Home(root).bars)
    for seed, symbol in enumerate(("DOWN", "UP"), start=1):
        store.merge(symbol, "1d", planted_bars(420, seed=seed), "planted")
    return root


@pytest.fixture(scope="module", params=["walk_forward", "purged_kfold"])
def trained(request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    output = tmp_path_factory.mktemp("whole") / "model"
    return ktrdr.train(STRATEGY % request.param, ["DOWN", "UP"], output=output, home=home)


def predictions(trained: Training) -> pl.DataFrame:
    """Of all folds, in order of time."""
    folders = sorted(trained.folder.glob("fold-*"))
    return pl.concat([pl.read_parquet(folder / PREDICTIONS) for folder in folders]).sort("timestamp", "symbol")


def results(trained: Training) -> FoldsResults:
    assert isinstance(trained.results, FoldsResults)
    return trained.results


def test_the_whole_has_the_accuracy_and_the_log_loss_of_all_its_rows(trained: Training) -> None:
    own = predictions(trained).filter(pl.col("part") == "validation")
    found = results(trained).evaluation

    assert found is not None
    assert not own.select("timestamp", "symbol").is_duplicated().any()
    assert found.samples == len(own) == sum(fold.samples for fold in results(trained).folds)
    assert found.accuracy == pytest.approx((own["label"] == own["predicted"]).mean())
    true = pl.when(pl.col("label") == "up").then("probability_up").otherwise("probability_down")
    assert getattr(found, "log_loss", None) == pytest.approx(own.select(-true.log().mean()).item(), rel=1e-6)


def test_the_test_part_is_opened_for_the_model_of_the_last_fold(trained: Training, home: Path) -> None:
    found, sealed = results(trained), results(trained).sealed
    assert sealed is not None
    assert (found.test_evaluation, found.test_backtest, sealed.opening) == (None, None, None)
    assert set(predictions(trained)["part"]) == {"validation"}

    opened = ktrdr.unseal(trained, home=home)

    tested = pl.read_parquet(trained.folder / "fold-3" / UNSEALED / PREDICTIONS)
    assert (opened.model, opened.evaluation.part, opened.backtest.part) == ("fold-3", "test", "test")
    assert opened.evaluation.samples == sealed.samples == len(tested) == tested.select("timestamp", "symbol").n_unique()
    assert set(predictions(trained)["part"]) == {"validation"}
    cards = [json.loads((folder / "model.json").read_bytes()) for folder in sorted(trained.folder.glob("fold-*"))]
    outcomes = [TrainingResults.model_validate(card["results"]) for card in cards]
    assert [each.test_evaluation for each in outcomes] == [None, None, None]
    assert [each.sealed for each in outcomes] == [sealed] * 3
    assert found.model_path.endswith("fold-3/model.safetensors")


def test_the_joined_backtest_is_one_account_over_all_folds_in_order_of_time(trained: Training, home: Path) -> None:
    own = predictions(trained).filter(pl.col("part") == "validation")
    found = results(trained).backtest
    assert found is not None

    equities = [
        account(ktrdr.bars(symbol, "1d", home=home), own.filter(pl.col("symbol") == symbol))
        for symbol in ("DOWN", "UP")
    ]

    total = float(np.mean([equity for equity, _ in equities])) - 1
    assert found.model.total_return == pytest.approx(total)
    assert found.model.trades == sum(trades for _, trades in equities)
    assert list(found.equity.timestamps) == sorted(found.equity.timestamps)
    assert found.equity.model[-1] == pytest.approx(1 + total, abs=1e-6)
    assert found.model.sharpe_standard_error is not None
    for name in ("equity.png", "folds.png", "summary.txt", "model.json", "strategy.yaml"):
        assert (trained.folder / name).stat().st_size > 0
    assert "Backtest of all folds in order of time" in trained.summary


def account(bars: pl.DataFrame, own: pl.DataFrame) -> tuple[float, int]:
    """Final equity and trades of one symbol: each prediction is filled at the next open, 10 bps a trade.

    The last one is held until its label's bar closes, two bars later.
    """
    opens, closes = bars["open"].to_list(), bars["close"].to_list()
    row_of: dict[datetime, int] = {instant: row for row, instant in enumerate(bars["timestamp"])}
    positions = {
        row_of[at] + 1: 1.0 if said == "up" else -1.0 for at, said in own.select("timestamp", "predicted").rows()
    }
    first, last = min(positions), max(positions) + 1
    equity, held, trades = 1.0, 0.0, 0
    for row in range(first, last + 1):
        position = positions.get(row, held)
        trades += position != held
        equity *= 1 - 0.001 * abs(position - held)
        end = opens[row + 1] if row < last else closes[row]
        equity *= 1 + position * (end / opens[row] - 1)
        held = position
    return equity * (1 - 0.001 * abs(held)), trades + (held != 0)


def test_the_card_of_the_whole_has_its_settings_and_the_bars_of_its_folds(trained: Training, home: Path) -> None:
    card = json.loads((trained.folder / "model.json").read_bytes())

    assert card["operation_ids"] == ["fold-1", "fold-2", "fold-3"]
    assert card["strategy"]["validation"]["folds"] == 3
    assert card["data_sha256"]["UP"]["1d"] == fingerprint(ktrdr.bars("UP", "1d", home=home))


def test_the_whole_warns_of_what_its_folds_were_warned_of(home: Path, tmp_path: Path) -> None:
    strategy = STRATEGY.replace("epochs: 4", "epochs: 2, batch_size: 32") % "walk_forward"

    whole = ktrdr.train(strategy, ["UP"], output=tmp_path / "model", home=home)

    unused = [text for text in results(whole).warnings if "batch_size" in text]
    assert len(unused) == 1
    assert not unused[0].startswith("fold ")
    others = [text for text in results(whole).warnings if text not in unused]
    assert all(text.startswith("fold ") for text in others)
    assert "batch_size" in (whole.folder / "summary.txt").read_text(encoding="utf-8")
