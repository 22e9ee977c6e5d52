"""From Python, without a server: the example runs, and a training gives the same bits as through the server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ktrdr
from ktrdr.errors import InputError, KtrdrError, SeriesNotFound
from ktrdr.market.store import BarStore
from ktrdr.payloads.search import ranked
from ktrdr.payloads.training import FoldsResults, TrainingResults
from ktrdr.training.files import CHECKSUMS, WEIGHTS

REPOSITORY = Path(__file__).parents[1]
STRATEGY = """
name: Bench
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 5}
training: {epochs: 2}
indicators: [{name: rsi, period: 14}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    loaded = ktrdr.load("AAPL", "1d", provider="sample", start="2021-01-01", home=home)
    assert loaded.rows_new > 900
    return home


@pytest.mark.processes
def test_the_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / "from_python.py"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "val_loss" in done.stdout


def test_a_ledger_without_looks_is_a_table_without_rows(tmp_path: Path) -> None:
    looks = ktrdr.looks(home=tmp_path)

    assert len(looks) == 0
    assert {"account", "look_id", "strategy_name", "accuracy", "lead"} <= set(looks.columns)


def test_bars_and_features_are_tables_of_the_same_rows(home: Path) -> None:
    bars = ktrdr.bars("AAPL", "1d", start="2022-01-01", end="2022-12-31", home=home)
    table = ktrdr.build_features(STRATEGY, "AAPL", ["1d"], start="2022-01-01", end="2022-12-31", home=home)

    assert table["timestamp"].equals(bars["timestamp"])
    assert table.columns == ["timestamp", "log_return", "rsi_14"]
    assert table["rsi_14"].null_count() == 14
    assert list(bars.to_pandas()["close"]) == bars["close"].to_list()


def test_features_of_several_symbols_stand_below_each_other(home: Path) -> None:
    frame = ktrdr.bars("AAPL", "1d", home=home)
    BarStore(home / "bars").merge("LATER", "1d", frame[300:], "test")

    together = ktrdr.build_features(STRATEGY, ["AAPL", "LATER"], ["1d"], home=home)
    alone = {symbol: ktrdr.build_features(STRATEGY, symbol, ["1d"], home=home) for symbol in ("AAPL", "LATER")}

    assert together.columns == ["symbol", *alone["AAPL"].columns]
    for symbol, table in alone.items():
        assert together.filter(symbol=symbol).drop("symbol").equals(table)
    assert together["rsi_14"].null_count() == 2 * 14
    with pytest.raises(InputError, match="no symbol is named"):
        ktrdr.build_features(STRATEGY, [], ["1d"], home=home)


def test_another_symbol_and_a_table_are_features(home: Path, tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("date,release,rate\n2022-05-04,2022-05-04 14:00,1.0\n")
    with pytest.raises(InputError, match=r"this time of release has no zone"):
        ktrdr.import_table(tmp_path / "rates.csv", known_at="release", home=home)
    rates = ktrdr.import_table(tmp_path / "rates.csv", known_at="release", timezone="America/New_York", home=home)
    assert ktrdr.tables(home=home) == (rates,)

    entries = "[{name: rsi, period: 14, symbol: aapl}, {table: rates, column: rate, as: rate}]"
    text = STRATEGY.replace("[{name: rsi, period: 14}]", entries)
    table = ktrdr.build_features(text, "AAPL", ["1d"], start="2022-01-01", end="2022-12-31", home=home)

    assert table.columns == ["timestamp", "log_return", "rsi_14@AAPL", "rate"]
    first = table.filter(table["rate"].is_not_null())["timestamp"][0]
    assert f"{first:%Y-%m-%d}" == "2022-05-04"
    with pytest.raises(InputError, match="cannot be read"):
        ktrdr.import_table(tmp_path / "gone.csv", known_at="release", home=home)


def test_a_training_comes_with_its_tables_and_its_summary(home: Path, tmp_path: Path) -> None:
    trained = ktrdr.train(STRATEGY, "AAPL", ["1d"], output=tmp_path / "one", home=home)

    results = trained.results
    assert isinstance(results, TrainingResults)
    assert results.status == "success"
    assert results.leak_gate
    assert results.leak_gate.passed
    assert trained.metrics["epoch"].to_list() == [1, 2]
    assert results.evaluation
    assert len(trained.predictions) == results.evaluation.samples
    assert (results.model_path, set(results.artifacts.values())) == (
        str(tmp_path / "one" / "model.safetensors"),
        {str(path) for path in (tmp_path / "one").iterdir() if path.is_file() and path.name != CHECKSUMS}
        - {results.model_path},
    )
    assert str(trained).startswith("Bench\n")


def test_folds_are_trained_one_after_the_other(home: Path, tmp_path: Path) -> None:
    strategy = f"{STRATEGY}validation: {{type: purged_kfold, folds: 2}}\n"

    trained = ktrdr.train(strategy, ["AAPL"], ["1d"], output=tmp_path / "folds", home=home)

    assert isinstance(trained.results, FoldsResults)
    assert [(fold.fold, fold.operation_id) for fold in trained.results.folds] == [(1, "fold-1"), (2, "fold-2")]
    assert trained.results.model_path == str(tmp_path / "folds" / "fold-2" / "model.safetensors")
    *by_fold, whole = ktrdr.looks(home=home).tail(3).iter_rows(named=True)
    assert [(look["operation_id"], look["kind"], look["door"]) for look in by_fold] == [
        ("fold-1", "fold", "python"),
        ("fold-2", "fold", "python"),
    ]
    assert [look["accuracy"] for look in by_fold] == [fold.accuracy for fold in trained.results.folds]
    assert trained.results.evaluation
    assert (whole["operation_id"], whole["kind"]) == ("folds", "whole")
    assert whole["accuracy"] == trained.results.evaluation.accuracy
    assert by_fold[0]["account"] == by_fold[1]["account"] == whole["account"]
    card = json.loads((tmp_path / "folds" / "model.json").read_bytes())
    assert card["model_path"] == "fold-2/model.safetensors"
    assert trained.summary.startswith("bench on AAPL, 1d, in folds")


def test_a_search_comes_with_its_trials_and_a_winner_that_a_training_repeats(home: Path, tmp_path: Path) -> None:
    # A schedule over the epochs of a rung would give the winner other bits than its trial.
    schedule = "schedule: {type: one_cycle, warmup_ratio: {float: [0.1, 0.6]}}"
    strategy = STRATEGY.replace("epochs: 2", f"epochs: 2, learning_rate: {{log: [1e-4, 1e-2]}}, {schedule}")
    ranges = f"{strategy}search: {{trials: 3, halving: {{factor: 3, min_epochs: 1}}}}\n"

    search = ktrdr.search(ranges, "AAPL", ["1d"], output=tmp_path / "search", home=home, set={"search.seed": 5})
    again = ktrdr.train(search.strategy, "AAPL", ["1d"], output=tmp_path / "again", home=home)

    results = search.results
    assert search.trials["score"].to_list() == [trial.score for trial in ranked(results.objective, results.trials)]
    assert search.trials["epochs"].to_list() == [2, 1, 1]
    assert f"learning_rate: {search.trials['training.learning_rate'][0]:g}" in search.strategy
    assert results.winner.identical
    assert (search.best / WEIGHTS).read_bytes() == (again.folder / WEIGHTS).read_bytes()
    assert str(search).startswith("Search: bench on AAPL, 1d")
    assert list((tmp_path / "search" / "models").glob("*/checkpoints")) == []


def test_values_that_are_set_are_those_that_are_trained(home: Path, tmp_path: Path) -> None:
    changed = {"training.epochs": 1, "indicators[0].period": 7}

    trained = ktrdr.train(STRATEGY, "AAPL", ["1d"], output=tmp_path / "set", home=home, set=changed)

    assert trained.metrics["epoch"].to_list() == [1]
    assert "period: 7" in (tmp_path / "set" / "strategy.yaml").read_text()


def test_a_search_where_every_trial_fails_says_why(home: Path, tmp_path: Path) -> None:
    wrong = f"{STRATEGY}labels: {{horizon: {{choice: [900, 1000]}}}}\nsearch: {{sampler: grid, objective: accuracy}}\n"

    with pytest.raises(KtrdrError, match="2 of 2 trials failed: trial 0"):
        ktrdr.search(wrong, "AAPL", ["1d"], output=tmp_path / "none", home=home)


def test_what_is_not_there_is_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SeriesNotFound, match="MSFT"):
        ktrdr.bars("MSFT", "1d", home=home)
    with pytest.raises(InputError, match=r"there is no file nowhere\.yaml"):
        ktrdr.train("nowhere.yaml", "AAPL", home=home)
    with pytest.raises(InputError, match="XLOM"):
        ktrdr.load("AAPL", "1d", provider="sample", calendar="XLOM", home=home)
    with pytest.raises(InputError, match="is not a date"):
        ktrdr.bars("AAPL", "1d", start="2022", home=home)
