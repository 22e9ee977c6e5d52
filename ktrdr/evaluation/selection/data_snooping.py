"""Tests of the best of many looks at the same rows, and of any one among them.

White (2000, A Reality Check for Data Snooping), Hansen (2005, A Test for Superior Predictive Ability), Romano and Wolf
(2005, Stepwise Multiple Testing as Formalized Data Snooping).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.selection.resampling import Resampled, Singles

Floats = NDArray[np.float64]

Recentring = Literal["lower", "consistent", "upper"]
"""What a look with a mean below zero is worth if none has skill.

upper: zero, as any other
consistent: zero, but its own mean where that is so low that it cannot be zero (Hansen 2005)
lower: its own mean
"""


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """p-values of the best of all looks; the true one lies between `lower` and `upper`."""

    lower: float
    consistent: float
    upper: float


def superior_ability(looks: Resampled) -> SuperiorAbility:
    """Test whether the best look has a mean above zero (Hansen's SPA).

    White's reality check is `upper` of means that are not in standard errors.
    """
    best = float(looks.means.max())
    return SuperiorAbility(
        lower=p_value(greatest_by_chance(looks, "lower"), best),
        consistent=p_value(greatest_by_chance(looks, "consistent"), best),
        upper=p_value(greatest_by_chance(looks, "upper"), best),
    )


def greatest_by_chance(looks: Resampled, recentring: Recentring = "consistent") -> Floats:
    """[resamples], the greatest mean of all looks in a resample, if none has skill."""
    return np.asarray(_by_chance(looks, recentring).max(axis=1), np.float64)


def p_value(greatest: Floats, mean: float) -> float:
    """The share of `greatest` [resamples] that is as great as `mean`, which counts as one of them."""
    return float((1 + np.count_nonzero(greatest >= mean)) / (1 + len(greatest)))


def stepwise_p_values(looks: Resampled, recentring: Recentring = "consistent") -> Floats:
    """[looks], p-values that are adjusted for all looks at once.

    The looks whose value is below a level are those that StepM finds at that level. With that probability, or less,
    one without skill is among them. The best look is compared with the greatest of all, the next one with the
    greatest of the others, and so on.
    """
    order = np.argsort(-looks.means, kind="stable")
    by_chance = _by_chance(looks, recentring)[:, order]
    rest = np.maximum.accumulate(by_chance[:, ::-1], axis=1)[:, ::-1]
    shares = (1 + np.count_nonzero(rest >= looks.means[order], axis=0)) / (1 + len(rest))
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(shares)
    return adjusted


def _by_chance(looks: Resampled, recentring: Recentring) -> Singles:
    """[resamples, looks], the means in resamples of looks without skill."""
    return looks.deviations + _null_means(looks, recentring).astype(np.float32)


def _null_means(looks: Resampled, recentring: Recentring) -> Floats:
    """[looks]"""
    if recentring == "upper":
        return np.zeros_like(looks.means)
    # By the law of the iterated logarithm a mean of zero does not fall below this bound for ever.
    bound = 0.0 if recentring == "lower" else -math.sqrt(2 * math.log(max(1.0, math.log(looks.instants))))
    return np.where(looks.means < bound * looks.spread, looks.means, 0.0)
