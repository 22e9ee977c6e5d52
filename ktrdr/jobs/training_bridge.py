"""The bridge of a training: its worker writes a state per batch and a record per epoch."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.training.observer import EpochMetrics, Phase

METRIC_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "duration",
)

_MESSAGES = {
    Phase.INITIALIZING: "Initializing training...",
    Phase.PREPARING: "Preparing features and windows",
    Phase.CHECKING: "Checking that nothing looks ahead",
    Phase.TRAINING: "Epoch {step}/{total}",
    Phase.EVALUATING: "Evaluating the best epoch",
    Phase.SAVING: "Saving model and report",
    Phase.COMPLETED: "Training completed",
}

_TRAINING = int(Phase.TRAINING)
_columns = attrgetter(*METRIC_COLUMNS)


class TrainingProgressBridge(ProgressBridge):
    """A `TrainingObserver` (`ktrdr.training.observer`) that writes the events of a training to its bridge."""

    @staticmethod
    def create_for(path: Path, epochs: int) -> None:
        ProgressBridge.create(
            path,
            BridgeLayout(
                phases=tuple(_MESSAGES[phase] for phase in Phase),
                total_steps=epochs,
                columns=METRIC_COLUMNS,
                integer_columns=("epoch",),
                step_field="epoch_index",
                total_field="total_epochs",
                planned_records=min(epochs, 10_000),
                step_name="epoch",
            ),
        )

    def on_phase(self, phase: Phase) -> None:
        _, step, part, parts, items, _ = self._read_state()
        self._update_state(int(phase), step, part, parts, items)

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        self._update_state(_TRAINING, epoch, batch, batches, samples_seen)

    def on_epoch(self, metrics: EpochMetrics, progress_type: str = "epoch", *, replayed: bool = False) -> None:
        if replayed:
            self._append_earlier(metrics.ended_at, *_columns(metrics))
        elif progress_type == "epoch":
            # Separate arguments are faster than a tuple: `python -m benchmarks bridge`.
            self._append_metric(
                metrics.epoch,
                metrics.train_loss,
                metrics.train_accuracy,
                metrics.val_loss,
                metrics.val_accuracy,
                metrics.learning_rate,
                metrics.duration,
            )
        self._update_state(_TRAINING, metrics.epoch, 1, 1, metrics.samples_seen)
