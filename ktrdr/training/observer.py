"""What a training tells the world while it runs; training knows this protocol and no bridge."""

from __future__ import annotations

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


class TrainingObserver(Protocol):
    """Receives progress from the loop's own thread.

    Every call must return at once and must not raise: the loop does not wait, catch or retry.
    """

    def on_phase(self, phase: Phase) -> None: ...

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        """`epoch` and `batch` count from 1; `samples_seen` is the total since the first epoch."""

    def on_epoch(
        self,
        epoch: int,
        samples_seen: int,
        train_loss: float,
        train_accuracy: float,
        val_loss: float,
        val_accuracy: float,
        learning_rate: float,
        duration: float,
        *,
        ended_at: float | None = None,
    ) -> None:
        """One finished epoch, counted from 1; losses are mean cross-entropy in nats, `duration` is in seconds.

        `ended_at`, in seconds since 1970, is given when that was earlier than now: a resumed training tells the epochs
        of the one before it again.
        """


class SilentObserver:
    """An observer that keeps nothing."""

    def on_phase(self, phase: Phase) -> None:
        pass

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        pass

    def on_epoch(
        self,
        epoch: int,
        samples_seen: int,
        train_loss: float,
        train_accuracy: float,
        val_loss: float,
        val_accuracy: float,
        learning_rate: float,
        duration: float,
        *,
        ended_at: float | None = None,
    ) -> None:
        pass
