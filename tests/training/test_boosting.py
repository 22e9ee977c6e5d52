"""What holds of boosted trees beyond the contract of all families."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ktrdr.errors import StorageError
from ktrdr.experiments.train import ReadBars, run_training
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.payloads.training import Ending
from ktrdr.saved_models.trained_model import load_model
from ktrdr.strategy.sections.model import GradientBoosting
from ktrdr.strategy.sections.training import Training
from ktrdr.training.architectures.gradient_boosting import TREES
from ktrdr.training.boosting import BoostingTrainer
from ktrdr.training.families import build_trainer
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.observer import SilentObserver
from ktrdr.training.windows import Samples, TrainingTensors

SAMPLES, WINDOW, FEATURES = 200, 3, 4


def data_of() -> TrainingTensors:
    random = torch.Generator().manual_seed(2)
    windows = torch.randn(SAMPLES, WINDOW, FEATURES, generator=random)
    labels = (windows[:, 0, 1] > 0).long()
    starts = torch.arange(SAMPLES)
    return TrainingTensors(windows, Samples(starts[:150], labels[:150]), Samples(starts[150:], labels[150:]))


def run(settings: Training, **spec: Any) -> tuple[TrainingState, Ending]:
    model = GradientBoosting(type="gradient_boosting", sequence_length=WINDOW, **spec)
    state = TrainingState(build_trainer(model, settings, data_of(), 2))
    return state, train(state, settings, SilentObserver(), lambda: False, lambda _: None)


def test_an_epoch_is_a_round_and_the_best_is_so_many_trees(capfd: pytest.CaptureFixture[str]) -> None:
    settings = Training(epochs=100, learning_rate=0.5, early_stopping={"patience": 3, "min_delta": 0.001})  # type: ignore[arg-type]

    state, ending = run(settings)

    assert ending is Ending.EARLY_STOPPING
    assert state.history[-1].val_accuracy > 0.95
    trainer = state.trainer
    assert isinstance(trainer, BoostingTrainer)
    assert trainer.model.rounds == state.epoch
    trainer.model.load_state_dict(trainer.best_weights())
    assert trainer.model.rounds == state.best_epoch
    assert capfd.readouterr() == ("", "")


def test_rounds_that_find_no_split_are_epochs_without_gain() -> None:
    state, ending = run(Training(epochs=5, learning_rate=0.5), min_leaf_samples=140)

    assert ending is Ending.ALL_EPOCHS
    assert state.epoch == 5
    assert len({metrics.val_loss for metrics in state.history}) == 1
    assert state.best_epoch == 1


def test_the_largest_seed_is_taken() -> None:
    assert run(Training(epochs=1, seed=2**32 - 1), feature_fraction=0.3)[0].epoch == 1


def test_a_saved_forest_loads_to_the_same_outputs_and_a_damaged_one_is_refused(
    make_request: Any, read_bars: ReadBars
) -> None:
    made = make_request(epochs=8, learning_rate=0.3)
    trees = GradientBoosting(type="gradient_boosting", sequence_length=3, leaves=4)
    request = replace(made, strategy=made.strategy.model_copy(update={"model": trees}))

    outcome = run_training(request, read_bars, SilentObserver(), looks=Unrecorded()).under(request.output)

    loaded, again = load_model(request.output), load_model(request.output)
    assert outcome.evaluation is not None
    assert outcome.evaluation.accuracy > 0.7
    values = np.random.default_rng(0).standard_normal((20, len(loaded.feature_names)))
    assert (loaded.outputs(values) == again.outputs(values)).all()
    weights = load_file(Path(outcome.model_path))
    weights[TREES][200:300] = 0
    save_file(weights, outcome.model_path)
    with pytest.raises(StorageError, match="cannot be read"):
        load_model(request.output)
