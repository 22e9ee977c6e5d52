"""How much the samples of a part depend on each other: symbols move together, and neighbouring labels overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import fixed_b

if TYPE_CHECKING:
    from ktrdr.features.dataset import Part

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Outcomes of the rarer kind after which their own dependence weighs as much as that of the labels' spans.
_PRIOR_OUTCOMES = 2.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """The dependence between samples.

    instant: [samples], the index of each sample's timestamp among the distinct timestamps
    lag: instants over which values may be correlated
    span: mean number of instants that a label spans
    amplification: what overlapping labels add to a variance, over the part of it that Bartlett's weights see
    is_series: whether sample i is the only one of instant i, so that nothing needs to be summed
    """

    instant: Integers
    lag: int
    span: float = 1.0
    amplification: float = 1.0
    is_series: bool = False

    @classmethod
    def of(cls, part: Part) -> Sampling:
        return cls.from_rows(part.timestamps, part.symbols, part.settled - part.rows)

    @classmethod
    def from_rows(cls, timestamps: NDArray[np.datetime64], symbols: Integers, spans: Integers) -> Sampling:
        """Rows in any order, of one part or of several; `spans` [samples] are the bars that each label spans.

        The lag is `span` - 1 bars, where `span` is the mean label's: labels over so many bars are correlated up to it.
        With barriers spans differ, and the longest of them says little about the others.
        """
        instants, instant = np.unique(timestamps, return_inverse=True)
        # Symbols whose bars open at different instants put more instants into the same span of bars.
        density = len(instants) / int(np.bincount(symbols).max())
        span = float(spans.mean())
        lag = min(len(instants) - 1, math.ceil((span - 1) * density))
        return cls(instant.astype(np.int64), lag, max(1.0, span * density), _amplification(spans, (lag + 1) / density))

    @property
    def bias(self) -> float:
        """The mean of `variance` as a share of the true one: about 1 - b + b^2 / 3, as it is taken about the mean."""
        return 1 - self.b + self.b**2 / 3

    def unbiased_critical_value(self, level: float) -> float:
        """The t-value that is exceeded with probability `level`, of a variance that was divided by `bias`."""
        return fixed_b.critical_value(level, self.b) * math.sqrt(self.bias)

    def of_rows(self, rows: NDArray[np.bool_] | slice) -> Sampling:
        """The same dependence between some of the samples."""
        return replace(self, instant=self.instant[rows], is_series=False)

    @property
    def instants(self) -> int:
        return len(self.instant) if self.is_series else int(self.instant.max()) + 1

    @property
    def b(self) -> float:
        """The share of the instants that Bartlett's weights reach over."""
        return (self.lag + 1) / self.instants

    def sums(self, values: Floats) -> Floats:
        """[instants], sums of `values` [samples]."""
        if self.is_series:
            return values
        return np.asarray(np.bincount(self.instant, weights=values, minlength=self.instants), np.float64)

    def variance(self, values: Floats) -> float:
        """Variance of the sum of `values` [samples] (Newey and West 1987, clustered by instant).

        What neighbours add to the variance of independent instants is amplified.
        """
        sums = self.sums(centre(values))
        seen = self._weighted_variance(sums)
        if self.amplification == 1:
            return seen
        return seen + (self.amplification - 1) * max(0.0, seen - float(sums @ sums))

    def _weighted_variance(self, sums: Floats) -> float:
        """Sum over |k| <= lag of (1 - |k| / (lag + 1)) * autocovariance(k) of `sums` [instants], whose mean is zero.

        With Bartlett's weights that equals the sum of squares of moving sums over lag + 1 instants, over lag + 1.
        """
        block, end = self.lag + 1, self.lag + 1 + len(sums)
        running = np.empty(end + self.lag)
        running[:block] = 0
        np.cumsum(sums, out=running[block:end])
        running[end:] = running[end - 1]
        blocks = running[block:] - running[:-block]
        return float(blocks @ blocks) / block

    def normal_value(self, values: Floats) -> float:
        """The sum over its standard error, as the standard normal value that is as rare; zero where nothing varies."""
        variance = self.variance(values)
        return fixed_b.normal_value(float(values.sum()) / math.sqrt(variance), self.b) if variance > 0 else 0.0

    def inflation(self, values: Floats) -> float:
        """How many times the variance of the sum exceeds that of as many independent `values` [samples]; at least 1.

        Alike values show no dependence, and few of the rarer kind show little of it. So two outcomes' worth of weight
        belongs to the dependence of overlapping labels of symbols that move together, samples / (instants / span).
        """
        centred = centre(values)
        independent = float(centred @ centred)
        observed = self.variance(values) / self.bias / independent if independent > 0 else 1.0
        rare = independent / float(np.max(centred**2)) if independent > 0 else 0.0
        assumed = len(values) * self.span / self.instants
        return max(1.0, (rare * observed + _PRIOR_OUTCOMES * assumed) / (rare + _PRIOR_OUTCOMES))

    def effective_samples(self, hits: Floats) -> int:
        """Independent samples that would estimate the mean of `hits` [samples] as precisely."""
        return max(1, round(len(hits) / self.inflation(hits)))

    def occasions(self, gains: Floats) -> float:
        """Instants with a gain or a loss, as (sum g^2)^2 / sum g^4: their count where all are of one size."""
        squares = self.sums(gains) ** 2
        return float(squares.sum()) ** 2 / float(squares @ squares) if squares.any() else 0.0

    def variance_and_clustering(self, gains: Floats) -> tuple[float, float]:
        """`variance`, and how many neighbouring occasions weigh as much as one independent occasion; at least 1."""
        sums = centre(self.sums(gains))
        weighted, independent = self._weighted_variance(sums), float(sums @ sums)
        clustering = max(1.0, weighted / independent if independent > 0 else self.span)
        return weighted if self.is_series else self.variance(gains), clustering


def _amplification(spans: Integers, reach: float) -> float:
    """What correlations of overlapping labels add to a variance, over what Bartlett's weights see of it.

    Labels over d bars are correlated by 1 - k / d at a lag of k bars. Weights that fall to zero over as many bars,
    their `reach`, see two thirds of that, and less where spans differ.
    """
    labels = np.bincount(spans)[1:]
    bars = np.arange(1, len(labels) + 1)
    # Sums over the labels that span k bars or more.
    longer, inverse = (np.cumsum(each[::-1])[::-1] for each in (labels, labels / bars))
    correlations = longer - bars * inverse
    seen = float(correlations @ np.maximum(1 - bars / reach, 0.0))
    return float(correlations.sum()) / seen if seen else 1.0


def centre(values: Floats) -> Floats:
    """`values` minus their mean; zeros where they differ from it by rounding errors only."""
    mean, low, high = values.mean(), values.min(), values.max()
    if max(high - mean, mean - low) > 1e-12 * max(high, -low):
        return np.asarray(values - mean, np.float64)
    return np.zeros_like(values)


def largest_size(values: Floats) -> float:
    """The largest size of a value; zero where there are none."""
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))


def within(values: Floats, symbols: Integers) -> Floats:
    """`values` minus the mean of their symbol; zero where they differ from it by rounding errors only."""
    counts = np.maximum(np.bincount(symbols), 1)
    deviations = values - (np.bincount(symbols, weights=values) / counts)[symbols]
    largest = np.zeros(len(counts))
    np.maximum.at(largest, symbols, np.abs(deviations))
    return np.where(largest[symbols] > 1e-12 * largest_size(values), deviations, 0.0)
