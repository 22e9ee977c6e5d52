"""One training from top to bottom: from bars to a model, its artifacts and its report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ktrdr import reports
from ktrdr.experiments.evaluate_model import evaluate_training, sealed_part, without_control
from ktrdr.experiments.fold_data import Fold
from ktrdr.experiments.looks import OpenLook, open_look
from ktrdr.experiments.preflight import preflight
from ktrdr.features.inputs import ReadTable, no_tables, with_other_series
from ktrdr.market.quality import enforce
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.training import Ending, FinalMetrics, TrainingResults
from ktrdr.saved_models import writing
from ktrdr.saved_models.checksums import write_checksums
from ktrdr.saved_models.reproduce import compare_with
from ktrdr.saved_models.rows_file import write_rows
from ktrdr.training.architectures.model import count_parameters, layers
from ktrdr.training.checkpoint import Checkpoints, load_latest
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.device import choose_device
from ktrdr.training.families import build_trainer
from ktrdr.training.files import ARTIFACTS, EQUITY, LEAN_ARTIFACTS, PLOT, STRATEGY, SUMMARY, WEIGHTS, write_file
from ktrdr.training.fingerprint import CHECKPOINTS, Fingerprint
from ktrdr.training.loop import TrainingState, report_epoch, train
from ktrdr.training.observer import Phase, TrainingObserver
from ktrdr.training.request import TrainingRequest
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from torch import Tensor

    from ktrdr.experiments.evaluate_model import ModelEvaluation
    from ktrdr.experiments.fold_data import FoldCache, FoldData
    from ktrdr.features.dataset import Dataset
    from ktrdr.ledger.recorder import LookRecorder
    from ktrdr.market.series_file import StoredBars
    from ktrdr.payloads.preflight import PreflightReport
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.loop import Trainer

logger = logging.getLogger(__name__)

ReadBars = Callable[[str, str], "StoredBars"]
"""(symbol, timeframe) -> stored bars."""


def run_training(
    request: TrainingRequest,
    read_bars: ReadBars,
    observer: TrainingObserver,
    stop_requested: Callable[[], bool] = lambda: False,
    resume_from: Path | None = None,
    *,
    looks: LookRecorder,
    folds: FoldCache | None = None,
    read_table: ReadTable = no_tables,
) -> TrainingResults:
    """Train one model from the bars that `read_bars(symbol, timeframe)` gives, and the tables of `read_table(name)`.

    `resume_from` is the output folder of a training that ended early. This training continues from the last checkpoint
    there, reports the earlier epochs again first, and ends with the same bits as without the interruption. Without a
    checkpoint it starts from the beginning, with the same bits too. Its own checkpoints stay; the caller may remove
    them once the training is recorded as completed. The results name files within `request.output`.

    `looks` records the look at the validation part before the first epoch is reported, and what it came to before any
    file with a figure is written. A training that ends without an evaluation stays there as a try.

    A lean training gives the same weights, metrics and predictions, and the same figures but for the control. `folds`
    is where it may find the fold's data; by default they are made.

    Sets torch's thread count, seed and determinism for the whole process, so a process runs one training at a time.

    Raises:
        TrainingDataError: the bars cannot carry this training.
        LeakFound: a feature, label, split or scaling depends on the future.
        TrainingDiverged: a loss is no longer finite.
        CheckpointMismatch: the checkpoint belongs to other bars or another strategy.
        StorageError: the disk is full, a checkpoint is damaged, or the ledger cannot be written.
    """
    strategy, phases = request.strategy, _PhaseClock(observer)

    phases.enter(Phase.INITIALIZING)
    make_repeatable(strategy.training.seed, strategy.training.threads)
    device = choose_device(strategy.training.device)

    phases.enter(Phase.PREPARING)
    bars, providers = _read(request, read_bars, read_table)
    fingerprint = Fingerprint.of(strategy, bars, request.fold)
    fold = folds.get(strategy, bars, fingerprint) if folds else Fold(strategy, bars, request.fold)
    dataset = fold.dataset
    tensors = TrainingTensors.of(dataset, strategy.training, device)
    trainer = build_trainer(strategy.model, strategy.training, tensors, dataset.outputs)
    outlook = _look_ahead(strategy, dataset, trainer, request.fold)

    phases.enter(Phase.CHECKING)
    leak_gate = fold.leak_gate
    logger.info("Leak gate: %s", leak_gate.verdict)

    state = _restored(TrainingState(trainer), resume_from, fingerprint)
    restored_epochs = state.epoch
    checkpoints = Checkpoints(request.output / CHECKPOINTS, fingerprint)
    if not request.is_lean:
        checkpoints.keep(state)
        checkpoints.flush()  # from here on the training can be resumed

    look = open_look(looks, request, fingerprint, dataset, bars)
    phases.enter(Phase.TRAINING)
    ending = _train(state, request, observer, stop_requested, checkpoints)
    if not state.history:
        return TrainingResults(status=_status(ending), ending=ending, final_metrics=_final_metrics(state))

    phases.enter(Phase.EVALUATING)
    best_weights = trainer.best_weights()
    state.model.load_state_dict(best_weights)
    evaluated = _evaluate(state, request, fold, bars, tensors, stop_requested, look)
    if evaluated.was_stopped:
        ending = Ending.CANCELLED

    phases.enter(Phase.SAVING)
    results = TrainingResults(
        status=_status(ending),
        ending=ending,
        final_metrics=_final_metrics(state),
        evaluation=evaluated.part.evaluation,
        backtest=evaluated.part.backtest.result,
        sealed=sealed_part(dataset),
        leak_gate=leak_gate,
        preflight=outlook,
        restored_epochs=restored_epochs,
        model_path=WEIGHTS,
        artifacts=LEAN_ARTIFACTS if request.is_lean else ARTIFACTS,
    )
    report = reports.TrainingReport(
        request, dataset, fingerprint, providers, tuple(layers(state.model)), tuple(state.history), results
    )
    _write(report, best_weights, evaluated, bars, str(device), phases)
    reproduction = compare_with(request.reproduces, request.output) if request.reproduces else None
    results = results.model_copy(update={"reproduction": reproduction, "phases_seconds": phases.seconds()})
    if results.status == "success":
        phases.enter(Phase.COMPLETED)
        logger.info("Training completed successfully")
    return results


def _look_ahead(strategy: Strategy, dataset: Dataset, trainer: Trainer, fold: int) -> PreflightReport:
    """Raises TrainingDataError when the training is hopeless."""
    report = preflight(strategy, dataset, model_parameters=count_parameters(trainer.model), fold=fold)
    report.check()
    for warning in report.warnings:
        logger.info("Preflight: %s", warning)
    return report


def _restored(state: TrainingState, resume_from: Path | None, fingerprint: Fingerprint) -> TrainingState:
    """Bring `state` to the last checkpoint of the training to resume, if there is one.

    Raises CheckpointMismatch and StorageError.
    """
    if resume_from and (earlier := load_latest(resume_from / CHECKPOINTS)):
        earlier.check(fingerprint)
        earlier.restore(state)
    return state


def _train(
    state: TrainingState,
    request: TrainingRequest,
    observer: TrainingObserver,
    stop_requested: Callable[[], bool],
    checkpoints: Checkpoints,
) -> Ending:
    """Report the restored epochs, and train the others; what was trained can be resumed, however this ends."""
    settings = request.strategy.training
    for metrics in state.history:
        report_epoch(observer, metrics, settings.epochs, replayed=True)
    ending = None
    try:
        ending = train(state, settings, observer, stop_requested, checkpoints.keep, until=request.until)
    finally:
        # The last checkpoint of a trial that nothing continues would cost as much as an epoch of a small network.
        if not (request.is_lean and ending is Ending.ALL_EPOCHS):
            checkpoints.flush()
    return ending


def _evaluate(
    state: TrainingState,
    request: TrainingRequest,
    fold: Fold | FoldData,
    bars: Mapping[str, SymbolBars],
    tensors: TrainingTensors,
    stop_requested: Callable[[], bool],
    look: OpenLook,
) -> ModelEvaluation:
    """Evaluate the model, and record what the look came to; of a trial without the control and without a verdict."""
    evaluated = evaluate_training(
        without_control(request.strategy) if request.is_lean else request.strategy,
        fold.dataset,
        bars,
        tensors,
        state,
        stop_requested,
        fold.yardsticks,
        is_trial=request.is_lean,
    )
    look.close(evaluated.part.rows, evaluated.part.evaluation, evaluated.part.backtest)
    # The search gives one verdict over all its trials.
    if not request.is_lean and (verdict := look.verdict()):
        return evaluated.beside_all_tries(verdict)
    return evaluated


def _write(
    report: reports.TrainingReport,
    weights: dict[str, Tensor],
    evaluated: ModelEvaluation,
    bars: Mapping[str, SymbolBars],
    device: str,
    phases: _PhaseClock,
) -> None:
    """Write the model and its artifacts to the request's folder."""
    request, dataset, folder = report.request, report.dataset, report.request.output
    card = writing.model_card(
        request,
        dataset,
        report.fingerprint,
        report.providers,
        report.results,
        bars=bars,
        device=device,
        class_weights=evaluated.class_weights,
    )
    writing.write_model(folder, weights, card)
    write_rows(folder, [evaluated.part.rows])
    write_file(folder / STRATEGY, request.strategy_text.encode())
    writing.write_metrics(folder, report.history)
    if not request.is_lean:
        writing.write_predictions(folder, dataset, "validation", evaluated.part.outputs, evaluated.class_weights)
        write_file(folder / PLOT, reports.plot_metrics(report))
        write_file(folder / EQUITY, reports.plot_equity(report))
        write_file(folder / SUMMARY, reports.summary(report, phases.seconds()).encode())
    write_checksums(folder, [WEIGHTS, *report.results.artifacts.values()])


