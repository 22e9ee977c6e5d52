"""Trainings whose feature, label and network are plugins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ktrdr.errors import CheckpointMismatch, InputError, PluginError, PluginMismatch
from ktrdr.experiments.train import ReadBars, run_training
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.jobs.strategies import strategy_of
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.payloads.jobs import TrainingJob
from ktrdr.plugins import loading
from ktrdr.plugins.failures import located
from ktrdr.saved_models.trained_model import load_model
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.fingerprint import check_model, read_fingerprint
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.plugin_files import Write, write

__all__ = ["write"]

PLUGINS = """\
from torch import nn


@feature(warmup=1)
def move(bars):
    return (bars["close"] / bars["close"].shift(1)).log()


@label(classes=("down", "up"), cuts=(0.0,))
def next_move(bars, horizon):
    return (bars["close"].shift(-horizon) / bars["close"]).log()


@network()
def mean_pool(features, outputs, window, hidden_size: int = 4):
    return Pool(nn.Linear(features, hidden_size), nn.Dropout(0.1), nn.Linear(hidden_size, outputs))


class Pool(nn.Sequential):
    def forward(self, windows):
        return super().forward(windows.mean(dim=1))
"""
TEXT = """\
name: Mine
timeframes: [1d]
model: {type: mean_pool, sequence_length: 3}
labels: {type: next_move, horizon: 2}
indicators: [{plugin: move}]
training: {epochs: 2}
controls: {shuffled_labels: none}
"""


def strategy() -> Strategy:
    return load_strategy(TEXT, IndicatorCatalogue())


def trained(folder: Path, read_bars: ReadBars) -> None:
    request = TrainingRequest(folder.name, strategy(), "mine", TEXT, ("UP",), None, None, folder)
    run_training(request, read_bars, SilentObserver(), looks=Unrecorded())


def test_the_card_names_them_and_the_model_is_loaded_with_them(
    tmp_path: Path, read_bars: ReadBars, write: Write
) -> None:
    sha256 = loading.load_plugins([write(PLUGINS)]).files[0].sha256

    trained(tmp_path / "model", read_bars)

    card = json.loads((tmp_path / "model" / "model.json").read_bytes())
    recorded = [card["strategy"]["model"], card["strategy"]["labels"], card["strategy"]["indicators"][0]]
    assert [each["sha256"] for each in recorded] == [sha256] * 3
    (file,) = card["plugins"]["files"]
    assert (file["path"], file["sha256"]) == ("mine.py", sha256)
    model = load_model(tmp_path / "model")
    assert (type(model.module).__name__, model.class_names) == ("Pool", ("down", "up"))


def test_a_model_is_not_used_or_resumed_with_another_content(
    tmp_path: Path, read_bars: ReadBars, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(PLUGINS)
    trained(tmp_path / "model", read_bars)
    write(PLUGINS + "# changed\n")
    monkeypatch.setattr(loading, "_files_by_hash", {})
    # In this process, because the other one would import torch.
    monkeypatch.setattr(loading, "DescribedPlugins", lambda paths: lambda: loading.load_plugins(paths))

    with pytest.raises(PluginMismatch, match="the network mean_pool is not the one that was used"):
        load_model(tmp_path / "model")

    made_from = read_fingerprint(tmp_path / "model")
    now = replace(made_from, strategy=strategy().model_dump(mode="json"))
    with pytest.raises(CheckpointMismatch, match=": plugin mean_pool, plugin move, plugin next_move differ"):
        check_model(tmp_path / "model", now)
    assert made_from.inputs_sha256 != now.inputs_sha256


def test_a_job_carries_the_declarations_and_resolving_it_runs_nothing(write: Write, tmp_path: Path) -> None:
    catalogue = IndicatorCatalogue()
    write(PLUGINS)
    job = TrainingJob(
        strategy=TEXT,
        strategy_name="mine",
        symbols=("UP",),
        timeframes=("1d",),
        plugins=catalogue.plugins().only([("label", "next_move")]).recorded(),
    )
    expected = strategy()
    write(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    assert strategy_of(TrainingJob.model_validate_json(job.model_dump_json())) == expected
    assert not (tmp_path / "ran").exists()


def test_a_failure_in_the_middle_of_a_training_names_its_place(
    tmp_path: Path, read_bars: ReadBars, write: Write
) -> None:
    write(PLUGINS.replace("return super()", "assert not self.training\n        return super()"))

    with pytest.raises(PluginError) as caught, located():
        trained(tmp_path / "model", read_bars)

    assert caught.value.detail == "mine.py, line 26, in forward: AssertionError"


def test_a_network_that_makes_no_such_outputs_is_refused_when_it_is_built(
    tmp_path: Path, read_bars: ReadBars, write: Write
) -> None:
    write(PLUGINS.replace(".mean(dim=1)", ""))

    with pytest.raises(InputError, match=r"in mean_pool: it maps windows \[2, 3, 2\] to \[2, 3, 2\] of torch.float32"):
        trained(tmp_path / "model", read_bars)
