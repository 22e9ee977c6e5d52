"""One training, top to bottom: bars in; a model, its artifacts and an honest account of it out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ktrdr.features.matrix import Dataset, build_dataset
from ktrdr.market.bars import TIMEFRAMES
from ktrdr.training import artifacts, report
from ktrdr.training.allocator import keep_freed_memory
from ktrdr.training.checkpoint import Checkpoints, load_latest
from ktrdr.training.evaluate import Evaluation, evaluate
from ktrdr.training.files import write_file
from ktrdr.training.fingerprint import CHECKPOINTS, Fingerprint
from ktrdr.training.loop import (
    Ending,
    EpochMetrics,
    TrainingState,
    TrainingTensors,
    balanced_weights,
    build_optimizer,
    predict,
    report_epoch,
    train,
)
from ktrdr.training.models.families import build_model
from ktrdr.training.observer import Phase, TrainingObserver
from ktrdr.training.windows import Samples, view_of_windows

if TYPE_CHECKING:
    from ktrdr.market.series_file import StoredBars
    from ktrdr.strategy.spec import Strategy

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train; `output` is the folder that the model and its checkpoints go to."""

    operation_id: str
    strategy: Strategy
    strategy_name: str
    strategy_text: str
    symbols: tuple[str, ...]
    timeframe: str
    start: date | None
    end: date | None
    output: Path


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What came of it; a training that was stopped before its first epoch ended has no model and no numbers."""

    status: Literal["success", "cancelled"]
    ending: str
    final_metrics: dict[str, float | int | None]
    evaluation: Evaluation | None
    model_path: str
    artifacts: dict[str, str]
    phases_seconds: dict[str, float]
    final_epoch: int
    best_val_loss: float | None


def run_training(
    request: TrainingRequest,
    read_bars: Callable[[str], StoredBars],
    observer: TrainingObserver,
    stop_requested: Callable[[], bool] = lambda: False,
    resume_from: Path | None = None,
) -> TrainingOutcome:
    """Train one model from the bars that `read_bars(symbol)` gives.

    `resume_from` is the output folder of a training that ended early: this one goes on from its last checkpoint, ends
    with the same bits as if it had not been interrupted, and reports the earlier epochs again first. Where there is no
    checkpoint yet it starts at the beginning, which ends with the same bits too. Its own checkpoints stay: whoever has
    recorded that the training ended well may remove them.

    Sets torch's thread count, seed and determinism for the whole process: a process runs one training at a time.

    Raises:
        TrainingDataError: the bars cannot carry this training.
        TrainingDiverged: a loss is no longer finite.
        CheckpointMismatch: the checkpoint belongs to other bars or another strategy.
        StorageError: the disk is full, or a checkpoint is damaged.
    """
    strategy = request.strategy
    phases = _PhaseClock(observer)

    phases.enter(Phase.INITIALIZING)
    make_repeatable(strategy.training.seed, strategy.training.threads)

    phases.enter(Phase.PREPARING)
    stored = {symbol: read_bars(symbol) for symbol in request.symbols}
    bars = {symbol: series.frame for symbol, series in stored.items()}
    providers = {symbol: series.provider for symbol, series in stored.items()}
    dataset = build_dataset(strategy, bars, TIMEFRAMES[request.timeframe])
    fingerprint = Fingerprint.of(strategy, request.timeframe, bars)
    tensors = _tensors(dataset, strategy)
    state = _initial_state(dataset, strategy)
    checkpoints = Checkpoints(request.output / CHECKPOINTS, fingerprint)
    earlier = load_latest(resume_from / CHECKPOINTS) if resume_from else None
    if earlier:
        earlier.check(fingerprint)
        earlier.restore(state)
    checkpoints.keep(state)
    checkpoints.flush()  # from here on there is something to go on from

    phases.enter(Phase.TRAINING)
    for metrics in state.history:
        report_epoch(observer, metrics, strategy.training.epochs, again=True)
    try:
        ending = train(state, tensors, strategy.training, observer, stop_requested, checkpoints.keep)
    finally:
        checkpoints.flush()
    status: Literal["success", "cancelled"] = "cancelled" if ending is Ending.CANCELLED else "success"
    final_metrics = _final_metrics(state)
    if not state.history:
        return TrainingOutcome(status, ending.value, final_metrics, None, "", {}, phases.seconds(), 0, None)

    phases.enter(Phase.EVALUATING)
    state.model.load_state_dict(state.best_weights)
    predicted = predict(state.model, tensors.windows, tensors.validation.starts).argmax(1).numpy()
    evaluation = evaluate(predicted, dataset.validation, dataset.train.labels, dataset.class_names)

    phases.enter(Phase.SAVING)
    folder = request.output
    results = {"status": status, "ending": ending.value, "final_metrics": final_metrics, "evaluation": evaluation}
    write_file(folder / artifacts.STRATEGY, request.strategy_text.encode())
    artifacts.write_model(
        folder, state.best_weights, artifacts.model_card(request, dataset, fingerprint, providers, results)
    )
    artifacts.write_metrics(folder, state.history)
    account = report.Account(
        request,
        dataset,
        fingerprint,
        providers,
        state.model,
        tuple(state.history),
        state.best_epoch,
        evaluation,
        ending,
    )
    write_file(folder / artifacts.PLOT, report.plot(account))
    write_file(folder / artifacts.SUMMARY, report.summary(account, phases.seconds()).encode())

    seconds = phases.seconds()
    if status == "success":
        phases.enter(Phase.COMPLETED)
        logger.info("Training completed successfully")
    return TrainingOutcome(
        status,
        ending.value,
        final_metrics,
        evaluation,
        str(folder / artifacts.WEIGHTS),
        {
            "metrics_plot": str(folder / artifacts.PLOT),
            "model_summary": str(folder / artifacts.SUMMARY),
            "model_card": str(folder / artifacts.CARD),
            "metrics_table": str(folder / artifacts.METRICS),
            "strategy": str(folder / artifacts.STRATEGY),
        },
        seconds,
        state.epoch,
        state.best_val_loss,
    )


def make_repeatable(seed: int, threads: int) -> None:
    """Put this process in the state from which the same inputs give the same bits, and quickly."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    # On by default under determinism; it fills every fresh tensor with NaN to show reads of unset memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)


