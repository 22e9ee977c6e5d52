"""What a model loses without each of its indicators: models that were trained without one, compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr import reports
from ktrdr.errors import ConflictError
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.importance import holm
from ktrdr.evaluation.metrics import log_likelihoods
from ktrdr.evaluation.shared_rows import shared_rows
from ktrdr.evaluation.significance import lead_over
from ktrdr.formatting import counted, p_value
from ktrdr.payloads.ablations import AblationResults, ComparedWithout, TrainedWithout
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.rows_file import read_rows
from ktrdr.training.files import ABLATION, write_file

Floats = NDArray[np.float64]
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class ReducedModel:
    """A model without one indicator.

    trained: what its training came to
    folder: holds its files
    """

    trained: TrainedWithout
    folder: Path


def compare_reduced(
    model: str, folder: Path, reduced: Sequence[ReducedModel], failed: Sequence[TrainedWithout], output: Path
) -> AblationResults:
    """Compare the model in `folder`, which `model` trained, with those that lack an indicator; write the plot.

    On the validation samples that all of them share. The results name files within `output`.

    Raises ConflictError where they share none or were trained on other bars, and StorageError.
    """
    card = read_card(folder)
    for each in reduced:
        if not _are_same_bars(read_card(each.folder), card):
            raise ConflictError(
                f"the bars have changed since the model was trained: {each.trained.operation_id} read other ones",
                hint="load them as they were, or train again",
            )
    own, *others = _rows([folder, *(each.folder for each in reduced)])
    compared = _compared(own, others, [each.trained for each in reduced])
    results = TrainingResults.model_validate(card["results"])
    ablation = AblationResults(
        model=model,
        samples=len(own),
        first=own.timestamps.min().astype("datetime64[s]").item(),
        last=own.timestamps.max().astype("datetime64[s]").item(),
        measure="squared_error" if own.is_regression else "log_loss",
        val_loss=results.final_metrics.best_val_loss,
        lead=results.lead_over_hardest,
        indicators=(*compared, *(ComparedWithout(**dict(each)) for each in failed)),
        verdict=_verdict(compared, len(own)),
        artifacts={"ablation_plot": ABLATION},
    )
    write_file(output / ABLATION, reports.plot_ablation(ablation, card["strategy"]["name"]))
    return ablation


def _are_same_bars(reduced: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    """Whether the cards of two models name the same bars; the first may need fewer of other symbols, and tables."""
    others = reduced.get("other_sha256", {}).items() <= card.get("other_sha256", {}).items()
    return others and bool(reduced["data_sha256"] == card["data_sha256"])


def _rows(folders: Sequence[Path]) -> Sequence[EvaluatedRows]:
    """What each model predicted for the validation samples that all of them share."""
    every = [rows for folder in folders if (rows := read_rows(folder, "validation"))]
    shared, _ = shared_rows(every)
    if len(every) < len(folders) or not len(shared[0]):
        raise ConflictError(
            "the models share no validation samples: their dates or labels differ, or predictions are gone",
            hint="train the model again, and start anew",
        )
    return shared


def _compared(
    own: EvaluatedRows, others: Sequence[EvaluatedRows], trained: Sequence[TrainedWithout]
) -> list[ComparedWithout]:
    sampling, quality, hits = own.scored.sampling, _quality(own, own.scales), own.scored.hits
    losses = [lead_over(quality, _quality(rows, own.scales), sampling) for rows in others]
    compared = [
        ComparedWithout(
            **dict(each),
            lost=lost,
            adjusted_p_value=adjusted,
            accuracy_lost=float(hits.mean() - rows.scored.hits.mean()),
        )
        for each, rows, lost, adjusted in zip(
            trained, others, losses, holm([lost.p_value for lost in losses]), strict=True
        )
    ]
    return sorted(compared, key=lambda each: -each.lost.lead if each.lost else 0.0)


def _quality(rows: EvaluatedRows, scales: Floats) -> Floats:
    """[samples], higher is better: log-likelihoods, or squared errors times -1 in units of `scales` squared."""
    if rows.model.probabilities is not None:
        return log_likelihoods(rows.labels, rows.model.probabilities)
    return rows.quality(rows.model) * (rows.scales / scales) ** 2


def _verdict(compared: Sequence[ComparedWithout], samples: int) -> str:
    needed = [each for each in compared if each.adjusted_p_value is not None and each.adjusted_p_value < _LEVEL]
    others = len(compared) - len(needed)
    tries = f"Each of the {counted(len(compared), 'training')} is another try at these rows, which the ledger counts."
    rows = f"on the same {counted(samples, 'validation sample')}"
    if not needed:
        return f"Trained without any one of its indicators, the model does no measurably worse {rows}. {tries}"
    named = ", ".join(f"{each.name} (p {p_value(each.adjusted_p_value or 0.0)})" for each in needed)
    rest = f" Without any one of the other {others} it does not." if others else ""
    return f"The model does measurably worse {rows} when it is trained without {named}.{rest} {tries}"
