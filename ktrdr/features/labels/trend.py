"""The trend of the closes after a bar (López de Prado, Machine Learning for Asset Managers, ch. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts, Measured, measured, settled_after
from ktrdr.features.sources import source_series
from ktrdr.strategy.sections.labels import Trend

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]


class TrendLabel:
    """Measures the t-value of the slope of the least-squares line through ln(close) of bars t to t + horizon."""

    type = "trend"

    def measure(self, spec: Trend, bars: pl.DataFrame) -> Measured:
        path = np.log(source_series(bars, "close"))
        values = np.full(len(path), np.nan)
        slopes = slope_t_values(path, spec.horizon + 1)
        values[: len(slopes)] = slopes
        return measured(values, settled_after(spec.horizon, len(path)))

    def cuts(self, spec: Trend, training_values: Series) -> Cuts:
        return Cuts(-spec.t_value if spec.t_value else None, spec.t_value)

    def class_names(self, spec: Trend) -> tuple[str, ...]:
        return ("down", "flat", "up") if spec.t_value else ("down", "up")


def slope_t_values(series: Series, points: int) -> Series:
    """t-values of the least-squares slope through every `points` consecutive values; 0 where all are equal.

    t = r sqrt((n - 2) / (1 - r^2)), r being the correlation of value and row. 1 - r^2 is at least n times the machine
    epsilon, so that a perfect fit has a finite t-value.
    """
    first, second, crossed, start = _window_sums(series, points)
    spread = second - first**2 / points  # sum of squared deviations from the mean
    slope = crossed - (start + (points - 1) / 2) * first
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = slope / np.sqrt(spread * (points * (points**2 - 1) / 12))
    unexplained = np.maximum(1 - correlation**2, points * np.finfo(np.float64).eps)
    return np.where(spread <= 0, 0.0, correlation * np.sqrt((points - 2) / unexplained))


def _window_sums(series: Series, points: int) -> tuple[Series, Series, Series, NDArray[np.int64]]:
    """[windows], the sums of u, u^2 and x u in each window, and x at its first row.

    u is the value minus an anchor row's value, and x the row minus the anchor row. Anchors are `points` rows apart, so
    every window holds one, and the sums run from it to both sides. This avoids the cancellation of prefix sums over the
    whole series, and no window depends on rows after it.
    """
    windows = max(0, len(series) - points + 1)
    blocks = np.full((len(series) // points + 1, points), np.nan)
    blocks.ravel()[: len(series)] = series
    x = np.arange(points)
    from_anchor = _terms(blocks - blocks[:, :1], x)
    to_anchor = _terms(blocks - np.roll(blocks[:, :1], -1), x - points)  # the anchor of the next block
    sums = []
    for after, before in zip(from_anchor, to_anchor, strict=True):
        ahead = np.cumsum(after, axis=1)
        behind = np.cumsum(before[:, ::-1], axis=1)[:, ::-1]
        behind[:, 0] = 0  # such a window begins with its anchor
        sums.append(behind.ravel()[:windows] + ahead.ravel()[points - 1 : points - 1 + windows])
    return sums[0], sums[1], sums[2], -(-np.arange(windows) % points)


def _terms(u: Series, x: NDArray[np.int64]) -> tuple[Series, Series, Series]:
    return u, u**2, x * u
