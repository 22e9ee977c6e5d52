"""What reporting costs the one who trains, and reading the one who watches.

Producers are compared by processor time, their helper threads' included: that is what a training loses to them on a
machine it fills, and it is the same on a busy machine as on an idle one.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.outcome import Figure, at_least, below
from ktrdr.jobs.training_bridge import METRIC_COLUMNS, TrainingProgressBridge
from ktrdr.training.observer import EpochMetrics

ROUNDS = 15
BATCHES = 20_000
EPOCHS = 5_000
HISTORIES = (100, 10_000, 100_000)
READS = 2_000

OnBatch = Callable[[int, int, int, int], None]
OnEpoch = Callable[[EpochMetrics], None]


class LockedDictionary:
    """The usual design: a dictionary and a list that the poller's thread shares, under a lock."""

    def __init__(self, epochs: int) -> None:
        self._lock = threading.Lock()
        self._epochs = epochs
        self.status: dict[str, Any] = {}
        self.metrics: list[dict[str, Any]] = []

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        self._update(epoch, 100.0 * (epoch - 1 + batch / batches) / self._epochs, samples_seen)

    def on_epoch(self, metrics: EpochMetrics) -> None:
        with self._lock:
            self.metrics.append(
                {
                    "epoch": metrics.epoch,
                    "train_loss": metrics.train_loss,
                    "train_accuracy": metrics.train_accuracy,
                    "val_loss": metrics.val_loss,
                    "val_accuracy": metrics.val_accuracy,
                    "learning_rate": metrics.learning_rate,
                    "duration": metrics.duration,
                    "timestamp": datetime.now(UTC).isoformat(),
                }
            )
        self._update(metrics.epoch, 100.0 * metrics.epoch / self._epochs, metrics.samples_seen)

    def _update(self, epoch: int, percentage: float, samples_seen: int) -> None:
        with self._lock:
            self.status.update(
                percentage=percentage,
                message=f"Epoch {epoch}/{self._epochs}",
                current_step=epoch,
                items_processed=samples_seen,
                updated_at=datetime.now(UTC).isoformat(),
            )


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        epochs: dict[str, tuple[Callable[[], OnEpoch], int]] = {
            "bridge": (lambda: stack.enter_context(fresh_bridge(folder)).on_epoch, EPOCHS),
            "locked": (lambda: LockedDictionary(EPOCHS).on_epoch, EPOCHS),
        }
        if find_spec("tensorboard"):
            tensorboard = stack.enter_context(tensorboard_writer(folder / "tensorboard"))
            epochs["tensorboard"] = (lambda: tensorboard, 300)
        if find_spec("mlflow"):
            mlflow = stack.enter_context(mlflow_run(folder / "mlflow"))
            epochs["mlflow"] = (lambda: mlflow, 10)
        epoch_us: dict[str, list[float]] = {name: [] for name in epochs}
        batch_us: dict[str, list[float]] = {"bridge": [], "locked": []}
        for _ in range(ROUNDS):
            batch_us["bridge"].append(_per_batch(stack.enter_context(fresh_bridge(folder)).on_batch))
            batch_us["locked"].append(_per_batch(LockedDictionary(EPOCHS).on_batch))
            for name, (make, number) in epochs.items():
                epoch_us[name].append(_per_epoch(make(), number))
        return [*_producer_figures(batch_us, epoch_us), *_reader_figures(folder)]


def _producer_figures(batch_us: dict[str, list[float]], epoch_us: dict[str, list[float]]) -> Iterator[Figure]:
    yield Figure("bridge: on_batch", median(batch_us["bridge"]), "µs", below(0.6))
    yield Figure("bridge: on_epoch", median(epoch_us["bridge"]), "µs", below(1.0))
    yield Figure("locked dictionary: on_batch", median(batch_us["locked"]), "µs")
    yield Figure("locked dictionary: on_epoch", median(epoch_us["locked"]), "µs")
    yield Figure("locked dictionary ÷ bridge, on_batch", _ratio(batch_us, "locked"), "×", at_least(4))
    yield Figure("locked dictionary ÷ bridge, on_epoch", _ratio(epoch_us, "locked"), "×", at_least(4))
    for name, title, aim in (("tensorboard", "TensorBoard", at_least(300)), ("mlflow", "MLflow", None)):
        if name in epoch_us:
            yield Figure(f"{title}: the same epoch", median(epoch_us[name]), "µs")
            yield Figure(f"{title} ÷ bridge, one epoch", _ratio(epoch_us, name), "×", aim)
        else:
            sys.stderr.write(f"{title} is not installed; pip install --group bench\n")


def _ratio(costs: dict[str, list[float]], other: str) -> float:
    return median(theirs / ours for theirs, ours in zip(costs[other], costs["bridge"], strict=True))


def _per_batch(on_batch: OnBatch) -> float:
    began = time.process_time()
    for batch in range(BATCHES):
        on_batch(3, batch, BATCHES, batch)
    return 1e6 * (time.process_time() - began) / BATCHES


def _metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(epoch, epoch, 0.69, 0.52, 0.68, 0.53, 1e-3, 1.25, ended_at=0.0)


def _per_epoch(on_epoch: OnEpoch, epochs: int) -> float:
    reported = [_metrics(epoch) for epoch in range(epochs)]
    began = time.process_time()
    for metrics in reported:
        on_epoch(metrics)
    return 1e6 * (time.process_time() - began) / epochs


@contextmanager
def fresh_bridge(folder: Path) -> Iterator[TrainingProgressBridge]:
    path = folder / "bridge"
    TrainingProgressBridge.create_for(path, EPOCHS)
    with TrainingProgressBridge(path, writable=True) as bridge:
        yield bridge


@contextmanager
def tensorboard_writer(folder: Path) -> Iterator[OnEpoch]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    add_scalar: Callable[[str, float, int], None] = writer.add_scalar

    def on_epoch(metrics: EpochMetrics) -> None:
        for name in METRIC_COLUMNS[1:]:
            add_scalar(name, getattr(metrics, name), metrics.epoch)

    yield on_epoch
    writer.close()


@contextmanager
def mlflow_run(folder: Path) -> Iterator[OnEpoch]:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # noqa: TID251
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(folder.as_uri())
    mlflow.set_experiment("benchmark")

    def on_epoch(metrics: EpochMetrics) -> None:
        mlflow.log_metrics({name: getattr(metrics, name) for name in METRIC_COLUMNS[1:]}, step=metrics.epoch)

    with mlflow.start_run():
        yield on_epoch


def _reader_figures(folder: Path) -> Iterator[Figure]:
    for history in HISTORIES:
        path = folder / f"history-{history}"
        TrainingProgressBridge.create_for(path, history)
        with TrainingProgressBridge(path, writable=True) as writer, TrainingProgressBridge(path) as reader:
            for epoch in range(1, history + 1):
                writer.on_epoch(_metrics(epoch))
            status_us, metrics_us = [], []
            cursor = len(reader._metrics_history)
            for epoch in range(history + 1, history + READS + 1):
                writer.on_epoch(_metrics(epoch))
                began = time.perf_counter()
                reader.get_status()
                between = time.perf_counter()
                _, cursor = reader.get_metrics(cursor)
                status_us.append(1e6 * (between - began))
                metrics_us.append(1e6 * (time.perf_counter() - between))
            yield Figure(f"get_status after {history:,} records", median(status_us), "µs", below(20))
            yield Figure(f"get_metrics, 1 new of {history:,} records", median(metrics_us), "µs", below(20))
