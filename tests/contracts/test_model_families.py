"""The contract that every model family keeps, with its trainer: of two and three classes, and of a regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from torch import Tensor, nn

from ktrdr.strategy.sections.base import ModelSpec
from ktrdr.strategy.sections.model import Model
from ktrdr.strategy.sections.training import Training
from ktrdr.training.architectures.model import copy_weights, predict
from ktrdr.training.checkpoint import Checkpoint, read, write
from ktrdr.training.device import choose_device
from ktrdr.training.families import FAMILIES, build_model, build_trainer
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.network_trainer import sum_losses
from ktrdr.training.observer import EpochMetrics, SilentObserver
from ktrdr.training.windows import Samples, TrainingTensors, view_of_windows

WINDOW, FEATURES = 6, 4
NETWORK = {"layers": 2, "hidden_size": 16, "dropout": 0.2}
TREES = {"leaves": 6, "min_leaf_samples": 2, "feature_fraction": 0.5}
LEARNER: dict[bool, dict[str, Any]] = {True: {"dropout": 0.0}, False: {"feature_fraction": 1.0}}

FINGERPRINT = Fingerprint({}, 0, {})

FAMILY_NAMES = [family.type for family in FAMILIES]
NETWORKS = [name for name in FAMILY_NAMES if name != "gradient_boosting"]
SCHEDULES: list[dict[str, Any]] = [
    {"type": "cosine", "warmup_ratio": 0.25, "final_factor": 0.1},
    {"type": "one_cycle"},
    {"type": "plateau", "patience": 1, "min_delta": 10.0},
]

REGRESSION = 1

every_family = pytest.mark.parametrize("family", FAMILY_NAMES)
every_network = pytest.mark.parametrize("family", NETWORKS)
every_task = pytest.mark.parametrize("outputs", [REGRESSION, 2, 3], ids=["regression", "2 classes", "3 classes"])


@pytest.fixture(autouse=True, scope="module")
def _repeatable() -> Any:
    # Two threads wait for each other whenever the machine has other work.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    yield
    torch.use_deterministic_algorithms(mode=False)


def spec_of(family: str, **changes: Any) -> ModelSpec:
    document = {"type": family, "sequence_length": WINDOW} | (NETWORK if family in NETWORKS else TREES) | changes
    return TypeAdapter[ModelSpec](Model).validate_python(document)


def data_of(outputs: int, training: int = 60, validation: int = 30) -> TrainingTensors:
    """The first bar of a window and the last say something of the label, and the rest is noise."""
    random = torch.Generator().manual_seed(7)
    values = torch.randn(training + validation + WINDOW - 1, FEATURES, generator=random)
    windows = view_of_windows(values, WINDOW)
    targets = windows[:, -1, 0] + windows[:, 0, 1] + torch.randn(len(windows), generator=random)
    cuts = targets.quantile(torch.linspace(0, 1, outputs + 1)[1:-1])
    labels = targets if outputs == REGRESSION else torch.bucketize(targets, cuts)
    starts = torch.arange(len(windows))
    return TrainingTensors(
        windows,
        train=Samples(starts[:training], labels[:training]),
        validation=Samples(starts[training:], labels[training:]),
    )


def settings_of(family: str, **changes: Any) -> Training:
    rate = 0.01 if family in NETWORKS else 0.3
    return Training(**{"epochs": 3, "batch_size": 20, "learning_rate": rate} | changes)


def state_of(family: str, data: TrainingTensors, outputs: int, settings: Training, **changes: Any) -> TrainingState:
    torch.manual_seed(settings.seed)
    return TrainingState(build_trainer(spec_of(family, **changes), settings, data, outputs))


def go_on(
    state: TrainingState, settings: Training, keep: Callable[[TrainingState], None] = lambda _: None
) -> TrainingState:
    train(state, settings, SilentObserver(), lambda: False, keep)
    return state


def trained(family: str, data: TrainingTensors, outputs: int, **changes: Any) -> TrainingState:
    settings = settings_of(family, **changes)
    return go_on(state_of(family, data, outputs, settings), settings)


def numbers(history: list[EpochMetrics]) -> list[EpochMetrics]:
    """Everything that must come out the same again."""
    return [replace(metrics, duration=0.0, ended_at=0.0) for metrics in history]


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@every_task
@every_family
def test_windows_become_outputs_each_for_itself(family: str, outputs: int) -> None:
    data = data_of(outputs)
    model = trained(family, data, outputs, epochs=1).model.eval()

    found = model(data.windows[:5])

    assert (found.shape, found.dtype) == ((5, outputs), torch.float32)
    assert torch.isfinite(found).all()
    assert (found != found[0]).any()
    torch.testing.assert_close(found[2:3], model(data.windows[2:3]))


@pytest.mark.parametrize("outputs", [REGRESSION, 3], ids=["regression", "3 classes"])
@every_family
def test_32_samples_are_learned_by_heart(family: str, outputs: int) -> None:
    data = data_of(outputs, training=32, validation=2)
    settings = settings_of(family, epochs=60, batch_size=32, learning_rate=0.015 if family in NETWORKS else 0.3)

    state = go_on(state_of(family, data, outputs, settings, **LEARNER[family in NETWORKS]), settings)

    found = predict(state.model, data.windows, data.train.starts)
    if outputs == REGRESSION:
        assert (found.squeeze(1) - data.train.labels).square().mean() < 0.05 * data.train.labels.var()
    else:
        assert (found.argmax(1) == data.train.labels).all()


@every_task
@every_family
def test_trained_twice_it_is_the_same_bits_and_with_another_seed_it_is_not(family: str, outputs: int) -> None:
    data = data_of(outputs)
    one, other, third = (trained(family, data, outputs, seed=seed) for seed in (1, 1, 2))

    assert numbers(one.history) == numbers(other.history)
    assert same_bits(copy_weights(one.model), copy_weights(other.model))
    assert not same_bits(copy_weights(one.model), copy_weights(third.model))


@every_task
@every_family
def test_the_best_weights_saved_and_loaded_say_the_bits_of_the_best_epoch(family: str, outputs: int) -> None:
    data = data_of(outputs)
    at_epoch: list[Tensor] = []
    settings = settings_of(family, epochs=10, learning_rate=0.04 if family in NETWORKS else 1.0)
    starts = data.validation.starts
    state = go_on(
        state_of(family, data, outputs, settings),
        settings,
        lambda state: at_epoch.append(predict(state.model, data.windows, starts)),
    )
    assert state.best_epoch < 10
    assert not torch.equal(at_epoch[state.best_epoch - 1], at_epoch[-1])

    saved = save(state.trainer.best_weights())
    loaded = build_model(spec_of(family), FEATURES, outputs)
    loaded.load_state_dict(load(saved))

    assert torch.equal(predict(loaded, data.windows, starts), at_epoch[state.best_epoch - 1])
    assert same_bits(copy_weights(loaded), state.trainer.best_weights())


@every_task
@every_family
def test_it_goes_on_from_a_file_to_the_same_bits(family: str, outputs: int, tmp_path: Path) -> None:
    data = data_of(outputs)
    settings = settings_of(family, learning_rate=0.03 if family in NETWORKS else 0.7)
    boundaries = [Checkpoint.capture(state_of(family, data, outputs, settings), FINGERPRINT)]

    def keep(state: TrainingState) -> None:
        boundaries.append(Checkpoint.capture(state, FINGERPRINT))

    whole = go_on(state_of(family, data, outputs, settings), settings, keep)
    for epochs in (0, 2):
        # Written only now, like one that was pending when the training was stopped.
        file = write(tmp_path, boundaries[epochs])
        torch.manual_seed(99)
        resumed = TrainingState(build_trainer(spec_of(family), settings, data, outputs))
        read(file).restore(resumed)
        assert resumed.epoch == epochs
        go_on(resumed, settings)

        assert numbers(resumed.history) == numbers(whole.history)
        assert same_bits(resumed.trainer.best_weights(), whole.trainer.best_weights())
        assert same_bits(resumed.trainer.capture()(), whole.trainer.capture()())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: str(schedule["type"]))
@every_network
def test_a_schedule_goes_on_from_a_file_with_the_rates_of_all_epochs(
    family: str, schedule: dict[str, Any], tmp_path: Path
) -> None:
    data, settings = data_of(2), settings_of(family, epochs=4, schedule=schedule)
    whole = go_on(state_of(family, data, 2, settings), settings)
    rates = [metrics.learning_rate for metrics in whole.history]
    assert len(set(rates)) > 2
    first = state_of(family, data, 2, settings)
    train(first, settings, SilentObserver(), lambda: False, lambda _: None, until=2)
    file = write(tmp_path, Checkpoint.capture(first, FINGERPRINT))

    resumed = state_of(family, data, 2, settings)
    read(file).restore(resumed)
    go_on(resumed, settings)

    assert numbers(resumed.history) == numbers(whole.history)
    assert same_bits(resumed.trainer.capture()(), whole.trainer.capture()())
    assert not same_bits(copy_weights(resumed.model), copy_weights(trained(family, data, 2, epochs=4).model))


@every_task
@every_family
def test_samples_that_weigh_nothing_teach_nothing(family: str, outputs: int) -> None:
    data = data_of(outputs)
    weights = torch.tensor([2.0, 0.0]).repeat(30)
    labels = data.train.labels.clone()
    labels[1::2] = labels.flip(0)[1::2]
    changed = Samples(data.train.starts, labels, weights)
    one = trained(family, replace(data, train=replace(data.train, weights=weights)), outputs)
    other = trained(family, replace(data, train=changed), outputs)

    assert same_bits(copy_weights(one.model), copy_weights(other.model))
    assert [metrics.train_loss for metrics in one.history] == [metrics.train_loss for metrics in other.history]


@every_family
def test_class_weights_are_weights_of_samples(family: str) -> None:
    data, of_class = data_of(3), torch.tensor([0.3, 0.7, 2.0])
    by_class = replace(data, class_weights=of_class)
    by_sample = replace(
        data,
        train=replace(data.train, weights=of_class[data.train.labels]),
        validation=replace(data.validation, weights=of_class[data.validation.labels]),
    )

    one, other = (trained(family, each, 3) for each in (by_class, by_sample))

    assert [metrics.val_loss for metrics in one.history] == pytest.approx(
        [metrics.val_loss for metrics in other.history], rel=1e-4
    )
    both = replace(by_class, train=replace(data.train, weights=torch.linspace(0.1, 1.9, 60)))
    assert not same_bits(copy_weights(trained(family, both, 3).model), copy_weights(one.model))


@every_family
@every_task
def test_reported_losses_are_those_of_the_outputs(family: str, outputs: int) -> None:
    data = data_of(outputs, validation=1500)
    data = replace(data, validation=replace(data.validation, weights=torch.linspace(0.1, 1.9, 1500)))

    state = trained(family, data, outputs)

    found, part = predict(state.model, data.windows, data.validation.starts), data.validation
    assert part.weights is not None
    loss = sum_losses(found, part.labels, part.weights, None).item() / part.weights.sum().item()
    right = (found[:, 0] > 0) == (part.labels > 0) if outputs == REGRESSION else found.argmax(1) == part.labels
    assert state.history[-1].val_loss == pytest.approx(loss, rel=1e-5)
    assert state.history[-1].val_accuracy == pytest.approx(right.float().mean().item())


@every_family
def test_it_trains_on_the_device_that_auto_finds(family: str) -> None:
    device, data = choose_device("auto"), data_of(2)
    moved = TrainingTensors(data.windows.to(device), moved_to(device, data.train), moved_to(device, data.validation))

    state = trained(family, moved, 2)

    assert {tensor.device.type for tensor in state.trainer.capture()().values()} == {"cpu"}
    assert predict(state.model, moved.windows, moved.validation.starts).device.type == "cpu"


def moved_to(device: torch.device, samples: Samples) -> Samples:
    return Samples(samples.starts.to(device), samples.labels.to(device))


@every_network
def test_a_gradient_reaches_every_parameter(family: str) -> None:
    data = data_of(3)
    model = build_model(spec_of(family), FEATURES, 3)

    sum_losses(model(data.windows[:60]), data.train.labels, None, None).backward()  # type: ignore[no-untyped-call]

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 1e-6, name


@every_network
def test_every_bar_of_a_window_matters(family: str) -> None:
    windows = data_of(2).windows[:8].clone().requires_grad_()

    build_model(spec_of(family), FEATURES, 2).eval()(windows).square().sum().backward()

    assert (cast(Tensor, windows.grad).abs().sum(dim=(0, 2)) > 0).all()


@pytest.mark.parametrize("bar", range(1, WINDOW))
@pytest.mark.parametrize("family", ["tcn", "transformer"])
def test_what_is_known_at_a_bar_does_not_hang_on_later_ones(family: str, bar: int) -> None:
    model: Any = build_model(spec_of(family), FEATURES, 2).eval()
    windows = data_of(2).windows[:8].clone()

    before = model.states(windows)
    windows[:, bar] += 1.0
    after = model.states(windows)

    assert torch.equal(before[:, :bar], after[:, :bar])
    assert (before[:, bar] != after[:, bar]).any()


@pytest.mark.parametrize("changes", [{"layers": 1}, {"layers": 5}, {"sequence_length": 1}, {"hidden_size": FEATURES}])
@every_network
def test_unusual_shapes_train_too(family: str, changes: dict[str, Any]) -> None:
    spec = spec_of(family, **changes)
    model = build_model(spec, FEATURES, 2)

    outputs = model(torch.randn(3, spec.sequence_length, FEATURES))

    assert outputs.shape == (3, 2)
    assert isinstance(model, nn.Module)
