"""The return ahead, as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Measured, ahead, measured, settled_after
from ktrdr.features.sources import source_series
from ktrdr.strategy.sections.labels import ForwardReturn

if TYPE_CHECKING:
    import polars as pl


class ForwardReturnLabel:
    """Measures ln(close[t + horizon] / close[t]), which is the target."""

    type = "forward_return"

    def measure(self, spec: ForwardReturn, bars: pl.DataFrame) -> Measured:
        close = source_series(bars, "close")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            returns = np.log(ahead(close, spec.horizon) / close)
        return measured(returns, settled_after(spec.horizon, len(close)))

    def cuts(self, spec: ForwardReturn, training_values: NDArray[np.float64]) -> None:
        return None

    def class_names(self, spec: ForwardReturn) -> tuple[str, ...]:
        return ()
