"""Whether a lead over a baseline is more than chance, and how to say so in words."""

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
# The epoch with the lowest loss on these rows was chosen, so luck had several tries: docs/evaluation.md.
VALIDATION_LEVEL = 0.025


Value = TypeVar("Value")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Rivals(Generic[Value]):
    """What stands beside the model, each with a value: a guess, its scores, the quality of its samples.

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
    """How the samples of a part hang together: symbols move together, and labels overlap over `lag` instants.

    `instant` [samples] counts the part's timestamps from 0.
    """

    instant: NDArray[np.int64]
    lag: int

    @classmethod
    def of(cls, part: Part) -> Sampling:
        """The lag is twice the longest label's span beyond its first bar.

        Labels that overlap over `span` bars are correlated over `span - 1`, falling to zero; Bartlett's weights fall
        too, and the two together would see two thirds of the variance: hence twice.
        """
        instants, instant = np.unique(part.timestamps, return_inverse=True)
        span = int((part.settled - part.rows).max())
        # Symbols whose bars open at other instants put more instants into the same span.
        density = len(instants) / int(np.bincount(part.symbols).max())
        return cls(instant.astype(np.int64), min(len(instants) - 1, 2 * math.ceil((span - 1) * density)))

    @property
    def instants(self) -> int:
        return int(self.instant.max()) + 1

    def variance(self, values: Floats) -> float:
        """Of the sum of `values` [samples], taken to have mean zero (Newey and West 1987, clustered by instant).

        Bartlett's weighted autocovariances are the mean square of sums over moving blocks of `lag + 1` instants.
        """
        sums = np.bincount(self.instant, weights=values, minlength=self.instants)
        block, margin = self.lag + 1, np.zeros(self.lag)
        running = np.cumsum(np.concatenate([[0.0], margin, sums, margin]))
        blocks = running[block:] - running[:-block]
        return float(blocks @ blocks) / block

    def t_value(self, values: Floats) -> float:
        """Sum over its standard error under the null of mean zero; without overlap and with gains of -1, 0 and 1
        that is McNemar's test. Zero where nothing varies."""
        variance = self.variance(values)
        return float(values.sum()) / math.sqrt(variance) if variance > 0 else 0.0

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `t_value`: the variance knows few blocks (Kiefer and Vogelsang 2005; Sun 2014)."""
        return max(1.0, min(self.instants - 1.0, 1.5 * self.instants / (self.lag + 1)))

    def effective_samples(self, hits: Floats) -> int:
        centred = hits - hits.mean()
        variance = self.variance(centred)
        independent = float(centred @ centred)
        return max(1, min(len(hits), round(len(hits) * independent / variance))) if variance > 0 else len(hits)


def lead_over(model: Floats, rival: Floats, sampling: Sampling) -> Lead:
    """Paired test of the samples' qualities (the higher the better): is the model's mean higher?"""
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
    """Whether the model beats each naive rival on its own.

    `hits` says which samples [samples] were predicted right; `model` and `rivals` hold the qualities of their samples.
    """
    against = {name: lead_over(model, quality, sampling) for name, quality in rivals.by_name.items()}
    return Significance(
        beats_baselines=all(against[name].p_value < level for name in rivals.naive),
        level=level,
        effective_samples=sampling.effective_samples(hits),
        against=against,
    )
