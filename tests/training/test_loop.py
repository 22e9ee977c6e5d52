from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ktrdr.errors import TrainingDiverged
from ktrdr.payloads.training import Ending
from ktrdr.strategy.sections.model import LSTM
from ktrdr.strategy.sections.training import Training
from ktrdr.training.architectures.model import predict
from ktrdr.training.families import build_trainer
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.network_trainer import validate
from ktrdr.training.observer import SilentObserver
from ktrdr.training.windows import Samples, TrainingTensors, view_of_windows

WINDOW, FEATURES = 4, 3


def tensors_of(training: int = 50, validation: int = 20, weights: torch.Tensor | None = None) -> TrainingTensors:
    random = torch.Generator().manual_seed(5)
    values = torch.randn(training + validation + WINDOW - 1, FEATURES, generator=random)
    labels = (values[WINDOW - 1 :, 0] > 0).long()
    starts = torch.arange(len(labels))
    return TrainingTensors(
        view_of_windows(values, WINDOW),
        Samples(starts[:training], labels[:training]),
        Samples(starts[training:], labels[training:]),
        weights,
    )


def state_of(settings: Training, data: TrainingTensors) -> TrainingState:
    torch.manual_seed(1)
    spec = LSTM(type="lstm", layers=1, hidden_size=8, sequence_length=WINDOW)
    return TrainingState(build_trainer(spec, settings, data, 2))


