"""The training loop, for any model that learns by epochs: when to stop, which epoch is best, what is reported."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ktrdr.errors import TrainingDiverged
from ktrdr.payloads.training import Ending
from ktrdr.training.observer import EpochMetrics, TrainingObserver

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ktrdr.strategy.sections.training import Training
    from ktrdr.training.windows import TrainingTensors

logger = logging.getLogger(__name__)


class Score(NamedTuple):
    """The metrics of one part.

    loss: weighted mean of the cross-entropy in nats, or in a regression of the squared error of standardised targets
    accuracy: share of right classes, or in a regression of right signs
    """

    loss: float
    accuracy: float


OnBatch = Callable[[int, int, int, int], None]
StopRequested = Callable[[], bool]


class Trainer(Protocol):
    """How one kind of model learns, an epoch at a time.

    Owns the model, which changes in place, and all other state of the training. Not safe to share between threads.
    A trainer cannot continue after an abandoned epoch, which returns None.
    """

    @property
    def model(self) -> nn.Module: ...

    @property
    def data(self) -> TrainingTensors: ...

    @property
    def learning_rate(self) -> float: ...

    def epoch(self, epoch: int, on_batch: OnBatch, stop_requested: StopRequested) -> Score | None:
        """Learn from every training sample once; `epoch` counts from 1. Returns None when a stop was requested."""

    def validate(self, stop_requested: StopRequested = ...) -> Score | None:
        """Score the validation part. Returns None when a stop was requested."""

    def keep_best(self) -> None:
        """Remember the present model as the best so far."""

    def best_weights(self) -> dict[str, Tensor]:
        """The best model's weights, as `load_state_dict` takes them; on the CPU."""

    def capture(self) -> Callable[[], dict[str, Tensor]]:
        """Capture the whole present state, best weights included. The returned function makes the tensors when called.

        The tensors are on the CPU, and further training does not change them.
        """

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state in which `tensors` were captured, in a trainer built from the same strategy and data."""


@dataclass(slots=True)
class TrainingState:
    """Everything that changes from epoch to epoch.

    history: metrics of the finished epochs, in order
    best_epoch: number of the epoch with the lowest validation loss, counted from 1; 0 before the first
    best_val_loss: that epoch's loss
    stopping_reference: validation loss that the next epochs must undercut by `min_delta`
    epochs_without_gain: finished epochs since the reference was last undercut
    """

    trainer: Trainer
    history: list[EpochMetrics] = field(default_factory=list)
    best_epoch: int = 0
    best_val_loss: float = math.inf
    stopping_reference: float = math.inf
    epochs_without_gain: int = 0

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def model(self) -> nn.Module:
        return self.trainer.model


def train(
    state: TrainingState,
    settings: Training,
    observer: TrainingObserver,
    stop_requested: StopRequested,
    keep: Callable[[TrainingState], None],
    tell: Callable[[TrainingObserver, EpochMetrics, int], None] | None = None,
    until: int | None = None,
) -> Ending:
    """Train `state` in place up to `settings.epochs`, or up to the epoch `until`; `keep` is called after every epoch.

    `tell` reports an epoch; the default is `report_epoch`.

    The running epoch is abandoned once `stop_requested()` returns true. Training cannot continue from `state` then, but
    from the state that `keep` was last called with.

    Raises:
        TrainingDiverged: a loss is no longer finite.
    """
    trainer = state.trainer
    if stop_requested():
        return Ending.CANCELLED
    last_epoch = settings.epochs if until is None else min(until, settings.epochs)
    while state.epoch < last_epoch:
        if _out_of_patience(state, settings):
            return Ending.EARLY_STOPPING
        epoch = state.epoch + 1
        began = time.perf_counter()
        trained = trainer.epoch(epoch, observer.on_batch, stop_requested)
        if trained is None:
            return Ending.CANCELLED
        validated = trainer.validate(stop_requested)
        if validated is None:
            return Ending.CANCELLED
        _check_finite(epoch, trained, validated, settings.learning_rate)
        metrics = EpochMetrics(
            epoch,
            epoch * len(trainer.data.train),
            *trained,
            *validated,
            trainer.learning_rate,
            time.perf_counter() - began,
            datetime.now(UTC).timestamp(),
        )
        _record(state, metrics, settings)
        (tell or report_epoch)(observer, metrics, settings.epochs)
        keep(state)
    if state.epoch >= settings.epochs:
        return Ending.ALL_EPOCHS
    return Ending.EARLY_STOPPING if _out_of_patience(state, settings) else Ending.EPOCH_LIMIT


def report_epoch(observer: TrainingObserver, metrics: EpochMetrics, epochs: int, *, replayed: bool = False) -> None:
    observer.on_epoch(metrics, replayed=replayed)
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


def _record(state: TrainingState, metrics: EpochMetrics, settings: Training) -> None:
    state.history.append(metrics)
    # Ties keep the earlier epoch.
    if metrics.val_loss < state.best_val_loss:
        state.best_epoch, state.best_val_loss = metrics.epoch, metrics.val_loss
        state.trainer.keep_best()
    # As in Keras: patience counts from the last loss that undercut the reference by more than min_delta.
    min_delta = settings.early_stopping.min_delta if settings.early_stopping else 0.0
    if metrics.val_loss < state.stopping_reference - min_delta:
        state.stopping_reference = metrics.val_loss
        state.epochs_without_gain = 0
    else:
        state.epochs_without_gain += 1


def _out_of_patience(state: TrainingState, settings: Training) -> bool:
    stopping = settings.early_stopping
    return stopping is not None and state.epochs_without_gain >= stopping.patience


def _check_finite(epoch: int, trained: Score, validated: Score, learning_rate: float) -> None:
    for name, loss in (("training", trained.loss), ("validation", validated.loss)):
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the {name} loss is {loss} in epoch {epoch}",
                hint=f"Lower training.learning_rate (it is {learning_rate:g}), or set training.gradient_clip.",
                epoch=epoch,
                learning_rate=learning_rate,
            )
