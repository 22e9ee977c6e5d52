"""Which parameters of a search decide the score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy.stats import rankdata

from ktrdr.payloads.search import ParameterImportance, Parameters

MIN_TRIALS = 12
_GROUPS = 4
_RESAMPLES = 200

Groups = NDArray[np.int64]
Scores = NDArray[np.float64]


def measure_importance(parameters: Sequence[Parameters], scores: Sequence[float]) -> tuple[ParameterImportance, ...]:
    """The importance of each parameter that varies, the greatest first; nothing for fewer than `MIN_TRIALS` trials."""
    if len(scores) < MIN_TRIALS:
        return ()
    own = np.asarray(scores, float)
    names = list(dict.fromkeys(name for each in parameters for name in each))
    groups = {name: _groups([each.get(name) for each in parameters]) for name in names}
    measured = [_importance(name, group, own) for name, group in groups.items() if np.ptp(group)]
    return tuple(sorted(measured, key=lambda each: (-each.importance, each.parameter)))


def _importance(name: str, groups: Groups, scores: Scores) -> ParameterImportance:
    draw = np.random.default_rng(0)
    samples = draw.integers(len(scores), size=(_RESAMPLES, len(scores)))
    resampled = [_explained(groups[sample], scores[sample]) for sample in samples]
    return ParameterImportance(
        parameter=name,
        importance=_explained(groups, scores),
        standard_error=float(np.std(resampled, ddof=1)),
    )


def _groups(values: Sequence[JsonValue]) -> Groups:
    """[trials], the group of each value: each value its own, or quarters by size where there are many numbers."""
    _, groups = np.unique([str(value) for value in values], return_inverse=True)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if groups.max() < _GROUPS or len(numbers) < len(values):
        return groups.astype(np.int64)
    places = (rankdata(numbers) - 0.5) / len(numbers)
    return np.asarray(np.floor(places * _GROUPS), np.int64)


def _explained(groups: Groups, scores: Scores) -> float:
    """Kelley's epsilon squared, 1 - within / total mean squares, of the ranks (1935); negative values count as 0."""
    ranks = rankdata(scores)
    count, total = len(ranks), float(np.var(ranks, ddof=1))
    sizes = np.bincount(groups)
    means = np.bincount(groups, ranks) / np.maximum(sizes, 1)
    present = int(np.count_nonzero(sizes))
    if total == 0 or present in (1, count):
        return 0.0
    within = float(np.sum((ranks - means[groups]) ** 2)) / (count - present)
    return max(0.0, 1.0 - within / total)
