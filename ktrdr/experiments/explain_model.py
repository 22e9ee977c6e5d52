"""Which indicators a trained model depends on, by its validation rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr import reports
from ktrdr.evaluation.importance import Importance, block_length, holm, permutation_importance
from ktrdr.experiments.remade_training import RemadeTraining, remake_training
from ktrdr.experiments.tree_gains import tree_gains
from ktrdr.features.columns import RETURNS
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import ReadTable, no_tables
from ktrdr.formatting import counted, p_value
from ktrdr.payloads.explanations import ExplanationResults, FeatureGroup
from ktrdr.saved_models.trained_on import ReadBars
from ktrdr.strategy.left_out import indicator_title
from ktrdr.training.architectures.model import predict
from ktrdr.training.files import IMPORTANCE, write_file
from ktrdr.training.windows import view_of_windows

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Strategy

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class _Group:
    """The features of one indicator.

    name: its declared name or its place; `returns`
    indicator: what it computes
    columns: of its features
    """

    name: str
    indicator: str
    columns: tuple[int, ...]


def run_explanation(
    folder: Path,
    output: Path,
    repeats: int,
    read_bars: ReadBars,
    on_step: Callable[[int, int, int], None] = lambda step, part, parts: None,
    stop_requested: Callable[[], bool] = lambda: False,
    *,
    read_table: ReadTable = no_tables,
) -> ExplanationResults | None:
    """Shuffle the features of each indicator in time, and measure what the model in `folder` loses by it.

    On the validation rows, which its training has evaluated; never on sealed ones. `on_step(step, part, parts)` is
    called with the steps 1 to 3 and the share of each that is done. The results name files within `output`. Returns
    None when a stop was requested. Sets torch's thread count and seed for the whole process.

    Raises:
        ArtifactNotFound: there is no model in the folder.
        ConflictError: the bars are not those of its training.
        SeriesNotFound, TableNotFound: they are gone.
        StorageError: a file is damaged or cannot be written.
    """
    on_step(1, 0, 1)
    remade = remake_training(folder, read_bars, read_table)
    dataset, part = _validation_alone(remade.dataset)
    groups = list(_groups(remade.trained.strategy, dataset.feature_names))

    def after_each(done: int) -> None:
        on_step(2, done, len(groups))
        if stop_requested():
            raise _Stopped

    on_step(2, 0, len(groups))
    try:
        found = permutation_importance(
            dataset,
            part,
            lambda values: _outputs(remade, values, part),
            [group.columns for group in groups],
            repeats,
            remade.trained.class_weights.values,
            after_each,
        )
    except _Stopped:
        return None
    on_step(3, 0, 1)
    results = _results(remade, part, groups, found, repeats, block_length(dataset))
    write_file(output / IMPORTANCE, reports.plot_importance(results, remade.trained.strategy.name))
    return results


class _Stopped(Exception):
    pass


def _validation_alone(dataset: Dataset) -> tuple[Dataset, Part]:
    """The dataset without the rows before and after the windows of its validation part."""
    ends = dataset.validation.ends
    begin = int(ends.min()) - (dataset.sequence_length - 1)
    part = replace(dataset.validation, ends=ends - begin)
    return replace(dataset, values=dataset.values[begin : int(ends.max()) + 1], validation=part), part


def _outputs(remade: RemadeTraining, values: NDArray[np.float32], part: Part) -> NDArray[np.float32]:
    length, device = remade.dataset.sequence_length, remade.trained.device
    windows = view_of_windows(torch.from_numpy(np.require(values, np.float32, ["C", "W"])).to(device), length)
    starts = torch.from_numpy(part.ends - (length - 1)).to(device)
    outputs: NDArray[np.float32] = predict(remade.trained.module, windows, starts).numpy()
    return outputs


def _groups(strategy: Strategy, names: Sequence[str]) -> Iterator[_Group]:
    """The indicators with their features on all their timeframes, and the returns."""
    catalogue, base = IndicatorCatalogue(), strategy.timeframes[0]

    def columns(features: Sequence[str], timeframes: Sequence[str]) -> tuple[int, ...]:
        wanted = {name if each == base else f"{name}@{each}" for each in timeframes for name in features}
        return tuple(place for place, name in enumerate(names) if name in wanted)

    if strategy.features.returns:
        yield _Group("returns", RETURNS, columns([RETURNS], strategy.timeframes))
    for number, indicator in enumerate(strategy.indicators):
        own = indicator.timeframes_in(strategy.timeframes) or (base,)
        own_columns = columns(catalogue.feature_names(indicator), own)
        yield _Group(indicator_title(number, indicator), indicator.formula, own_columns)


def _results(
    remade: RemadeTraining,
    part: Part,
    groups: Sequence[_Group],
    found: Sequence[Importance],
    repeats: int,
    block: int,
) -> ExplanationResults:
    names, adjusted = remade.dataset.feature_names, holm([each.cost.p_value for each in found])
    gains = tree_gains(remade.trained.module, len(names))
    described = [
        FeatureGroup(
            name=group.name,
            indicator=group.indicator,
            features=tuple(names[column] for column in group.columns),
            importance=each.cost,
            adjusted_p_value=p,
            accuracy_lost=each.accuracy_lost,
            gain=gains.share(group.columns) if gains else None,
            splits=gains.count(group.columns) if gains else None,
        )
        for group, each, p in zip(groups, found, adjusted, strict=True)
    ]
    described.sort(key=lambda group: -group.importance.lead)
    return ExplanationResults(
        model=remade.model_id,
        samples=len(part.labels),
        first=part.timestamps.min().astype("datetime64[s]").item(),
        last=part.timestamps.max().astype("datetime64[s]").item(),
        measure="squared_error" if remade.dataset.is_regression else "log_loss",
        repeats=repeats,
        block=block,
        groups=tuple(described),
        verdict=_verdict(described, len(part.labels)),
        artifacts={"importance_plot": IMPORTANCE},
    )


def _verdict(groups: Sequence[FeatureGroup], samples: int) -> str:
    rows = f"on its {counted(samples, 'validation sample')}"
    needed = [group for group in groups if group.adjusted_p_value < _LEVEL]
    if not needed:
        return f"None of its {counted(len(groups), 'group')} of features does measurably better than shuffled {rows}."
    named = ", ".join(f"{group.name} (p {p_value(group.adjusted_p_value)})" for group in needed)
    others = len(groups) - len(needed)
    rest = f" Shuffling any of the other {others} costs nothing measurable." if others else ""
    return f"{rows[:1].upper()}{rows[1:]} the model depends on {named}.{rest}"
