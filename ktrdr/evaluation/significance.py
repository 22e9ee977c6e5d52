"""Tests whether a lead over a baseline is more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ktrdr.payloads.evaluation import Lead, Significance

if TYPE_CHECKING:
    from ktrdr.features.dataset import Part

Floats = NDArray[np.float64]

CONTROL = "shuffled_control"

TEST_LEVEL = 0.05
# Stricter, because the best epoch was selected on these same rows: docs/evaluation.md.
VALIDATION_LEVEL = 0.025


Value = TypeVar("Value")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Rivals(Generic[Value]):
    """The models that the trained one is compared with, and one value for each: predictions, scores or qualities.

    naive: guesses that need no training; the model must beat every one of them
    yardstick: a linear model of the same features
    control: the same model trained on shuffled labels, where the strategy asks for one
    """

    naive: Mapping[str, Value]
    yardstick: Mapping[str, Value] = field(default_factory=dict)
    control: Value | None = None

    @property
    def by_name(self) -> dict[str, Value]:
        control = {} if self.control is None else {CONTROL: self.control}
        return {**self.naive, **self.yardstick, **control}

    def map(self, function: Callable[[Value], Other]) -> Rivals[Other]:
        return Rivals(
            {name: function(value) for name, value in self.naive.items()},
            {name: function(value) for name, value in self.yardstick.items()},
            None if self.control is None else function(self.control),
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """The dependence between the samples of a part: symbols move together, and neighbouring labels overlap.

    instant: [samples], the index of each sample's timestamp among the part's distinct timestamps
    lag: instants over which gains may be correlated
    """

    instant: NDArray[np.int64]
    lag: int

    @classmethod
    def of(cls, part: Part) -> Sampling:
        """The lag is 2 (span - 1) bars, where `span` is that of the longest label.

        Labels over `span` bars are correlated at lags up to `span - 1`, by 1 - k / span at lag k. Bartlett's weights
        with a lag of one span fall at the same rate, so together they would cover two thirds of the variance. A lag of
        two spans covers five sixths.
        """
        instants, instant = np.unique(part.timestamps, return_inverse=True)
        span = int((part.settled - part.rows).max())
        # Symbols whose bars open at different instants put more instants into the same span of bars.
        density = len(instants) / int(np.bincount(part.symbols).max())
        return cls(instant.astype(np.int64), min(len(instants) - 1, 2 * math.ceil((span - 1) * density)))

    @property
    def instants(self) -> int:
        return int(self.instant.max()) + 1

    def variance(self, values: Floats) -> float:
        """Variance of the sum of `values` [samples] under a mean of zero (Newey and West 1987, clustered by instant).

        Sum over |k| <= lag of (1 - |k| / (lag + 1)) * autocovariance(k). With Bartlett's weights that equals the sum of
        squares of moving sums over lag + 1 instants, divided by lag + 1.
        """
        sums = np.bincount(self.instant, weights=values, minlength=self.instants)
        block, margin = self.lag + 1, np.zeros(self.lag)
        running = np.cumsum(np.concatenate([[0.0], margin, sums, margin]))
        blocks = running[block:] - running[:-block]
        return float(blocks @ blocks) / block

    def t_value(self, values: Floats) -> float:
        """The sum divided by its standard error under a mean of zero; zero where the variance is zero.

        Without overlap, and with gains of -1, 0 and 1, this is McNemar's test.
        """
        variance = self.variance(values)
        return float(values.sum()) / math.sqrt(variance) if variance > 0 else 0.0

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `t_value`: 1.5 T / (lag + 1), as the variance comes from few blocks.

        Kiefer and Vogelsang 2005; Sun 2014.
        """
        return max(1.0, min(self.instants - 1.0, 1.5 * self.instants / (self.lag + 1)))

    def effective_samples(self, hits: Floats) -> int:
        """Independent samples that would estimate the mean of `hits` [samples] as precisely."""
        centred = hits - hits.mean()
        variance = self.variance(centred)
        independent = float(centred @ centred)
        return max(1, min(len(hits), round(len(hits) * independent / variance))) if variance > 0 else len(hits)


def lead_over(model: Floats, rival: Floats, sampling: Sampling) -> Lead:
    """One-sided paired test of whether the model's mean quality is higher; qualities are [samples]."""
    from scipy.special import stdtr

    gains = model - rival
    return Lead(
        lead=float(gains.mean()),
        standard_error=math.sqrt(sampling.variance(gains)) / len(gains),
        p_value=float(stdtr(sampling.freedom, -sampling.t_value(gains))),
    )


def measure_significance(
    hits: Floats, model: Floats, rivals: Rivals[Floats], sampling: Sampling, level: float
) -> Significance:
    """Test the model against every rival; it must beat each naive one by itself.

    hits: [samples], 1 where the model is right, else 0
    model, rivals: [samples], quality of each prediction; higher is better
    """
    against = {name: lead_over(model, quality, sampling) for name, quality in rivals.by_name.items()}
    return Significance(
        beats_baselines=all(against[name].p_value < level for name in rivals.naive),
        level=level,
        effective_samples=sampling.effective_samples(hits),
        against=against,
    )
