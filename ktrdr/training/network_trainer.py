"""Trains networks by gradient descent. Batches are index selections from one permutation of the samples an epoch.

As in nanochat's `base_train.py`, tensors stay on their device, and losses are read from them once an epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ktrdr.training.architectures.model import CHUNK, copy_to_cpu, copy_weights
from ktrdr.training.loop import OnBatch, Score, StopRequested
from ktrdr.training.schedules import build_schedule

if TYPE_CHECKING:
    from ktrdr.strategy.sections.training import Training
    from ktrdr.training.windows import Samples, TrainingTensors


class NetworkTrainer:
    """A network, its optimiser with a schedule, and two generators: for permutations, and torch's own for dropout.

    learning_rate: of the first step of the newest epoch
    """

    def __init__(self, model: nn.Module, data: TrainingTensors, settings: Training) -> None:
        self.model = model.to(data.windows.device)
        self.data = data
        self.settings = settings
        self.optimizer = build_optimizer(settings, model)
        self._batches = math.ceil(len(data.train) / settings.batch_size)
        self.schedule = build_schedule(settings, self.optimizer, settings.epochs * self._batches)
        self.learning_rate = settings.learning_rate
        # On the CPU whatever the device, so that every device sees the samples in the same order.
        self.sampler = torch.Generator().manual_seed(settings.seed)
        self._best: dict[str, Tensor] = {}

    def epoch(self, epoch: int, on_batch: OnBatch, stop_requested: StopRequested) -> Score | None:
        model, optimizer, schedule, windows = self.model, self.optimizer, self.schedule, self.data.windows
        class_weights, clip = self.data.class_weights, self.settings.gradient_clip
        parameters = list(model.parameters())
        samples, batches = len(self.data.train), self._batches
        samples_seen = (epoch - 1) * samples
        starts, labels, weights = self._shuffled(batches)
        loss_sum, correct = _zeros(windows.device)
        self.learning_rate = schedule.learning_rate

        model.train()
        for batch in range(batches):
            expected = labels[batch]
            outputs = model(windows.index_select(0, starts[batch]))
            loss = sum_losses(outputs, expected, weights[batch], class_weights)
            optimizer.zero_grad()
            # Mean over the batch's samples, not over their weights: a batch of heavy samples has a larger gradient.
            (loss / len(expected)).backward()  # type: ignore[no-untyped-call]
            if clip is not None:
                nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            schedule.after_step()
            # These stay on the device: reading them here would wait for it in every batch.
            loss_sum += loss.detach()
            correct += count_hits(outputs.detach(), expected)
            samples_seen += len(expected)
            on_batch(epoch, batch + 1, batches, samples_seen)
            if stop_requested():
                return None
        # Training weights average to 1, so the number of samples is the sum of the weights.
        return Score(loss_sum.item() / samples, correct.item() / samples)

    def validate(self, stop_requested: StopRequested = lambda: False) -> Score | None:
        score = validate(self.model, self.data, stop_requested)
        if score is not None:
            self.schedule.after_validation(score.loss)
        return score

    def keep_best(self) -> None:
        self._best = copy_weights(self.model)

    def best_weights(self) -> dict[str, Tensor]:
        return self._best

    def capture(self) -> Callable[[], dict[str, Tensor]]:
        tensors = {f"model.{name}": tensor for name, tensor in copy_weights(self.model).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        for parameter, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{parameter}.{name}": copy_to_cpu(tensor) for name, tensor in moments.items()}
        tensors |= {f"schedule.{name}": tensor for name, tensor in self.schedule.capture().items()}
        tensors["random.torch"] = torch.get_rng_state()
        tensors["random.sampler"] = self.sampler.get_state()
        if (generator := self._device_generator) is not None:
            tensors["random.device"] = generator.get_rng_state()
        return lambda: tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_under("model.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            parameter, moment = name.split(".", 1)
            # Cloned, because the optimiser would update the checkpoint's own tensor in place.
            moments.setdefault(int(parameter), {})[moment] = tensor.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.schedule.restore(_under("schedule.", tensors))
        self._best = _under("best.", tensors)
        self.sampler.set_state(tensors["random.sampler"])
        torch.set_rng_state(tensors["random.torch"])
        if (generator := self._device_generator) is not None and "random.device" in tensors:
            generator.set_rng_state(tensors["random.device"])

    def _shuffled(self, batches: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor | None, ...]]:
        train, size = self.data.train, self.settings.batch_size
        order = torch.randperm(len(train), generator=self.sampler).to(train.starts.device)
        weights = (None,) * batches if train.weights is None else torch.split(train.weights[order], size)
        return torch.split(train.starts[order], size), torch.split(train.labels[order], size), weights

    @property
    def _device_generator(self) -> Any:
        """The device's generator, which dropout draws from; None on the CPU."""
        device = self.data.windows.device
        return None if device.type == "cpu" else torch.get_device_module(device)


def build_optimizer(settings: Training, model: nn.Module) -> torch.optim.Optimizer:
    algorithms: dict[str, type[Any]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimizer: torch.optim.Optimizer = algorithms[settings.optimizer](
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    return optimizer


def validate(model: nn.Module, data: TrainingTensors, stop_requested: StopRequested = lambda: False) -> Score | None:
    """Score the validation part without changing the model. Returns None when a stop was requested."""
    samples = data.validation
    loss_sum, correct = _zeros(data.windows.device)
    model.eval()
    with torch.inference_mode():
        for starts, labels, weights in _chunks(samples):
            outputs = model(data.windows.index_select(0, starts))
            loss_sum += sum_losses(outputs, labels, weights, data.class_weights)
            correct += count_hits(outputs, labels)
            if stop_requested():
                return None
    # Validation weights need not average to 1, so the mean divides by their sum.
    weights = data.loss_weights(samples)
    total = len(samples) if weights is None else weights.to(loss_sum.dtype).sum().item()
    return Score(loss_sum.item() / total, correct.item() / len(samples))


def sum_losses(outputs: Tensor, labels: Tensor, weights: Tensor | None, class_weights: Tensor | None) -> Tensor:
    """Sum over samples of class weight * sample weight * loss.

    outputs: [batch, classes] logits, or [batch, 1] targets in a regression
    labels: [batch], int64 classes or float32 targets
    weights: [batch]; None where each is 1
    class_weights: [classes]; None where each is 1
    """
    if labels.is_floating_point():
        losses = (outputs.squeeze(1) - labels).square()
    elif weights is None:
        return cross_entropy(outputs, labels, weight=class_weights, reduction="sum")
    else:
        losses = cross_entropy(outputs, labels, weight=class_weights, reduction="none")
    return (losses if weights is None else losses * weights).sum()


def count_hits(outputs: Tensor, labels: Tensor) -> Tensor:
    """Number of right classes, or in a regression of right signs."""
    if labels.is_floating_point():
        return ((outputs.squeeze(1) > 0) == (labels > 0)).sum()
    return (outputs.argmax(1) == labels).sum()


def _chunks(samples: Samples) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    starts, labels = torch.split(samples.starts, CHUNK), torch.split(samples.labels, CHUNK)
    weights = (None,) * len(starts) if samples.weights is None else torch.split(samples.weights, CHUNK)
    return list(zip(starts, labels, weights, strict=True))


def _zeros(device: torch.device) -> tuple[Tensor, Tensor]:
    # Apple's GPUs have no doubles.
    wide = torch.float32 if device.type == "mps" else torch.float64
    return torch.zeros((), dtype=wide, device=device), torch.zeros((), dtype=torch.int64, device=device)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