def run(
    settings: Training,
    data: TrainingTensors,
    observer: Any = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[TrainingState, Ending]:
    state = state_of(settings, data)
    ending = train(state, settings, observer or SilentObserver(), stop, lambda _: None)
    return state, ending


def test_every_batch_is_told_once_the_smaller_last_one_too(recorder: Any) -> None:
    state, ending = run(Training(epochs=2, batch_size=16), tensors_of(training=50), recorder)

    assert ending is Ending.ALL_EPOCHS
    assert recorder.batches == [
        *[(1, batch, 4, seen) for batch, seen in [(1, 16), (2, 32), (3, 48), (4, 50)]],
        *[(2, batch, 4, seen) for batch, seen in [(1, 66), (2, 82), (3, 98), (4, 100)]],
    ]
    assert [metrics.samples_seen for metrics in state.history] == [50, 100]


def test_an_epoch_sees_every_sample_once_in_an_order_of_its_own() -> None:
    seen: list[list[int]] = [[]]

    class Spy(SilentObserver):
        def on_epoch(self, *_: Any, **__: Any) -> None:
            seen.append([])

    settings, data = Training(epochs=3, batch_size=7), tensors_of(training=30)
    state = state_of(settings, data)

    def remember(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if module.training:
            seen[-1] += [int((data.windows == window).flatten(1).all(1).nonzero()) for window in inputs[0]]

    state.model.register_forward_pre_hook(remember)
    train(state, settings, Spy(), lambda: False, lambda _: None)

    assert [sorted(epoch) for epoch in seen[:3]] == [list(range(30))] * 3
    assert len({tuple(epoch) for epoch in seen[:3]}) == 3


def test_reported_losses_are_those_of_the_model() -> None:
    data = tensors_of(training=40, validation=1500)
    settings = Training(epochs=1, batch_size=16, learning_rate=1e-12, optimizer="sgd")

    state, _ = run(settings, data)

    for part, loss, accuracy in [
        (data.train, state.history[0].train_loss, state.history[0].train_accuracy),
        (data.validation, state.history[0].val_loss, state.history[0].val_accuracy),
    ]:
        logits = predict(state.model, data.windows, part.starts)
        assert loss == pytest.approx(cross_entropy(logits, part.labels).item(), rel=1e-5)
        assert accuracy == pytest.approx((logits.argmax(1) == part.labels).float().mean().item())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_it_learns_with_every_optimizer(optimizer: Any) -> None:
    rate = 1.0 if optimizer == "sgd" else 0.04
    state, _ = run(Training(epochs=30, optimizer=optimizer, learning_rate=rate), tensors_of(training=200))

    assert state.history[-1].train_accuracy > 0.9
    assert state.history[state.best_epoch - 1].val_loss == min(metrics.val_loss for metrics in state.history)


def test_the_best_weights_are_those_of_the_best_epoch() -> None:
    data = tensors_of()
    state, _ = run(Training(epochs=30, learning_rate=0.1), data)
    assert state.best_epoch < 30

    state.model.load_state_dict(state.trainer.best_weights())

    assert validate(state.model, data) == (state.best_val_loss, state.history[state.best_epoch - 1].val_accuracy)


@pytest.mark.parametrize("patience", [1, 3])
def test_early_stopping_waits_out_its_patience(patience: int) -> None:
    settings = Training(epochs=50, early_stopping={"patience": patience, "min_delta": 10.0})  # type: ignore[arg-type]

    state, ending = run(settings, tensors_of())

    assert ending is Ending.EARLY_STOPPING
    assert state.epoch == 1 + patience


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_a_stop_is_heard_within_one_batch(batch: int, recorder: Any) -> None:
    settings = Training(epochs=3, batch_size=16)

    state, ending = run(settings, tensors_of(training=50), recorder, lambda: len(recorder.batches) >= batch)

    assert ending is Ending.CANCELLED
    assert len(recorder.batches) == batch
    assert len(recorder.epochs) == state.epoch == (batch - 1) // 4


def test_a_diverging_training_says_so_and_what_to_do() -> None:
    data = tensors_of()
    data.windows[3] = math.inf

    with pytest.raises(TrainingDiverged, match="training loss is nan in epoch 1") as raised:
        run(Training(epochs=5, learning_rate=0.5), data)

    assert "Lower training.learning_rate (it is 0.5)" in raised.value.hint


def test_a_clipped_gradient_moves_no_further_than_its_norm() -> None:
    data = tensors_of(training=8)
    settings = Training(epochs=1, batch_size=8, optimizer="sgd", learning_rate=1.0, gradient_clip=1e-3)
    before = nn.utils.parameters_to_vector(state_of(settings, data).model.parameters())

    state, _ = run(settings, data)

    moved = nn.utils.parameters_to_vector(state.model.parameters()) - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_weighted_losses_are_weighted_means() -> None:
    weights = torch.tensor([0.25, 3.0])
    data = tensors_of(weights=weights)
    state = state_of(Training(), data)

    found = validate(state.model, data)

    logits = predict(state.model, data.windows, data.validation.starts)
    assert found is not None
    assert found.loss == pytest.approx(cross_entropy(logits, data.validation.labels, weight=weights).item(), rel=1e-5)


def test_weights_of_samples_weigh_every_step() -> None:
    plain = tensors_of(training=40)
    heavy_first = torch.linspace(1.9, 0.1, 40)
    weighted = replace(plain, train=replace(plain.train, weights=heavy_first))
    settings = Training(epochs=1, batch_size=40, optimizer="sgd", learning_rate=1e-12)

    (state, _), (unweighted, _) = run(settings, weighted), run(settings, plain)

    logits = predict(state.model, plain.windows, plain.train.starts)
    losses = cross_entropy(logits, plain.train.labels, reduction="none")
    assert state.history[0].train_loss == pytest.approx((losses * heavy_first).mean().item(), rel=1e-5)
    assert unweighted.history[0].train_loss == pytest.approx(losses.mean().item(), rel=1e-5)


def test_weights_of_one_train_to_what_no_weights_do() -> None:
    plain = tensors_of(training=40)
    ones = replace(plain, train=replace(plain.train, weights=torch.ones(40)))

    (state, _), (unweighted, _) = run(Training(epochs=2), ones), run(Training(epochs=2), plain)

    assert state.history[-1].val_loss == pytest.approx(unweighted.history[-1].val_loss, rel=1e-5)
