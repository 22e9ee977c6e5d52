"""The runs of a home in Python, from its registry alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import ktrdr
from ktrdr.errors import InputError, StorageError
from ktrdr.home import Home
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import TrainingJob
from ktrdr.payloads.runs import Annotations
from ktrdr.registry.runs import SqlRunStore
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.registry import old_registry
from tests.sample_results import training

STRATEGY = """
name: Plain
model: {type: mlp, hidden_size: 8}
training: {epochs: 2, learning_rate: 0.02}
indicators: [{name: rsi, period: 14, as: fast}]
"""
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
DONE, WAITING, TRIAL = "op_training_20261129_done00", "op_training_20261129_waits0", "op_trial_20261129_trial0"


def operation(operation_id: str, status: OperationStatus, trial: int | None = None) -> Operation:
    job = TrainingJob(strategy=STRATEGY, strategy_name="plain", symbols=("AAPL",), timeframes=("1d",), trial=trial)
    payload = job.model_dump(mode="json")
    return Operation(operation_id, "TRAINING", status, NOON, NOON, job.describe(), INITIAL_PROGRESS, payload=payload)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With a training that has ended, of which no summary is stored, and one that waits."""
    home = Home(tmp_path)
    asyncio.run(_fill(home))
    return home


async def _fill(home: Home) -> None:
    store = SqlOperationStore(sqlite_url(home.registry))
    await store.open()
    done = operation(DONE, OperationStatus.COMPLETED)
    await store.add(done)
    await store.finish(done, training("/models/done").model_dump(mode="json"), [])
    await store.add(operation(WAITING, OperationStatus.PENDING))
    await store.add(replace(operation("op_load", OperationStatus.PENDING), operation_type="DATA_LOAD"))
    await store.add(replace(operation(TRIAL, OperationStatus.PENDING, trial=3), operation_type="TRIAL"))
    await SqlRunStore(store).annotate({DONE: Annotations(tags=("baseline",))})
    await store.close()


def test_runs_are_a_frame_with_all_settings_and_measures(home: Home) -> None:
    frame = ktrdr.runs(sort=["status", "kind"], home=home.root)
    again = ktrdr.runs(
        where=["tags=baseline", "training.learning_rate=0.02"], columns=["id", "fast.period"], home=home.root
    )

    assert frame["id"].to_list() == [DONE, WAITING, TRIAL]
    assert frame["accuracy"].to_list() == [0.6, None, None]
    assert frame["training.learning_rate"].to_list() == [0.02, 0.02, 0.02]
    assert frame["tags"].to_list() == [["baseline"], [], []]
    assert frame["kind"].to_list() == ["training", "training", "trial"]
    assert frame["trial"].to_list() == [None, None, 3]
    assert frame.schema["created"] == pl.Datetime("us", "UTC")
    assert again.rows() == [(DONE, 14)]


def test_a_registry_that_is_not_there_or_older_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no registry in"):
        ktrdr.runs(home=tmp_path)
    old_registry.write(tmp_path / "registry.sqlite")
    with pytest.raises(StorageError, match="the registry has layout") as refused:
        ktrdr.runs(home=tmp_path)
    assert "ktrdr serve" in refused.value.hint
