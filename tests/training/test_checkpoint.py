from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ktrdr.errors import CheckpointMismatch, StorageError
from ktrdr.strategy.sections.model import LSTM
from ktrdr.strategy.sections.training import Training
from ktrdr.training.architectures.model import copy_weights
from ktrdr.training.checkpoint import Checkpoint, Checkpoints, load_latest, read, write
from ktrdr.training.families import build_trainer
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.loop import TrainingState
from ktrdr.training.observer import EpochMetrics
from ktrdr.training.windows import Samples, TrainingTensors

FINGERPRINT = Fingerprint(
    {"name": "s", "training": {"seed": 1, "epochs": 9}}, 0, {"AAPL": {"1d": "aa"}, "MSFT": {"1d": "bb"}}
)


def state_of(optimizer: Any = "adam") -> TrainingState:
    spec = LSTM(type="lstm", layers=1, hidden_size=4, dropout=0.5, sequence_length=3)
    samples = Samples(torch.arange(5), torch.tensor([0, 1, 1, 0, 1]))
    data = TrainingTensors(torch.linspace(-1, 1, 30).view(5, 3, 2).sin(), samples, samples)
    return TrainingState(build_trainer(spec, Training(optimizer=optimizer, batch_size=2), data, 2))


def step(state: TrainingState) -> None:
    """One epoch, whose numbers are made up."""
    state.trainer.epoch(state.epoch + 1, lambda *_: None, lambda: False)
    state.trainer.keep_best()
    state.history.append(EpochMetrics(state.epoch + 1, 5, 0.1 + 0.2, 0.5, 1 / 3, 0.5, 1e-3, 0.01, 1.7e9 + state.epoch))
    state.best_epoch, state.best_val_loss = 1, 1 / 3
    state.stopping_reference, state.epochs_without_gain = 0.7 / state.epoch, 2 * state.epoch


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("epochs", [0, 2])
def test_what_goes_on_from_a_file_goes_on_bit_for_bit(optimizer: str, epochs: int, tmp_path: Path) -> None:
    state, other = state_of(optimizer), state_of(optimizer)
    for _ in range(epochs):
        step(state)
    path = write(tmp_path, Checkpoint.capture(state, FINGERPRINT))
    step(state)

    checkpoint = read(path)
    checkpoint.restore(other)
    assert (other.epoch, other.best_epoch) == (epochs, min(epochs, 1))
    assert (other.stopping_reference, other.epochs_without_gain) == (0.7 / epochs if epochs else math.inf, 2 * epochs)
    best = other.trainer.best_weights()
    assert best.keys() == (copy_weights(state.model).keys() if epochs else set())
    assert all(torch.equal(tensor, copy_weights(other.model)[name]) for name, tensor in best.items())
    step(other)

    assert other.history == state.history
    expected, found = state.trainer.capture()(), other.trainer.capture()()
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_a_checkpoint_does_not_move_with_the_training() -> None:
    state = state_of()
    step(state)
    taken = Checkpoint.capture(state, FINGERPRINT)
    before = {name: tensor.clone() for name, tensor in taken.tensors.items()}

    step(state)
    taken.restore(state)
    step(state)

    assert all(torch.equal(before[name], tensor) for name, tensor in taken.tensors.items())
    assert len(taken.history) == 1


def test_the_newest_and_the_one_before_are_kept(tmp_path: Path) -> None:
    state = state_of()
    checkpoints = Checkpoints(tmp_path, FINGERPRINT, interval_s=0)

    for _ in range(11):
        step(state)
        checkpoints.keep(state)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-000010.safetensors",
        "epoch-000011.safetensors",
    ]
    latest = load_latest(tmp_path)
    assert latest is not None
    assert len(latest.history) == 11


def test_short_epochs_wait_for_the_interval_and_the_end_writes_what_waits(tmp_path: Path) -> None:
    state = state_of()
    checkpoints = Checkpoints(tmp_path / "new", FINGERPRINT, interval_s=3600)

    for _ in range(3):
        step(state)
        checkpoints.keep(state)
    assert load_latest(tmp_path / "new") is None
    checkpoints.flush()

    latest = load_latest(tmp_path / "new")
    assert latest is not None
    assert len(latest.history) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "foreign"])
def test_a_damaged_newest_is_passed_over(damage: str, tmp_path: Path) -> None:
    state = state_of()
    paths = []
    for _ in range(2):
        step(state)
        paths.append(write(tmp_path, Checkpoint.capture(state, FINGERPRINT)))
    content = paths[1].read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    paths[1].write_bytes({"cut": content[:-50], "flipped": flipped, "emptied": b"", "foreign": b"PNG" * 50}[damage])

    latest = load_latest(tmp_path)

    assert latest is not None
    assert len(latest.history) == 1


def test_when_all_are_damaged_that_is_an_error_and_not_a_new_beginning(tmp_path: Path) -> None:
    (tmp_path / "epoch-000003.safetensors").write_bytes(b"torn")

    with pytest.raises(StorageError, match=r"epoch-000003.safetensors is not a whole checkpoint") as refused:
        load_latest(tmp_path)

    assert "start a new training" in refused.value.hint


def test_each_difference_to_another_training_is_named() -> None:
    taken = Checkpoint.capture(state_of(), FINGERPRINT)
    other = Fingerprint(
        {"name": "s", "training": {"seed": 2, "epochs": 9}}, 0, {"AAPL": {"1d": "aa"}, "MSFT": {"1d": "cc"}}
    )
    taken.check(FINGERPRINT)

    with pytest.raises(CheckpointMismatch, match=r"bars of MSFT 1d, strategy.training.seed differ") as refused:
        taken.check(other)

    assert refused.value.context["differences"] == ["bars of MSFT 1d", "strategy.training.seed"]


def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_of()
    step(state)
    earlier = write(tmp_path, Checkpoint.capture(state, FINGERPRINT))
    step(state)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"epoch-000002\.safetensors cannot be written: the disk is full"):
        write(tmp_path, Checkpoint.capture(state, FINGERPRINT))

    assert list(tmp_path.iterdir()) == [earlier]
    assert len(read(earlier).history) == 1
