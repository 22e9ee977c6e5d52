"""Opens the sealed test part of a trained model: records that first, then evaluates the model on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ktrdr import reports
from ktrdr.experiments.evaluate_model import evaluate_part, label_permutation_control
from ktrdr.experiments.looks import OpenLook, evaluated_symbols
from ktrdr.experiments.remade_training import RemadeTraining, remake_training
from ktrdr.features.inputs import ReadTable, no_tables
from ktrdr.ledger.footprint import EvaluatedBars, Footprint
from ktrdr.ledger.recorder import LookRequest, OpeningRecorder
from ktrdr.payloads.looks import LookKind
from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.saved_models import writing
from ktrdr.saved_models.rows_file import write_rows
from ktrdr.saved_models.trained_on import ReadBars
from ktrdr.saved_models.unsealed import unsealed_folder, without_sealed_part, write_unsealing
from ktrdr.training.files import EQUITY, EVALUATED_ROWS, PREDICTIONS, SUMMARY, write_file
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from ktrdr.experiments.evaluate_model import EvaluatedPart
    from ktrdr.features.dataset import Part

_ARTIFACTS = {
    "predictions": PREDICTIONS,
    "evaluated_rows": EVALUATED_ROWS,
    "equity_plot": EQUITY,
    "model_summary": SUMMARY,
}


def run_unsealing(
    folder: Path,
    by: str,
    read_bars: ReadBars,
    ledger: OpeningRecorder,
    on_step: Callable[[int, int], None] = lambda step, items: None,
    stop_requested: Callable[[], bool] = lambda: False,
    *,
    read_table: ReadTable = no_tables,
) -> UnsealingResults | None:
    """Open the sealed test part of the model in `folder` and evaluate the model on it. Changes none of its files.

    The opening is recorded with `by`, who asked for it, before the model predicts a sealed row; where that fails,
    nothing is evaluated. `on_step(step, items)` is called with the steps 1 to 3. The results name files within the
    folder `unsealed` of the model's. Returns None when a stop was requested before the opening was recorded.

    Sets torch's thread count, seed and determinism for the whole process.

    Raises:
        ArtifactNotFound: there is no model in the folder.
        ConflictError: it has no sealed test part, or the bars are not those of its training.
        SeriesNotFound, TableNotFound: they are gone.
        StorageError: a file is damaged or cannot be written, or the opening cannot be recorded.
    """
    on_step(1, 0)
    sealed = remake_training(folder, read_bars, read_table)
    strategy, dataset, model = sealed.trained.strategy, sealed.dataset, sealed.trained
    if (test := dataset.test) is None or sealed.results.sealed is None:
        raise without_sealed_part(sealed.model_id)
    tensors = TrainingTensors.of(dataset, strategy.training, model.device)

    on_step(2, 0)
    # It learns from the training part alone, and comes to the same bits as at the end of the training.
    epochs = sealed.results.final_metrics.total_epochs
    control = label_permutation_control(strategy, dataset, tensors, epochs, stop_requested)
    if stop_requested():
        return None

    evaluated_bars = EvaluatedBars.of(strategy, dataset, test, sealed.bars)
    opening = ledger.record_opening(_look(sealed, test, evaluated_bars.footprint), by)
    on_step(3, len(test.labels))
    part = evaluate_part(strategy, dataset, sealed.bars, tensors, test, model.module, control, opening.level)
    OpenLook(opening.look_id, evaluated_bars, ledger).close(part.rows, part.evaluation, part.backtest)
    results = UnsealingResults(
        model=sealed.model_id,
        opening=opening,
        evaluation=part.evaluation,
        backtest=part.backtest.result,
        artifacts=_ARTIFACTS,
    )
    _write(sealed, part, results)
    return results


def _look(sealed: RemadeTraining, test: Part, footprint: Footprint) -> LookRequest:
    """Its operation is the training, with whose bundle it travels."""
    strategy = sealed.trained.strategy
    return LookRequest(
        operation_id=sealed.model_id,
        kind=LookKind.UNSEALING,
        part="test",
        strategy_name=sealed.strategy_name,
        inputs_sha256=sealed.fingerprint.inputs_sha256,
        label=strategy.labels.type,
        timeframe=strategy.timeframes[0],
        symbols=evaluated_symbols(sealed.dataset, test),
        samples=len(test.labels),
        footprint=footprint,
    )


def _write(sealed: RemadeTraining, part: EvaluatedPart, results: UnsealingResults) -> None:
    """The results come last: with them the test part counts as opened."""
    folder, strategy = unsealed_folder(sealed.folder), sealed.trained.strategy
    writing.write_predictions(folder, sealed.dataset, "test", part.outputs, sealed.trained.class_weights.values)
    write_rows(folder, [part.rows])
    write_file(folder / EQUITY, reports.plot_test_equity(part.backtest.result, strategy.name, sealed.dataset.symbols))
    write_file(folder / SUMMARY, reports.unsealing_summary(results, strategy.name).encode())
    write_unsealing(sealed.folder, results)