def _status(ending: Ending) -> Literal["success", "cancelled"]:
    return "cancelled" if ending is Ending.CANCELLED else "success"


def _read(
    request: TrainingRequest, read_bars: ReadBars, read_table: ReadTable
) -> tuple[dict[str, SymbolBars], dict[str, dict[str, str]]]:
    """Each symbol's bars and their providers, by timeframe. Raises TrainingDataError when there are too many gaps."""
    timeframes: tuple[str, ...] = request.strategy.timeframes
    stored = {
        symbol: {timeframe: read_bars(symbol, timeframe) for timeframe in timeframes} for symbol in request.symbols
    }
    for symbol, own in stored.items():
        for timeframe, series in own.items():
            enforce(request.strategy.data, series, symbol, timeframe, request.strategy.calendar)
    providers = {
        symbol: {timeframe: series.provider for timeframe, series in own.items()} for symbol, own in stored.items()
    }
    bars = {symbol: SymbolBars.of(own) for symbol, own in stored.items()}
    return with_other_series(request.strategy, bars, read_bars, read_table), providers


def _final_metrics(state: TrainingState) -> FinalMetrics:
    best = state.history[state.best_epoch - 1] if state.best_epoch else None
    last = state.history[-1] if state.history else None
    return FinalMetrics(
        best_epoch=best.epoch if best else None,
        best_val_loss=best.val_loss if best else None,
        best_val_accuracy=best.val_accuracy if best else None,
        final_train_loss=last.train_loss if last else None,
        final_val_loss=last.val_loss if last else None,
        total_epochs=state.epoch,
        training_duration_seconds=sum(metrics.duration for metrics in state.history),
    )


class _PhaseClock:
    def __init__(self, observer: TrainingObserver) -> None:
        self._observer = observer
        self._began: dict[Phase, float] = {}

    def enter(self, phase: Phase) -> None:
        self._began[phase] = time.perf_counter()
        self._observer.on_phase(phase)

    def seconds(self) -> dict[str, float]:
        """Seconds of every phase so far, the running one included."""
        ends = [*list(self._began.values())[1:], time.perf_counter()]
        return {phase.name.lower(): end - began for (phase, began), end in zip(self._began.items(), ends, strict=True)}