def _tensors(dataset: Dataset, strategy: Strategy) -> TrainingTensors:
    values = torch.from_numpy(np.require(dataset.values, np.float32, ["C", "W"]))
    length = dataset.sequence_length
    train_samples = Samples.of(dataset.train, length)
    weights = None
    if strategy.training.class_weights == "balanced":
        weights = balanced_weights(train_samples.labels, len(dataset.class_names))
    windows = view_of_windows(values, length)
    return TrainingTensors(windows, train_samples, Samples.of(dataset.validation, length), weights)


def _initial_state(dataset: Dataset, strategy: Strategy) -> TrainingState:
    model = build_model(strategy.model, len(dataset.feature_names), len(dataset.class_names))
    sampler = torch.Generator().manual_seed(strategy.training.seed)
    return TrainingState(model, build_optimizer(strategy.training, model), sampler)


def _final_metrics(state: TrainingState) -> dict[str, float | int | None]:
    """`training_duration_seconds` sums the finished epochs, those before a resume included."""
    best: EpochMetrics | None = state.history[state.best_epoch - 1] if state.best_epoch else None
    last: EpochMetrics | None = state.history[-1] if state.history else None
    return {
        "best_epoch": best.epoch if best else None,
        "best_val_loss": best.val_loss if best else None,
        "best_val_accuracy": best.val_accuracy if best else None,
        "final_train_loss": last.train_loss if last else None,
        "final_val_loss": last.val_loss if last else None,
        "total_epochs": state.epoch,
        "training_duration_seconds": sum(metrics.duration for metrics in state.history),
    }


class _PhaseClock:
    def __init__(self, observer: TrainingObserver) -> None:
        self._observer = observer
        self._began: dict[Phase, float] = {}

    def enter(self, phase: Phase) -> None:
        self._began[phase] = time.perf_counter()
        self._observer.on_phase(phase)

    def seconds(self) -> dict[str, float]:
        """Of every phase so far; the running one until now."""
        ends = [*list(self._began.values())[1:], time.perf_counter()]
        return {phase.name.lower(): end - began for (phase, began), end in zip(self._began.items(), ends, strict=True)}
