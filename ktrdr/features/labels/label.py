"""The port of labels: what a model learns to tell of a bar from the bars after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Spec = TypeVar("Spec", contravariant=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """One symbol, every bar: what was measured from it on, and the row of the bar whose close settled it.

    Where no bar settles it, because the bars end before or there is nothing to measure it with, `values` is NaN and
    `settled` -1. Elsewhere row < settled <= row + horizon, and no bar after `settled` has a say in the value.
    """

    values: NDArray[np.float64]
    settled: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.settled >= 0

    def newest_settled(self) -> NDArray[np.int64]:
        """For each bar the newest row whose label its close, or an earlier one, has settled; -1 where there is none."""
        newest = np.full(len(self.settled), -1, np.int64)
        known = np.flatnonzero(self.known)
        np.maximum.at(newest, self.settled[known], known)
        return np.maximum.accumulate(newest)


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where classes end: above `high` lies the last, below `low` the first; without `low` there are two."""

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


class Label(Protocol[Spec]):
    """One type of label; stateless. `spec` is the strategy's section `labels`, of this type."""

    @property
    def type(self) -> str: ...

    def measure(self, spec: Spec, bars: pl.DataFrame) -> Measured:
        """Of every bar of one symbol, in its order."""

    def cuts(self, spec: Spec, training_values: NDArray[np.float64]) -> Cuts | None:
        """Where the classes end, by known values of the training part alone; None when values are the target."""

    def class_names(self, spec: Spec) -> tuple[str, ...]:
        """In the order of their indices, as many as `cuts` makes; none when values are the target."""


def measured(values: NDArray[np.float64], settled: NDArray[np.int64]) -> Measured:
    """Values that are not finite count as unknown."""
    known = np.isfinite(values) & (settled >= 0)
    return Measured(np.where(known, values, np.nan), np.where(known, settled, -1))


def settled_after(horizon: int, rows: int) -> NDArray[np.int64]:
    """The row `horizon` bars after each, or -1 where the bars end before it."""
    ahead = np.arange(horizon, rows + horizon, dtype=np.int64)
    return np.where(ahead < rows, ahead, -1)


def ahead(series: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """The series `horizon` rows later, NaN where it ends before."""
    later = np.full(len(series), np.nan)
    later[: max(0, len(series) - horizon)] = series[horizon:]
    return later
