"""Tests whether a feature knows the label, by rank correlation with true and with shuffled labels.

Truncation finds features that are computed from later bars. This test finds a label that came from outside with the
features: no honest feature predicts a label almost without fail.
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

# From 0 to 1. A feature that is right about the sign 65 times in 100 scores 0.3; a monotonic function of the label, 1.
LEAK_SCORE = 0.95
# The test proves nothing when the labels' own past, or shuffled labels, score as much.
MAX_CHANCE_SCORE = 0.7

# The fewest samples, non-overlapping labels, and changes of side: fewer can agree by chance. One crash is many
# samples of one event.
MIN_SAMPLES, MIN_SEPARATE_LABELS, MIN_CHANGES = 60, 20, 20
MAX_SAMPLES = 20_000
SPREAD_SAMPLES = 200
# How many of a window's last bars are tested.
LAGS = 3
_PAST = 3


@dataclass(frozen=True, slots=True)
class Targets:
    """The labels of some samples of one symbol.

    rows: [samples], last bars of the windows
    measures: [samples], values behind the labels
    sides: [samples], -1 and 1 for the outer classes, else 0
    classes: [samples], class indices; empty in a regression
    span: mean number of samples that a label spans
    """

    rows: NDArray[np.int64]
    measures: Values
    sides: NDArray[np.int64]
    classes: NDArray[np.int64]
    span: float

    @classmethod
    def of(cls, samples: Samples, measures: Values, labels: Labels, is_regression: bool) -> Targets:
        step = -(-len(labels) // MAX_SAMPLES)
        if is_regression:
            sides, classes = np.sign(measures), np.empty(0, np.int64)
        else:
            sides = (labels == labels.max()).astype(np.int64) - (labels == labels.min())
            classes = labels[::step].astype(np.int64)
        span = float(np.mean(samples.settled - samples.rows)) / step
        return cls(samples.rows[::step], measures[::step], sides[::step].astype(np.int64), classes, max(1.0, span))

    @property
    def is_enough(self) -> bool:
        return len(self.rows) >= MIN_SAMPLES and len(self.rows) >= MIN_SEPARATE_LABELS * self.span

    @property
    def is_two_sided(self) -> bool:
        return _changes_enough(self.sides[self.sides != 0])

    def classes_against_rest(self) -> list[NDArray[np.bool_]]:
        """[samples] for each of three or more classes that comes and goes all the time: which samples are of it.

        It must do so among samples that are evenly spread, as all of a rare class may belong to one event.
        """
        each = np.unique(self.classes)
        members = [self.classes == one for one in each] if len(each) > 2 else []
        step = max(1, len(self.classes) // SPREAD_SAMPLES)
        return [inside for inside in members if _changes_enough(inside[::step])]

    def taken(self, order: NDArray[np.int64]) -> Targets:
        classes = self.classes[order] if len(self.classes) else self.classes
        return replace(self, measures=self.measures[order], sides=self.sides[order], classes=classes)


def _changes_enough(sides: NDArray[Any]) -> bool:
    return int(np.count_nonzero(sides[1:] != sides[:-1])) >= MIN_CHANGES


def scores(columns: Values, targets: Targets) -> Values:
    """[columns], from 0 to 1: how well each column of [samples, columns] predicts the label.

    The largest absolute value of these: Spearman's correlation with the measure, Spearman's correlation with its
    absolute value, and Gini's coefficient 2 AUC - 1 between the outer classes and of each class against the rest.
    """
    measures = [_standard(ranks(values)) for values in (targets.measures, np.abs(targets.measures))]
    is_outer = targets.sides != 0
    is_upper = targets.sides[is_outer] > 0
    members = targets.classes_against_rest()
    strongest = np.zeros(columns.shape[1])
    for place, column in enumerate(columns.T):
        ranked = ranks(column)
        if ranked.max() == ranked.min():
            continue
        agreeing = [abs(float(np.sum(_standard(ranked) * measure))) for measure in measures]
        if targets.is_two_sided:
            agreeing.append(_gini(ranked if is_outer.all() else ranks(column[is_outer]), is_upper))
        agreeing += [_gini(ranked, inside) for inside in members]
        strongest[place] = max(agreeing)
    return strongest


def _gini(ranked: Values, is_upper: NDArray[np.bool_]) -> float:
    return float(abs(2 * (ranked[is_upper].mean() - ranked[~is_upper].mean()) / len(ranked)))


def shuffled(targets: Targets, horizon: int, random: np.random.Generator) -> Targets:
    """The labels in random order, shuffled in blocks, which preserves their autocorrelation."""
    length = max(1, min(max(horizon, 5), len(targets.rows) // 20))
    starts = random.permutation(np.arange(0, len(targets.rows), length))
    order = (starts[:, None] + np.arange(length)).ravel()
    return targets.taken(order[order < len(targets.rows)])


def own_past(measured: Measured, targets: Targets) -> float:
    """The score of a linear regression on the newest labels that were settled at each sample.

    A label that follows from earlier labels, as on a smooth curve, is predictable without a leak.
    """
    past = np.maximum(measured.newest_settled()[targets.rows][:, None] - np.arange(_PAST), 0)
    known = np.nan_to_num(measured.values[past])
    design = np.column_stack((known, np.ones(len(known))))
    line, *_ = np.linalg.lstsq(design, targets.measures, rcond=None)
    return float(scores((design @ line)[:, None], targets)[0])


def _standard(values: Values) -> Values:
    centered = values - values.mean()
    return np.asarray(centered / (np.sqrt(np.sum(centered**2)) or 1.0))
