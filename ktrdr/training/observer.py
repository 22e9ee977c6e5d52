"""The protocol by which a training reports its progress; training knows no bridge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Phase(IntEnum):
    """The stages of one training, in their order."""

    INITIALIZING = 0
    PREPARING = 1
    CHECKING = 2
    TRAINING = 3
    EVALUATING = 4
    SAVING = 5
    COMPLETED = 6


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One finished epoch.

    epoch: number, counted from 1
    samples_seen: training samples since the first epoch
    train_loss, train_accuracy: training part; for a network the mean over batches, each measured before its step
    val_loss, val_accuracy: validation part, after the epoch
    learning_rate: step size of the epoch's first step
    duration: seconds
    ended_at: seconds since 1970, UTC

    Losses are mean cross-entropies in nats, or mean squared errors of standardised targets; accuracies are shares of
    right classes, or of right signs.
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


class TrainingObserver(Protocol):
    """Receives progress from the loop's own thread.

    Every call must return at once and must not raise: the loop does not wait, catch or retry.
    """

    def on_phase(self, phase: Phase) -> None: ...

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        """`epoch` and `batch` count from 1; `samples_seen` is the total since the first epoch."""

    def on_epoch(self, metrics: EpochMetrics, *, replayed: bool = False) -> None:
        """One epoch has finished. A resumed training first reports the earlier epochs again, as `replayed`."""


class SilentObserver:
    """An observer that keeps nothing."""

    def on_phase(self, phase: Phase) -> None:
        pass

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        pass

    def on_epoch(self, metrics: EpochMetrics, *, replayed: bool = False) -> None:
        pass
