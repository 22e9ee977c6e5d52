"""Permutation importance: what a model loses when the features of one indicator are shuffled in time (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.metrics import log_likelihoods
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.evaluation.sampling import Sampling
from ktrdr.evaluation.significance import lead_from_gains
from ktrdr.payloads.evaluation import Lead

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part

Floats = NDArray[np.float64]
Outputs = NDArray[np.float32]
Predict = Callable[[NDArray[np.float32]], Outputs]
"""Maps values [rows, features] in place of a dataset's to outputs [samples, outputs]."""

_LEAST_BLOCK = 20


@dataclass(frozen=True, slots=True)
class Importance:
    """What shuffling some features costs.

    cost: in nats a sample, or in training variances of squared error, with the paired test that it costs anything
    accuracy_lost: share of samples that are right no longer
    """

    cost: Lead
    accuracy_lost: float


def block_length(dataset: Dataset) -> int:
    """Rows that stay together: a window at least, so that most shuffled windows are windows that occur."""
    return max(_LEAST_BLOCK, dataset.sequence_length)


def permutation_importance(
    dataset: Dataset,
    part: Part,
    predict: Predict,
    groups: Sequence[Sequence[int]],
    repeats: int,
    class_weights: Sequence[float] | None = None,
    after_each: Callable[[int], None] = lambda done: None,
) -> list[Importance]:
    """One for each of `groups`, the columns of some features. `after_each` gets the number of groups that are done.

    Each repeat shuffles blocks of the rows within each symbol, all columns of the group together. The others stay.
    """
    quality, hits = _scores(predict(dataset.values), dataset, part, class_weights)
    sampling, rows = Sampling.of(part), _rows_in_windows(dataset, part)
    found = []
    for number, columns in enumerate(groups):
        random = np.random.default_rng(number)
        lost, missed = np.zeros(len(part.labels)), 0.0
        for _ in range(repeats):
            values = dataset.values.copy()
            for own in rows:
                mixed = _shuffled(own, block_length(dataset), random)
                for column in columns:
                    values[own, column] = dataset.values[mixed, column]
            other_quality, other_hits = _scores(predict(values), dataset, part, class_weights)
            lost += (quality - other_quality) / repeats
            missed += float(hits.mean() - other_hits.mean()) / repeats
        found.append(Importance(lead_from_gains(lost, sampling), missed))
        after_each(number + 1)
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for all of them: each times the number of those that are no smaller, and none below a smaller one's."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1))
    return [float(value) for value in np.minimum(adjusted, 1.0)]


def _scores(
    outputs: Outputs, dataset: Dataset, part: Part, class_weights: Sequence[float] | None
) -> tuple[Floats, NDArray[Any]]:
    """Quality of each sample, higher is better, and whether its class or sign is right."""
    if dataset.is_regression:
        predicted = outputs[:, 0].astype(np.float64)
        return -((predicted - part.labels) ** 2), (predicted > 0) == (part.labels > 0)
    labels = part.labels.astype(np.int64)
    return log_likelihoods(labels, class_probabilities(outputs, class_weights)), outputs.argmax(axis=1) == labels


def _rows_in_windows(dataset: Dataset, part: Part) -> list[NDArray[np.int64]]:
    """For each symbol of the part, the rows that some window of it has, in order."""
    found = []
    for symbol in np.unique(part.symbols):
        ends = part.ends[part.of_symbol(symbol)]
        found.append(np.unique(ends[:, None] - np.arange(dataset.sequence_length)))
    return found


def _shuffled(rows: NDArray[np.int64], block: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The rows with their blocks in another order; of fewer than three blocks the rows moved round."""
    if len(rows) < 3 * block:
        return np.roll(rows, int(random.integers(1, max(2, len(rows)))))
    begin = int(random.integers(0, block))
    blocks = np.split(rows, np.arange(begin or block, len(rows), block))
    return np.concatenate([blocks[place] for place in random.permutation(len(blocks))])
