"""The stationary bootstrap of many series at once: one matrix product of weights and series.

Politis and Romano (1994, The Stationary Bootstrap): a resample is a chain of blocks of random beginnings and geometric
lengths. Its means depend only on how often it draws each instant.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.one_thread import one_thread

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

RESAMPLES = 2_000
# Longer series are added up over neighbouring instants, so that time and memory do not grow with them.
MAX_INSTANTS = 2_000
# Limits the memory for drawing weights.
_RESAMPLES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Resampled:
    """The mean of each look, and how far it deviates from that in resamples of the same instants.

    means: [looks]
    deviations: [resamples, looks]
    instants: how many were resampled
    """

    means: Floats
    deviations: Singles
    instants: int

    @property
    def spread(self) -> Floats:
        """[looks], the standard error of each mean."""
        return np.sqrt(np.mean(self.deviations**2, axis=0, dtype=np.float64))

    def studentized(self) -> Resampled:
        """Means and deviations in standard errors; zero where a look never varies."""
        spread = self.spread
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        return Resampled(self.means * scale, self.deviations * scale.astype(np.float32), self.instants)


def resample(sums: Floats, counts: Floats, block: float, resamples: int = RESAMPLES) -> Resampled:
    """Resample the instants of all looks together, so that looks stay as alike as they are.

    sums: [instants, looks], the sum over the samples of each instant; NaN where a look has no row
    counts: [instants, looks], how many samples that is; NaN or zero where a look has no row
    block: mean length of a block, in instants

    The same instants and block always have the same resamples, whichever looks there are. Another look can therefore
    only make the greatest mean of a resample greater.
    """
    sums, counts = np.nan_to_num(sums), np.nan_to_num(counts)
    samples = np.maximum(counts.sum(axis=0), 1)
    means = sums.sum(axis=0) / samples
    # To first order a ratio of sums deviates by the sum of what each instant deviates from the mean.
    influences = _without_rounding(sums - means * counts, sums) / samples
    stride = math.ceil(len(sums) / MAX_INSTANTS)
    influences = np.add.reduceat(influences, np.arange(0, len(sums), stride))
    weights = stationary_weights(len(influences), max(1.0, block / stride), resamples)
    return Resampled(means, resampled_sums(influences, weights), len(sums))


def _without_rounding(deviations: Floats, values: Floats) -> Floats:
    """`deviations` [instants, looks]; zeros for a look that deviates by rounding errors only."""
    is_real = np.abs(deviations).max(axis=0) > 1e-12 * np.abs(values).max(axis=0)
    return np.where(is_real, deviations, 0.0)


def resampled_sums(series: Floats, weights: Singles) -> Singles:
    """[resamples, looks], sums of `series` [instants, looks] in resamples by `weights` [resamples, instants]."""
    with one_thread():
        return np.asarray(weights @ np.ascontiguousarray(series, np.float32), np.float32)


@lru_cache(maxsize=2)
def stationary_weights(instants: int, block: float, resamples: int = RESAMPLES) -> Singles:
    """[resamples, instants], how often each resample draws each instant; `block` is the mean length of a block."""
    random = np.random.default_rng(_seed(instants, block))
    weights = np.empty((resamples, instants), np.float32)
    for first in range(0, resamples, _RESAMPLES_AT_ONCE):
        some = weights[first : first + _RESAMPLES_AT_ONCE]
        some[:] = _draw_weights(instants, block, len(some), random)
    weights.flags.writeable = False
    return weights


def _seed(instants: int, block: float) -> int:
    digest = hashlib.sha256(f"{instants} instants in blocks of {block:.6g}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _draw_weights(instants: int, block: float, resamples: int, random: np.random.Generator) -> NDArray[np.int64]:
    begins = random.random((resamples, instants), np.float32) < 1 / block
    begins[:, 0] = True
    places = np.flatnonzero(begins)
    lengths = np.diff(places, append=begins.size)
    # A block covers the instants from its first on. What reaches beyond the last instant is wrapped.
    width = 2 * instants
    firsts = places // instants * width + random.integers(0, instants, len(places))
    changes = np.bincount(firsts, minlength=resamples * width) - np.bincount(
        firsts + lengths, minlength=resamples * width
    )
    covered = np.cumsum(changes.reshape(resamples, width), axis=1)
    return np.asarray(covered[:, :instants] + covered[:, instants:], np.int64)
