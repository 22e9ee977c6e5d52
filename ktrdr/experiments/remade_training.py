"""The samples of a training that has ended, made again from its bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.errors import ConflictError
from ktrdr.experiments.evaluate_model import sealed_part
from ktrdr.features.assemble import build_dataset
from ktrdr.features.inputs import ReadTable, no_tables
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.saved_models.trained_on import ReadBars, inputs_as_trained
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.fingerprint import Fingerprint

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset


@dataclass(frozen=True, slots=True)
class RemadeTraining:
    """A trained model with the samples of its training.

    model_id: the operation that trained it
    strategy_name: the slug under which people know it
    folder: holds its files
    results: of its training
    fingerprint: of its training
    bars: of its training, by symbol
    """

    model_id: str
    strategy_name: str
    folder: Path
    trained: TrainedModel
    results: TrainingResults
    fingerprint: Fingerprint
    dataset: Dataset
    bars: Mapping[str, SymbolBars]


def remake_training(folder: Path, read_bars: ReadBars, read_table: ReadTable = no_tables) -> RemadeTraining:
    """Make the samples of the model in `folder` again. Sets torch's thread count and seed for the whole process.

    Raises:
        ArtifactNotFound: there is no model in the folder.
        ConflictError: the bars are not those of its training, or no longer give the same samples.
        SeriesNotFound, TableNotFound: they are gone.
        StorageError: a file is damaged.
    """
    trained, card = load_model(folder), read_card(folder)
    results, settings = TrainingResults.model_validate(card["results"]), trained.strategy.training
    make_repeatable(settings.seed, settings.threads)
    bars = inputs_as_trained(trained.strategy, trained.trained_on, read_bars, read_table)
    fingerprint = Fingerprint.of(trained.strategy, bars, card["fold"])
    _check_others(fingerprint, card.get("other_sha256", {}))
    dataset = build_dataset(trained.strategy, bars, card["fold"])
    if not _are_same_samples(dataset, trained, results):
        raise ConflictError(
            "the stored bars are those of the training, but they no longer give the same samples",
            hint="name the calendar that the symbol had then, use the ktrdr that trained the model, or train again",
        )
    return RemadeTraining(
        card["operation_id"], card["strategy_name"], folder, trained, results, fingerprint, dataset, bars
    )


def _check_others(fingerprint: Fingerprint, trained: Mapping[str, str]) -> None:
    """Raises ConflictError where a table, or what is known of another symbol, is not as it was."""
    changed = [name for name, content in trained.items() if fingerprint.others.get(name) != content]
    if changed:
        raise ConflictError(
            f"what is stored is not what the model was trained on: {', '.join(changed)}",
            hint="import or load it as it was, or train again",
        )


def _are_same_samples(dataset: Dataset, trained: TrainedModel, results: TrainingResults) -> bool:
    """Whether calendar, labels and features have given the samples of the training again."""
    return (
        results.sealed in (None, sealed_part(dataset))  # version 0.1.0 sealed nothing
        and dataset.feature_names == trained.feature_names
        and np.allclose(dataset.scaler.center, trained.scaler.center)
        and np.allclose(dataset.scaler.scale, trained.scaler.scale)
    )
