"""The port of labels: what a model learns to predict about the bars after a bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Spec = TypeVar("Spec", contravariant=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """The label measures of every bar of one symbol.

    values: [bars], NaN where unknown
    settled: [bars], row of the bar whose close settles the value; -1 where unknown

    A value is unknown where the bars end too early or it is undefined. Elsewhere row < settled <= row + horizon, and
    the value does not depend on bars after `settled`.
    """

    values: NDArray[np.float64]
    settled: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.settled >= 0

    def newest_settled(self) -> NDArray[np.int64]:
        """[bars], the newest row whose label is settled by each bar's close; -1 where there is none."""
        newest = np.full(len(self.settled), -1, np.int64)
        known = np.flatnonzero(self.known)
        np.maximum.at(newest, self.settled[known], known)
        return np.maximum.accumulate(newest)


@dataclass(frozen=True, slots=True)
class Cuts:
    """The borders between classes: the last lies above `high`, the first below `low`; without `low` there are two."""

    low: float | None
    high: float

    def classify(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Class index of each value; the values must be known."""
        above = (values > self.high).astype(np.int64)
        return above if self.low is None else above + (values >= self.low)

    def to_dict(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cuts:
        return cls(data["low"], data["high"])


Measure = Callable[[Any, "pl.DataFrame"], Measured]
"""Measures every bar of one symbol, as `Label.measure` does."""


class Label(Protocol[Spec]):
    """One type of label; stateless. `spec` is the strategy's section `labels`, of this type."""

    @property
    def type(self) -> str: ...

    def measure(self, spec: Spec, bars: pl.DataFrame) -> Measured:
        """Measure every bar of one symbol, in order."""

    def cuts(self, spec: Spec, training_values: NDArray[np.float64]) -> Cuts | None:
        """The class borders, from known values of the training part alone; None in a regression."""

    def class_names(self, spec: Spec) -> tuple[str, ...]:
        """Class names by index, as many as `cuts` makes; empty in a regression."""


def measured(values: NDArray[np.float64], settled: NDArray[np.int64]) -> Measured:
    """Make `Measured`; values that are not finite are unknown."""
    known = np.isfinite(values) & (settled >= 0)
    return Measured(np.where(known, values, np.nan), np.where(known, settled, -1))


def settled_after(horizon: int, rows: int) -> NDArray[np.int64]:
    """[rows], the row `horizon` bars later; -1 past the end."""
    ahead = np.arange(horizon, rows + horizon, dtype=np.int64)
    return np.where(ahead < rows, ahead, -1)


def ahead(series: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """[rows], the series `horizon` rows later; NaN past the end."""
    later = np.full(len(series), np.nan)
    later[: max(0, len(series) - horizon)] = series[horizon:]
    return later
