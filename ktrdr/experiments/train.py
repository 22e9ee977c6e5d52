"""One training, top to bottom: bars in; a model, its artifacts and an honest report of it out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ktrdr import reports
from ktrdr.experiments.evaluate_model import judge
from ktrdr.experiments.preflight import preflight
from ktrdr.features.assemble import build_dataset
from ktrdr.features.leaks.gate import check_leaks
from ktrdr.market.quality import enforce
from ktrdr.saved_models import writing
from ktrdr.saved_models.reproduce import compare_with
from ktrdr.training.architectures.model import count_parameters, layers
from ktrdr.training.checkpoint import Checkpoints, load_latest
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.device import device_of
from ktrdr.training.families import build_trainer
from ktrdr.training.files import EQUITY, PLOT, STRATEGY, SUMMARY, WEIGHTS, write_file
from ktrdr.training.fingerprint import CHECKPOINTS, Fingerprint
from ktrdr.training.loop import Ending, EpochMetrics, TrainingState, report_epoch, train
from ktrdr.training.observer import Phase, TrainingObserver
from ktrdr.training.request import TrainingOutcome, TrainingRequest
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from ktrdr.evaluation.backtest import BacktestResult
    from ktrdr.features.columns import SymbolBars
    from ktrdr.market.series_file import StoredBars

logger = logging.getLogger(__name__)

ReadBars = Callable[[str, str], "StoredBars"]
"""(symbol, timeframe) -> its bars."""


def run_training(
    request: TrainingRequest,
    read_bars: ReadBars,
    observer: TrainingObserver,
    stop_requested: Callable[[], bool] = lambda: False,
    resume_from: Path | None = None,
) -> TrainingOutcome:
    """Train one model from the bars that `read_bars(symbol, timeframe)` gives.

    `resume_from` is the output folder of a training that ended early: this one goes on from its last checkpoint, ends
    with the same bits as if it had not been interrupted, and reports the earlier epochs again first. Where there is no
    checkpoint yet it starts at the beginning, which ends with the same bits too. Its own checkpoints stay: whoever has
    recorded that the training ended well may remove them.

    Sets torch's thread count, seed and determinism for the whole process: a process runs one training at a time.

    Raises:
        TrainingDataError: the bars cannot carry this training.
        LeakFound: something in it knows the future.
        TrainingDiverged: a loss is no longer finite.
        CheckpointMismatch: the checkpoint belongs to other bars or another strategy.
        StorageError: the disk is full, or a checkpoint is damaged.
    """
    strategy = request.strategy
    phases = _PhaseClock(observer)

    phases.enter(Phase.INITIALIZING)
    make_repeatable(strategy.training.seed, strategy.training.threads)
    device = device_of(strategy.training.device)

    phases.enter(Phase.PREPARING)
    bars, providers = _read(request, read_bars)
    dataset = build_dataset(strategy, bars, request.fold)
    fingerprint = Fingerprint.of(strategy, bars, request.fold)
    tensors = TrainingTensors.of(dataset, strategy.training, device)
    trainer = build_trainer(strategy.model, strategy.training, tensors, dataset.outputs)
    ahead = preflight(strategy, dataset, model_parameters=count_parameters(trainer.model), fold=request.fold)
    ahead.check()
    for warning in ahead.warnings:
        logger.info("Preflight: %s", warning)

    phases.enter(Phase.CHECKING)
    leak_gate = check_leaks(strategy, bars, dataset)
    logger.info("Leak gate: %s", leak_gate.verdict)

    state = TrainingState(trainer)
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
        ending = train(state, strategy.training, observer, stop_requested, checkpoints.keep)
    finally:
        checkpoints.flush()
    status: Literal["success", "cancelled"] = "cancelled" if ending is Ending.CANCELLED else "success"
    final_metrics = _final_metrics(state)
    if not state.history:
        return TrainingOutcome(status, ending.value, final_metrics)

    phases.enter(Phase.EVALUATING)
    best_weights = trainer.best_weights()
    state.model.load_state_dict(best_weights)
    judgement = judge(strategy, dataset, bars, tensors, state.model, state.epoch, stop_requested)
    if judgement.was_stopped:
        ending, status = Ending.CANCELLED, "cancelled"

    phases.enter(Phase.SAVING)
    results: dict[str, Any] = {
        "status": status,
        "ending": ending.value,
        "final_metrics": final_metrics,
        "evaluation": judgement.evaluation,
        "test_evaluation": judgement.test_evaluation,
        "money": judgement.money,
        "test_money": judgement.test_money,
        "leak_gate": leak_gate.to_dict(),
        "preflight": ahead.to_dict(),
    }
    writing.write_model(
        request.output,
        best_weights,
        writing.model_card(request, dataset, fingerprint, providers, results, bars=bars, device=str(device)),
    )
    writing.write_predictions(request.output, dataset, judgement.outputs)
    report = reports.TrainingReport(
        request=request,
        dataset=dataset,
        fingerprint=fingerprint,
        providers=providers,
        layers=tuple(layers(state.model)),
        history=tuple(state.history),
        best_epoch=state.best_epoch,
        evaluation=judgement.evaluation,
        ending=ending,
        money=judgement.money,
        test_evaluation=judgement.test_evaluation,
        test_money=judgement.test_money,
        leak_gate=results["leak_gate"],
        preflight=results["preflight"],
    )
    _write_reports(report, judgement.money, phases)
    reproduction = compare_with(request.reproduces, request.output).to_dict() if request.reproduces else None

    seconds = phases.seconds()
    if status == "success":
        phases.enter(Phase.COMPLETED)
        logger.info("Training completed successfully")
    return TrainingOutcome(
        **results,
        reproduction=reproduction,
        model_path=str(request.output / WEIGHTS),
        artifacts=writing.paths(request.output),
        phases_seconds=seconds,
        final_epoch=state.epoch,
        best_val_loss=state.best_val_loss,
    )


def _write_reports(report: reports.TrainingReport, money: BacktestResult, phases: _PhaseClock) -> None:
    """What people read, beside the model and what it said."""
    folder = report.request.output
    write_file(folder / STRATEGY, report.request.strategy_text.encode())
    writing.write_metrics(folder, report.history)
    write_file(folder / PLOT, reports.plot_metrics(report))
    write_file(folder / EQUITY, reports.plot_equity(report, money))
    write_file(folder / SUMMARY, reports.summary(report, phases.seconds()).encode())


def _read(request: TrainingRequest, read_bars: ReadBars) -> tuple[dict[str, SymbolBars], dict[str, dict[str, str]]]:
    """Each symbol's bars, and who served them, by timeframe. Raises TrainingDataError when they have too many gaps."""
    timeframes: tuple[str, ...] = request.strategy.timeframes
    stored = {
        symbol: {timeframe: read_bars(symbol, timeframe) for timeframe in timeframes} for symbol in request.symbols
    }
    bars: dict[str, SymbolBars] = {
        symbol: {timeframe: series.frame for timeframe, series in own.items()} for symbol, own in stored.items()
    }
    for symbol, frames in bars.items():
        for timeframe, frame in frames.items():
            enforce(request.strategy.data, frame, symbol, timeframe, request.strategy.calendar)
    providers = {
        symbol: {timeframe: series.provider for timeframe, series in own.items()} for symbol, own in stored.items()
    }
    return bars, providers


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
