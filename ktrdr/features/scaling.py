"""Scales features with statistics of training rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["standard", "robust", "none"]


@dataclass(frozen=True, slots=True)
class Scaler:
    """Scales each feature to (value - center) / scale.

    method: how center and scale were fitted
    center: [features], in the feature's unit
    scale: [features], in the feature's unit; 1 for a constant feature
    """

    method: Method
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def transform(self, values: NDArray[np.float64], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Scale [rows, features] to float32, column by column, which avoids a second float64 matrix.

        The result is `out`, where that is given.
        """
        scaled = np.empty(values.shape, np.float32) if out is None else out
        with np.errstate(over="ignore"):
            for column in range(values.shape[1]):
                scaled[:, column] = (values[:, column] - self.center[column]) / self.scale[column]
        return scaled

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaler:
        return cls(data["method"], np.asarray(data["center"], np.float64), np.asarray(data["scale"], np.float64))


def fit_scaler(method: Method, rows: NDArray[np.float64]) -> Scaler:
    """Fit on [rows, features].

    standard: mean and standard deviation (ddof = 0); robust: median and interquartile range; none: 0 and 1.
    """
    features = rows.shape[1]
    if method == "none":
        return Scaler(method, np.zeros(features), np.ones(features))
    # A column whose numbers stand together takes half of the time.
    fitted = [_center_and_scale(method, np.ascontiguousarray(rows[:, column])) for column in range(features)]
    return Scaler(method, np.array([center for center, _ in fitted]), np.array([scale for _, scale in fitted]))


def _center_and_scale(method: Method, values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(values.std())
        if method == "standard":
            center, scale = float(values.mean()), deviation
        else:
            first, center, third = (float(value) for value in np.percentile(values, (25, 50, 75)))
            # The interquartile range is zero where one value dominates, as with candlestick patterns.
            scale = third - first if third > first else deviation
    # Rounding leaves a constant feature with a deviation near zero, which must not be divided by.
    is_constant = high - low <= 1e-12 * max(abs(low), abs(high))
    return center, 1.0 if is_constant else scale
