"""Draws a plot of a model that was saved without plots, as those of a search's trials are."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr import reports
from ktrdr.features.assemble import build_dataset
from ktrdr.features.inputs import ReadTable, no_tables
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.trained_model import load_model
from ktrdr.saved_models.trained_on import ReadBars, inputs_as_trained
from ktrdr.saved_models.writing import read_metrics
from ktrdr.training.architectures.model import layers
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.request import TrainingRequest

if TYPE_CHECKING:
    from ktrdr.payloads.plots import PlotName
    from ktrdr.strategy.spec import Strategy

_DRAWN = {"metrics_plot": reports.plot_metrics, "equity_plot": reports.plot_equity}


def draw_plot(folder: Path, plot: PlotName, read_bars: ReadBars, read_table: ReadTable = no_tables) -> bytes:
    """The PNG that a full training writes under this name, of the model in `folder`, whose files stay as they are.

    Raises:
        ArtifactNotFound: there is no model in the folder.
        ConflictError: the bars are not those of its training.
        SeriesNotFound, TableNotFound: they are gone.
        StorageError: a file is damaged.
    """
    trained, card = load_model(folder), read_card(folder)
    bars = inputs_as_trained(trained.strategy, trained.trained_on, read_bars, read_table)
    report = reports.TrainingReport(
        request=_request(folder, trained.strategy, card),
        dataset=build_dataset(trained.strategy, bars, card["fold"]),
        fingerprint=Fingerprint.of(trained.strategy, bars, card["fold"]),
        providers=card["data_providers"],
        layers=tuple(layers(trained.module)),
        history=read_metrics(folder),
        results=TrainingResults.model_validate(card["results"]),
    )
    return _DRAWN[plot](report)


def _request(folder: Path, strategy: Strategy, card: dict[str, Any]) -> TrainingRequest:
    start, end = (date.fromisoformat(card[name]) if card[name] else None for name in ("start", "end"))
    return TrainingRequest(
        operation_id=card["operation_id"],
        strategy=strategy,
        strategy_name=card["strategy_name"],
        strategy_text=card["strategy_text"],
        symbols=tuple(card["symbols"]),
        start=start,
        end=end,
        output=folder,
        fold=card["fold"],
    )
