"""How good each prediction of a part is, and what its rivals' are: all that a test of the model needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.sampling import Sampling

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The scored samples of one part, or of several that were predicted by different models.

    Every array is [samples], in any order:

    timestamps: opening instants (us, UTC) of the windows' last bars
    symbols: index of the sample's symbol
    spans: bars that the sample's label spans
    hits: 1 where the class or the sign is right, else 0
    quality: quality of the model's prediction; higher is better
    rivals: quality of each rival's prediction
    agreement: `timing.class_agreement` or `timing.number_agreement` of the part's predictions and outcomes
    """

    timestamps: NDArray[np.datetime64]
    symbols: Integers
    spans: Integers
    hits: Floats
    quality: Floats
    rivals: Rivals[Floats]
    agreement: Floats

    def only(self, own: NDArray[np.bool_]) -> ScoredRows:
        """The rows for which `own` [samples] is true."""
        return ScoredRows(
            timestamps=self.timestamps[own],
            symbols=self.symbols[own],
            spans=self.spans[own],
            hits=self.hits[own],
            quality=self.quality[own],
            rivals=self.rivals.map(lambda quality: quality[own]),
            agreement=self.agreement[own],
        )

    @property
    def sampling(self) -> Sampling:
        return Sampling.from_rows(self.timestamps, self.symbols, self.spans)
