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
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.saved_models.trained_on import ReadBars, bars_as_trained
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


def remake_training(folder: Path, read_bars: ReadBars) -> RemadeTraining:
    """Make the samples of the model in `folder` again. Sets torch's thread count and seed for the whole process.

    Raises:
        ArtifactNotFound: there is no model in the folder.
        ConflictError: the bars are not those of its training, or no longer give the same samples.
        SeriesNotFound: they are gone.
        StorageError: a file is damaged.
    """
    trained, card = load_model(folder), read_card(folder)
    results, settings = TrainingResults.model_validate(card["results"]), trained.strategy.training
    make_repeatable(settings.seed, settings.threads)
    bars = bars_as_trained(trained.trained_on.series, read_bars)
    dataset = build_dataset(trained.strategy, bars, card["fold"])
    if not _are_same_samples(dataset, trained, results):
        raise ConflictError(
            "the stored bars are those of the training, but they no longer give the same samples",
            hint="name the calendar that the symbol had then, use the ktrdr that trained the model, or train again",
        )
    fingerprint = Fingerprint.of(trained.strategy, bars, card["fold"])
    return RemadeTraining(
        card["operation_id"], card["strategy_name"], folder, trained, results, fingerprint, dataset, bars
    )


def _are_same_samples(dataset: Dataset, trained: TrainedModel, results: TrainingResults) -> bool:
    """Whether calendar, labels and features have given the samples of the training again."""
    return (
        results.sealed in (None, sealed_part(dataset))  # version 0.1.0 sealed nothing
        and dataset.feature_names == trained.feature_names
        and np.allclose(dataset.scaler.center, trained.scaler.center)
        and np.allclose(dataset.scaler.scale, trained.scaler.scale)
    )
