"""Whether the close ahead is higher or lower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts, Measured, ahead, measured, settled_after
from ktrdr.features.sources import source_series
from ktrdr.strategy.sections.labels import Direction

if TYPE_CHECKING:
    import polars as pl


class DirectionLabel:
    """Measures close[t + horizon] / close[t] - 1. Without a flat class an unchanged close is down."""

    type = "direction"

    def measure(self, spec: Direction, bars: pl.DataFrame) -> Measured:
        close = source_series(bars, "close")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            moves = ahead(close, spec.horizon) / close - 1
        return measured(moves, settled_after(spec.horizon, len(close)))

    def cuts(self, spec: Direction, training_values: NDArray[np.float64]) -> Cuts:
        if spec.quantiles is not None:
            *low, high = np.quantile(training_values, spec.quantiles).tolist()
            return Cuts(low[0] if low else None, high)
        return Cuts(-spec.threshold if spec.threshold else None, spec.threshold)

    def class_names(self, spec: Direction) -> tuple[str, ...]:
        has_flat = len(spec.quantiles) == 2 if spec.quantiles is not None else spec.threshold > 0
        return ("down", "flat", "up") if has_flat else ("down", "up")
