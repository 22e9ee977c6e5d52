"""Opens the sealed test part of a trained model: records that first, then evaluates the model on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ktrdr import reports
from ktrdr.errors import ConflictError
from ktrdr.experiments.evaluate_model import evaluate_part, label_permutation_control, sealed_part
from ktrdr.experiments.looks import OpenLook, evaluated_symbols
from ktrdr.features.assemble import build_dataset
from ktrdr.ledger.footprint import EvaluatedBars, Footprint
from ktrdr.ledger.recorder import LookRequest, OpeningRecorder
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.looks import LookKind
from ktrdr.payloads.training import TrainingResults
from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.saved_models import writing
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.rows_file import write_rows
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.saved_models.trained_on import ReadBars, bars_as_trained
from ktrdr.saved_models.unsealed import unsealed_folder, without_sealed_part, write_unsealing
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.files import EQUITY, EVALUATED_ROWS, PREDICTIONS, SUMMARY, write_file
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from ktrdr.experiments.evaluate_model import EvaluatedPart
    from ktrdr.features.dataset import Dataset, Part

_ARTIFACTS = {
    "predictions": PREDICTIONS,
    "evaluated_rows": EVALUATED_ROWS,
    "equity_plot": EQUITY,
    "model_summary": SUMMARY,
}


@dataclass(frozen=True, slots=True)
class SealedModel:
    """A trained model with the samples of its training, made again.

    model_id: the operation that trained it
    strategy_name: the slug under which people know it
    folder: holds its files
    results: of its training
    fingerprint: of its training
    test: its test part
    """

    model_id: str
    strategy_name: str
    folder: Path
    trained: TrainedModel
    results: TrainingResults
    fingerprint: Fingerprint
    dataset: Dataset
    bars: Mapping[str, SymbolBars]
    test: Part


def run_unsealing(
    folder: Path,
    by: str,
    read_bars: ReadBars,
    ledger: OpeningRecorder,
    on_step: Callable[[int, int], None] = lambda step, items: None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> UnsealingResults | None:
    """Open the sealed test part of the model in `folder` and evaluate the model on it. Changes none of its files.

    The opening is recorded with `by`, who asked for it, before the model predicts a sealed row; where that fails,
    nothing is evaluated. `on_step(step, items)` is called with the steps 1 to 3. The results name files within the
    folder `unsealed` of the model's. Returns None when a stop was requested before the opening was recorded.

    Sets torch's thread count, seed and determinism for the whole process.

    Raises:
        ArtifactNotFound: there is no model in the folder.
        ConflictError: it has no sealed test part, or the bars are not those of its training.
        SeriesNotFound: they are gone.
        StorageError: a file is damaged or cannot be written, or the opening cannot be recorded.
    """
    on_step(1, 0)
    sealed = _prepare(folder, read_bars)
    strategy, dataset, model = sealed.trained.strategy, sealed.dataset, sealed.trained
    tensors = TrainingTensors.of(dataset, strategy.training, model.device)

    on_step(2, 0)
    # It learns from the training part alone, and comes to the same bits as at the end of the training.
    epochs = sealed.results.final_metrics.total_epochs
    control = label_permutation_control(strategy, dataset, tensors, epochs, stop_requested)
    if stop_requested():
        return None

    evaluated_bars = EvaluatedBars.of(strategy, dataset, sealed.test, sealed.bars)
    opening = ledger.record_opening(_look(sealed, evaluated_bars.footprint), by)
    on_step(3, len(sealed.test.labels))
    part = evaluate_part(strategy, dataset, sealed.bars, tensors, sealed.test, model.module, control, opening.level)
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


def _look(sealed: SealedModel, footprint: Footprint) -> LookRequest:
    """Its operation is the training, with whose bundle it travels."""
    strategy, dataset, test = sealed.trained.strategy, sealed.dataset, sealed.test
    return LookRequest(
        operation_id=sealed.model_id,
        kind=LookKind.UNSEALING,
        part="test",
        strategy_name=sealed.strategy_name,
        inputs_sha256=sealed.fingerprint.inputs_sha256,
        label=strategy.labels.type,
        timeframe=strategy.timeframes[0],
        symbols=evaluated_symbols(dataset, test),
        samples=len(test.labels),
        footprint=footprint,
    )


def _write(sealed: SealedModel, part: EvaluatedPart, results: UnsealingResults) -> None:
    """The results come last: with them the test part counts as opened."""
    folder, strategy = unsealed_folder(sealed.folder), sealed.trained.strategy
    writing.write_predictions(folder, sealed.dataset, "test", part.outputs, sealed.trained.class_weights.values)
    write_rows(folder, [part.rows])
    write_file(folder / EQUITY, reports.plot_test_equity(part.backtest.result, strategy.name, sealed.dataset.symbols))
    write_file(folder / SUMMARY, reports.unsealing_summary(results, strategy.name).encode())
    write_unsealing(sealed.folder, results)


def _prepare(folder: Path, read_bars: ReadBars) -> SealedModel:
    trained, card = load_model(folder), read_card(folder)
    results, settings = TrainingResults.model_validate(card["results"]), trained.strategy.training
    if results.sealed is None:
        raise without_sealed_part(card["operation_id"])
    make_repeatable(settings.seed, settings.threads)
    bars = bars_as_trained(trained.trained_on.series, read_bars)
    dataset = build_dataset(trained.strategy, bars, card["fold"])
    if dataset.test is None or not _are_same_samples(dataset, trained, results):
        raise ConflictError(
            "the stored bars are those of the training, but they no longer give the same samples",
            hint="name the calendar that the symbol had then, use the ktrdr that trained the model, or train again",
        )
    fingerprint = Fingerprint.of(trained.strategy, bars, card["fold"])
    return SealedModel(
        card["operation_id"], card["strategy_name"], folder, trained, results, fingerprint, dataset, bars, dataset.test
    )


def _are_same_samples(dataset: Dataset, trained: TrainedModel, results: TrainingResults) -> bool:
    """Whether calendar, labels and features have given the samples of the training again."""
    return (
        sealed_part(dataset) == results.sealed
        and dataset.feature_names == trained.feature_names
        and np.allclose(dataset.scaler.center, trained.scaler.center)
        and np.allclose(dataset.scaler.scale, trained.scaler.scale)
    )
