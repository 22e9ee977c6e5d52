"""The training loop: epochs over index selections of one permutation, and nothing in a batch that isn't training.

After nanochat's `base_train.py`: tensors stay where they are, and a number is read from them once per epoch.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ktrdr.errors import TrainingDiverged
from ktrdr.training.observer import TrainingObserver

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Training
    from ktrdr.training.windows import Samples

logger = logging.getLogger(__name__)

VALIDATION_BATCH = 1024


class Ending(Enum):
    ALL_EPOCHS = "all epochs"
    EARLY_STOPPING = "early stopping"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One finished epoch, counted from 1; losses in nats, `samples_seen` since the first, `duration` in seconds.

    `ended_at` is in seconds since 1970, UTC.
    """

    epoch: int
    samples_seen: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    duration: float
    ended_at: float


@dataclass(slots=True)
class TrainingState:
    """All that evolves from epoch to epoch, beside torch's global generator (which dropout draws from)."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    sampler: torch.Generator
    history: list[EpochMetrics] = field(default_factory=list)
    best_epoch: int = 0
    best_val_loss: float = math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    stopping_reference: float = math.inf
    epochs_without_gain: int = 0

    @property
    def epoch(self) -> int:
        return len(self.history)


@dataclass(frozen=True, slots=True)
class TrainingTensors:
    """`windows` [starts, length, features] is a view; `class_weights` average to 1 over the training samples."""

    windows: Tensor
    train: Samples
    validation: Samples
    class_weights: Tensor | None = None


def build_optimizer(settings: Training, model: nn.Module) -> torch.optim.Optimizer:
    algorithms: dict[str, type[Any]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimizer: torch.optim.Optimizer = algorithms[settings.optimizer](
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    return optimizer


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """n / (classes * count of the class), as in scikit-learn's "balanced"; a class without samples weighs nothing."""
    counts = torch.bincount(labels, minlength=classes)
    present = counts > 0
    return torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), 0.0).float()


def train(
    state: TrainingState,
    data: TrainingTensors,
    settings: Training,
    observer: TrainingObserver,
    stop_requested: Callable[[], bool],
    keep: Callable[[TrainingState], None],
) -> Ending:
    """Train `state` in place up to `settings.epochs`; `keep` is called after every epoch.

    Once `stop_requested()` is true the running epoch is abandoned. What stays in `state` is then not a state
    to go on from: that is the one that `keep` saw last.

    Raises:
        TrainingDiverged: a loss is no longer finite.
    """
    model, optimizer = state.model, state.optimizer
    windows, weights = data.windows, data.class_weights
    on_batch, clip = observer.on_batch, settings.gradient_clip
    parameters = list(model.parameters())
    samples = len(data.train)
    batches = math.ceil(samples / settings.batch_size)
    samples_seen = state.epoch * samples

    if stop_requested():
        return Ending.CANCELLED
    while state.epoch < settings.epochs:
        if _out_of_patience(state, settings):
            return Ending.EARLY_STOPPING
        epoch = state.epoch + 1
        began = time.perf_counter()
        order = torch.randperm(samples, generator=state.sampler)
        starts = torch.split(data.train.starts[order], settings.batch_size)
        labels = torch.split(data.train.labels[order], settings.batch_size)
        loss_sum = torch.zeros((), dtype=torch.float64)
        correct = torch.zeros((), dtype=torch.int64)

        model.train()
        for batch in range(batches):
            expected = labels[batch]
            logits = model(windows.index_select(0, starts[batch]))
            loss = cross_entropy(logits, expected, weight=weights, reduction="sum")
            optimizer.zero_grad()
            (loss / len(expected)).backward()  # type: ignore[no-untyped-call]
            if clip is not None:
                nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            loss_sum += loss.detach()
            correct += (logits.detach().argmax(1) == expected).sum()
            samples_seen += len(expected)
            on_batch(epoch, batch + 1, batches, samples_seen)
            if stop_requested():
                return Ending.CANCELLED

        train_loss = loss_sum.item() / samples
        validated = validate(model, data, stop_requested)
        if validated is None:
            return Ending.CANCELLED
        val_loss, val_accuracy = validated
        _check_finite(epoch, train_loss, val_loss, settings.learning_rate)
        metrics = EpochMetrics(
            epoch,
            samples_seen,
            train_loss,
            correct.item() / samples,
            val_loss,
            val_accuracy,
            optimizer.param_groups[0]["lr"],
            time.perf_counter() - began,
            datetime.now(UTC).timestamp(),
        )
        _record(state, metrics, settings)
        report_epoch(observer, metrics, settings.epochs)
        keep(state)
    return Ending.ALL_EPOCHS


