"""Whether a feature knows the label, whoever made it: its ranks beside those of the label, true and shuffled.

Truncation finds what is computed from later bars. A label that came with the features from elsewhere is found here, as
no honest feature tells a label almost without fail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Measured
from ktrdr.features.ranks import ranks

if TYPE_CHECKING:
    from ktrdr.features.leaks.split_checks import Samples

Values = NDArray[np.float64]
Labels = NDArray[Any]

# Of 1. A feature that gives the sign right 65 times in 100 scores 0.3; the label itself, and what rises with it, 1.
LEAK_SCORE = 0.95
# What a score of the labels' own past, or of shuffled labels, may not reach if a leak is to be told from it.
MAX_CHANCE_SCORE = 0.7

# As many samples, labels that do not overlap, and changes from one side to the other: fewer agree by chance. A day
# on which a market fell is many samples of one event.
MIN_SAMPLES, MIN_SEPARATE_LABELS, MIN_CHANGES = 60, 20, 20
MAX_SAMPLES = 20_000
# Bars of the window, the newest first, whose features are held against the label.
LAGS = 3
_PAST = 3


@dataclass(frozen=True, slots=True)
class Targets:
    """Labels of some samples of one symbol, each over `span` samples; `sides` are -1 and 1 for the outer classes."""

    rows: NDArray[np.int64]
    measures: Values
    sides: NDArray[np.int64]
    span: float

    @classmethod
    def of(cls, samples: Samples, measures: Values, labels: Labels, is_regression: bool) -> Targets:
        step = -(-len(labels) // MAX_SAMPLES)
        if is_regression:
            sides = np.sign(measures)
        else:
            sides = (labels == labels.max()).astype(np.int64) - (labels == labels.min())
        span = float(np.mean(samples.settled - samples.rows)) / step
        return cls(samples.rows[::step], measures[::step], sides[::step].astype(np.int64), max(1.0, span))

    @property
    def is_enough(self) -> bool:
        return len(self.rows) >= MIN_SAMPLES and len(self.rows) >= MIN_SEPARATE_LABELS * self.span

    @property
    def is_two_sided(self) -> bool:
        sides = self.sides[self.sides != 0]
        return int(np.count_nonzero(np.diff(sides))) >= MIN_CHANGES

    def taken(self, order: NDArray[np.int64]) -> Targets:
        return replace(self, measures=self.measures[order], sides=self.sides[order])


def scores(columns: Values, targets: Targets) -> Values:
    """For each column of [samples, columns] from 0 to 1: how surely its ranks tell the label, or its side.

    The largest of Spearman's correlation with the measure, the same with its size, and Gini's coefficient 2 AUC - 1
    between the outer classes, all without their signs.
    """
    measures = [_standard(ranks(each)) for each in (targets.measures, np.abs(targets.measures))]
    is_outer = targets.sides != 0
    is_upper = targets.sides[is_outer] > 0
    found = np.zeros(columns.shape[1])
    for place, column in enumerate(columns.T):
        ranked = ranks(column)
        if ranked.max() == ranked.min():
            continue
        agreeing = [abs(float(np.sum(_standard(ranked) * measure))) for measure in measures]
        if targets.is_two_sided:
            agreeing.append(_gini(ranked if is_outer.all() else ranks(column[is_outer]), is_upper))
        found[place] = max(agreeing)
    return found


def _gini(ranked: Values, is_upper: NDArray[np.bool_]) -> float:
    return float(abs(2 * (ranked[is_upper].mean() - ranked[~is_upper].mean()) / len(ranked)))


def shuffled(targets: Targets, horizon: int, random: np.random.Generator) -> Targets:
    """Labels in blocks that keep their neighbours, in another order than the features'."""
    length = max(1, min(max(horizon, 5), len(targets.rows) // 20))
    starts = random.permutation(np.arange(0, len(targets.rows), length))
    order = (starts[:, None] + np.arange(length)).ravel()
    return targets.taken(order[order < len(targets.rows)])


def own_past(measured: Measured, targets: Targets) -> float:
    """The score of the best line through the labels that were settled at each sample, the newest of them.

    Where a label follows from those before it, as on a curve, features may tell it as well and know nothing.
    """
    past = np.maximum(measured.newest_settled()[targets.rows][:, None] - np.arange(_PAST), 0)
    known = np.nan_to_num(measured.values[past])
    design = np.column_stack((known, np.ones(len(known))))
    line, *_ = np.linalg.lstsq(design, targets.measures, rcond=None)
    return float(scores((design @ line)[:, None], targets)[0])


def _standard(values: Values) -> Values:
    centered = values - values.mean()
    return np.asarray(centered / (np.sqrt(np.sum(centered**2)) or 1.0))
