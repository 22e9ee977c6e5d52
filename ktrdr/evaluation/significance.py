"""Whether a lead over a baseline is more than chance, and how to say so in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ktrdr.features.dataset import Part

Floats = NDArray[np.float64]

TEST_LEVEL = 0.05
# The epoch with the lowest loss on these rows was chosen, so luck had several tries: docs/evaluation.md.
VALIDATION_LEVEL = 0.025


class Lead(TypedDict):
    """How much better the model is, a sample; `standard_error` is that of no lead at all, `p_value` one-sided."""

    lead: float
    standard_error: float
    p_value: float


class Significance(TypedDict):
    """`effective_samples`: as many independent ones would tell the share of hits as precisely."""

    beats_baselines: bool
    level: float
    effective_samples: int
    against: dict[str, Lead]


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

        Labels that overlap over `span` bars are correlated over `span - 1`, falling to nought; Bartlett's weights fall
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
        """Of the sum of `values` [samples], taken to have mean nought (Newey and West 1987, clustered by instant).

        Bartlett's weighted autocovariances are the mean square of sums over moving blocks of `lag + 1` instants.
        """
        sums = np.bincount(self.instant, weights=values, minlength=self.instants)
        block, margin = self.lag + 1, np.zeros(self.lag)
        running = np.cumsum(np.concatenate([[0.0], margin, sums, margin]))
        blocks = running[block:] - running[:-block]
        return float(blocks @ blocks) / block

    def t_value(self, values: Floats) -> float:
        """Sum over its standard error under the null of mean nought; without overlap and with gains of -1, 0 and 1
        that is McNemar's test. Nought where nothing varies."""
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


def judge(
    hits: Floats,
    model: Floats,
    naive: Mapping[str, Floats],
    yardstick: Mapping[str, Floats],
    sampling: Sampling,
    level: float,
) -> Significance:
    """Qualities [samples] of the model and of its rivals; the model must beat each naive one on its own."""
    against = {name: lead_over(model, rival, sampling) for name, rival in {**naive, **yardstick}.items()}
    return Significance(
        beats_baselines=all(against[name]["p_value"] < level for name in naive),
        level=level,
        effective_samples=sampling.effective_samples(hits),
        against=against,
    )