def validate(
    model: nn.Module, data: TrainingTensors, stop_requested: Callable[[], bool] = lambda: False
) -> tuple[float, float] | None:
    """Loss and accuracy on the validation part, or None when it was stopped on the way."""
    loss_sum = torch.zeros((), dtype=torch.float64)
    correct = torch.zeros((), dtype=torch.int64)
    starts, labels = data.validation.starts, data.validation.labels
    model.eval()
    with torch.inference_mode():
        for chunk, expected in zip(_chunks(starts), _chunks(labels), strict=True):
            logits = model(data.windows.index_select(0, chunk))
            loss_sum += cross_entropy(logits, expected, weight=data.class_weights, reduction="sum")
            correct += (logits.argmax(1) == expected).sum()
            if stop_requested():
                return None
    weight = len(labels) if data.class_weights is None else data.class_weights[labels].double().sum().item()
    return loss_sum.item() / weight, correct.item() / len(labels)


def predict(model: nn.Module, windows: Tensor, starts: Tensor) -> Tensor:
    """Logits [samples, classes] of the windows that begin at `starts`."""
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(windows.index_select(0, chunk)) for chunk in _chunks(starts)])


def report_epoch(observer: TrainingObserver, metrics: EpochMetrics, epochs: int, *, again: bool = False) -> None:
    observer.on_epoch(
        metrics.epoch,
        metrics.samples_seen,
        metrics.train_loss,
        metrics.train_accuracy,
        metrics.val_loss,
        metrics.val_accuracy,
        metrics.learning_rate,
        metrics.duration,
        ended_at=metrics.ended_at if again else None,
    )
    logger.debug(
        "on_epoch %d/%d: train_loss=%.4f train_accuracy=%.4f val_loss=%.4f val_accuracy=%.4f duration=%.3fs",
        metrics.epoch,
        epochs,
        metrics.train_loss,
        metrics.train_accuracy,
        metrics.val_loss,
        metrics.val_accuracy,
        metrics.duration,
    )


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    return torch.split(tensor, VALIDATION_BATCH)


def _record(state: TrainingState, metrics: EpochMetrics, settings: Training) -> None:
    state.history.append(metrics)
    if metrics.val_loss < state.best_val_loss:
        state.best_epoch, state.best_val_loss = metrics.epoch, metrics.val_loss
        state.best_weights = weights_of(state.model)
    min_delta = settings.early_stopping.min_delta if settings.early_stopping else 0.0
    if metrics.val_loss < state.stopping_reference - min_delta:
        state.stopping_reference = metrics.val_loss
        state.epochs_without_gain = 0
    else:
        state.epochs_without_gain += 1


def _out_of_patience(state: TrainingState, settings: Training) -> bool:
    stopping = settings.early_stopping
    return stopping is not None and state.epochs_without_gain >= stopping.patience


def _check_finite(epoch: int, train_loss: float, val_loss: float, learning_rate: float) -> None:
    for name, loss in (("training", train_loss), ("validation", val_loss)):
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the {name} loss is {loss} in epoch {epoch}",
                hint=f"Lower training.learning_rate (it is {learning_rate:g}), or set training.gradient_clip.",
                epoch=epoch,
                learning_rate=learning_rate,
            )
