"""Jobs as they are stored: what goes in comes out, and what 0.1.0 stored is still read."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ktrdr.errors import StorageError
from ktrdr.payloads.files import FileReading
from ktrdr.payloads.jobs import (
    AblationJob,
    AnyJob,
    AuditJob,
    BacktestJob,
    DataLoadJob,
    ExplanationJob,
    ExportJob,
    FoldsJob,
    PredictionJob,
    PreflightJob,
    SearchJob,
    TrainingJob,
    parse_job,
)
from ktrdr.payloads.search import Objective, Rung
from ktrdr.timeframe import Timeframe

ON_BARS: dict[str, Any] = {
    "strategy": "name: x\n",
    "strategy_name": "x",
    "model_type": "lstm",
    "symbols": ("AAPL", "MSFT"),
    "timeframes": ("1d",),
    "start": date(2023, 1, 1),
}
MODEL: dict[str, Any] = {"model": "op_1", "folder": "op_2", "symbols": ("AAPL",), "timeframes": ("1d",)}
JOBS: tuple[AnyJob, ...] = (
    TrainingJob(**ON_BARS, epochs=10),
    TrainingJob(**ON_BARS, epochs=10, fold=1, folds=3, part=1, resume_from="op_0"),
    FoldsJob(**ON_BARS, epochs=10, folds=3, completed={0: "op_a"}, checkpoints={2: "op_b"}),
    SearchJob(
        **ON_BARS,
        sampler="tpe",
        objective=Objective.LEAD,
        rungs=(Rung(trials=9, epochs=1), Rung(trials=3, epochs=3)),
        taken_over={0: "op_a"},
        begun={1: TrainingJob(**ON_BARS, epochs=3, until=1, trial=1, part=1, parameters={"training.seed": 7})},
    ),
    AblationJob(**ON_BARS, model="op_1", folder="op_2", epochs=3, fold=1, folds=2, trainings=4, taken_over={0: "op_a"}),
    PreflightJob(**ON_BARS),
    AuditJob(**ON_BARS),
    PredictionJob(**MODEL, symbol="AAPL", last=5),
    ExportJob(**MODEL),
    BacktestJob(**MODEL, folders=("op_a", "op_b"), start=date(2024, 1, 1), allows_overlap=True),
    ExplanationJob(**MODEL, repeats=3),
    DataLoadJob(symbol="AAPL", timeframe="1d", provider="auto"),
)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_a_job_is_read_as_it_was_written(job: AnyJob) -> None:
    assert parse_job(job.model_dump(mode="json")) == job


def test_a_fold_is_a_training_of_its_own() -> None:
    folds = JOBS[2]
    assert isinstance(folds, FoldsJob)

    training = folds.training_of(2)

    assert training == TrainingJob(**ON_BARS, epochs=10, fold=2, folds=3, part=2, resume_from="op_b")
    assert (training.describe()["fold"], folds.describe()["folds"]) == (3, 3)


def test_a_fold_of_a_trial_stops_where_the_trial_does_and_says_which_it_is() -> None:
    trial = FoldsJob(**ON_BARS, epochs=10, folds=2, until=3, trial=4, parameters={"training.seed": 7})

    fold = trial.training_of(1)

    assert (fold.until, fold.last_epoch, fold.trial, fold.parameters) == (3, 3, 4, trial.parameters)
    assert (fold.describe()["trial"], fold.describe()["fold"]) == (4, 2)


def test_the_index_of_a_part_names_its_rung() -> None:
    search = JOBS[3]
    assert isinstance(search, SearchJob)

    assert [search.rung(index) for index in (0, 8, 9, 11)] == [0, 0, 1, 1]
    assert (search.trials, search.trial_parts, search.describe()["trials"]) == (9, 12, 9)


OLD_ON_BARS = {
    "strategy": "name: x\n",
    "strategy_name": "x",
    "symbols": ["AAPL"],
    "timeframes": ["1d"],
    "start": None,
    "end": "2023-06-30",
    "fold": 0,
    "bars": "/old/home/bars",
    "models": "/old/home/models",
}
NEW_ON_BARS: dict[str, Any] = {
    "strategy": "name: x\n",
    "strategy_name": "x",
    "symbols": ("AAPL",),
    "timeframes": ("1d",),
    "end": date(2023, 6, 30),
}


@pytest.mark.parametrize(
    ("payload", "job"),
    [
        ({**OLD_ON_BARS, "lane": "training"}, TrainingJob(**NEW_ON_BARS)),
        (
            {**OLD_ON_BARS, "lane": "training", "resume_from": "/old/home/models/op_0"},
            TrainingJob(**NEW_ON_BARS, resume_from="op_0"),
        ),
        (
            {**OLD_ON_BARS, "lane": "training", "reproduces": "op_0"},
            TrainingJob(**NEW_ON_BARS, reproduces="op_0"),
        ),
        (
            {**OLD_ON_BARS, "lane": "training", "fold": 1, "part_of": "op_w"},
            TrainingJob(**NEW_ON_BARS, fold=1, part=1, folds=3),
        ),
        ({**OLD_ON_BARS, "lane": "folds", "folds": 3}, FoldsJob(**NEW_ON_BARS, folds=3)),
        ({**OLD_ON_BARS, "lane": "analysis", "kind": "PREFLIGHT"}, PreflightJob(**NEW_ON_BARS)),
        (
            {
                "model": "op_1",
                "folder": "/old/home/models/op_2",
                "symbol": "AAPL",
                "last": 5,
                "lane": "analysis",
                "kind": "PREDICTION",
                "bars": "/old/home/bars",
            },
            PredictionJob(model="op_1", folder="op_2", symbol="AAPL", last=5),
        ),
        (
            {
                "lane": "data",
                "bars": "/old/home/bars",
                "symbol": "AAPL",
                "timeframe": "1d",
                "provider": "yahoo",
                "replace": False,
                "clip": True,
                "sources": {"ib_host": "gateway", "ib_port": 4002, "yahoo_url": ""},
                "start": "2023-01-01",
                "end": None,
            },
            DataLoadJob(
                symbol="AAPL",
                timeframe="1d",
                provider="yahoo",
                clip=True,
                start=date(2023, 1, 1),
            ),
        ),
    ],
)
def test_what_0_1_0_stored_is_read_without_its_absolute_paths(payload: dict[str, Any], job: AnyJob) -> None:
    assert parse_job(payload) == job


def test_an_address_with_a_password_is_not_read_from_a_stored_job() -> None:
    payload = DataLoadJob(symbol="AAPL", timeframe="1d", provider="yahoo").model_dump(mode="json")

    job = parse_job(payload | {"endpoints": {"yahoo_url": "http://me:hunter2@proxy"}})

    assert "hunter2" not in job.model_dump_json()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"version": 2, "kind": "training"}, r"written by a newer ktrdr \(version 2; this one reads 1\)"),
        ({"version": 1, "kind": "alchemy"}, "cannot be read"),
        ({"version": 1, "kind": "training"}, "cannot be read"),
        ({}, "cannot be read"),
        ({"lane": "nowhere"}, "cannot be read"),
    ],
)
def test_a_job_that_cannot_be_read_says_why(payload: dict[str, Any], words: str) -> None:
    with pytest.raises(StorageError, match=words):
        parse_job(payload)


def test_a_load_that_named_columns_by_themselves_is_read() -> None:
    stored = {"version": 1, "kind": "data_load", "symbol": "ACME", "timeframe": "1d", "provider": "csv"}

    job = parse_job({**stored, "columns": {"close": "Last"}, "timezone": "Asia/Tokyo"})

    assert isinstance(job, DataLoadJob)
    assert job.reading == FileReading(columns={"close": "Last"}, timezone="Asia/Tokyo")
    assert parse_job(job.model_dump(mode="json")) == job


def test_a_job_says_which_series_it_uses() -> None:
    load = DataLoadJob(symbol="AAPL", timeframe=Timeframe.DAY, provider="yahoo")
    prediction = PredictionJob(
        model="op_1", folder="op_1", symbol="MSFT", last=5, symbols=("AAPL",), timeframes=("1d",)
    )

    assert [load.uses("AAPL", "1d"), load.uses("AAPL", "1h"), load.uses("MSFT", "1d")] == [True, False, False]
    assert [prediction.uses("MSFT", "1d"), prediction.uses("AAPL", "1d")] == [True, False]


def test_a_job_uses_the_bars_that_its_features_read() -> None:
    job = TrainingJob(**ON_BARS, other_series=("SPY 1h",))
    assert job.uses("AAPL", "1d")
    assert job.uses("SPY", "1h")
    assert not job.uses("SPY", "1d")
