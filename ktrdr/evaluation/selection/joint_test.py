"""The test of one try among all tries at the same rows, and what the luckiest of as many would reach by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.selection.data_snooping import greatest_by_chance, p_value
from ktrdr.evaluation.selection.resampling import resample
from ktrdr.payloads.evaluation import Lead

Floats = NDArray[np.float64]

# Differs from that of the resamples.
_SEED = 2005
# The quantile of a p-value of 0 or 1 would not be finite.
_LEAST = 1e-15


@dataclass(frozen=True, slots=True)
class Tries:
    """One value for each instant and each try at the same rows.

    sums: [instants, tries], sums over the samples of an instant; NaN where a try has no row
    counts: [instants, tries], how many samples; NaN where a try has no row
    block: mean length of a resampled block, in instants
    without_series: how many more tries there were of which nothing is known
    """

    sums: Floats
    counts: Floats
    block: float
    without_series: int = 0

    @property
    def count(self) -> int:
        return int(self.sums.shape[1]) + self.without_series


@dataclass(frozen=True, slots=True)
class JointTest:
    """A lead beside what the luckiest of all tries would have.

    p_value: probability that the luckiest of all tries, if none knows anything, has a lead as significant as this one
    luckiest: [resamples], its leads by chance, rising, for a try as uncertain as this one
    """

    p_value: float
    luckiest: Floats

    def luckiest_at(self, share: float) -> float:
        """The lead that the luckiest try stays below with this probability."""
        return float(np.quantile(self.luckiest, share))


def joint_test(tries: Tries, alone: Lead) -> JointTest:
    """Compare a try's lead with the greatest of all tries by chance.

    `alone` is the test of that try by itself. Its p-value, which allows for few blocks and few occasions, is turned
    into a normal value, as resampled means in standard errors are. Nothing but the dependence between tries comes from
    the resamples. Tries without a series count as independent ones.
    """
    from scipy.special import ndtri

    looks = resample(tries.sums, tries.counts, tries.block).studentized()
    greatest = greatest_by_chance(looks)
    greatest = np.maximum(greatest, _greatest_independent(tries.without_series, len(greatest)))
    value = -float(ndtri(min(max(alone.p_value, _LEAST), 1 - _LEAST)))
    # The lead that belongs to a normal value, as this one's does to its own.
    unit = alone.lead / value if alone.lead * value > 0 else alone.standard_error
    adjusted = p_value(greatest, value) if tries.count > 1 else alone.p_value
    return JointTest(max(alone.p_value, adjusted), np.sort(greatest) * unit)


def _greatest_independent(tries: int, resamples: int) -> Floats:
    """[resamples], the greatest of `tries` independent standard normal values."""
    from scipy.special import ndtri_exp

    if not tries:
        return np.full(resamples, -np.inf)
    uniform = np.random.default_rng(_SEED).random(resamples)
    return np.asarray(ndtri_exp(np.log(uniform) / tries), np.float64)
