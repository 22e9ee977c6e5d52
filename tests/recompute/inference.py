"""Standard errors, p-values and intervals of samples that depend on each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import interp1d
from scipy.stats import norm
from scipy.stats import t as student

Floats = np.ndarray[Any, np.dtype[np.float64]]
Figures = dict[str, Any]

# Kiefer and Vogelsang (2005), table 1, Bartlett's weights: polynomials in b by the normal quantile of the level. That
# of 3.2905 is no published one.
POLYNOMIALS = {
    0.0: (0.0, 0.0, 0.0),
    1.2816: (1.3040, 0.5135, -0.3386),
    1.6449: (2.1859, 0.3142, -0.3427),
    1.9600: (2.9694, 0.4160, -0.5324),
    2.3263: (4.1618, 0.5368, -0.9060),
    3.2905: (9.1020, -0.7250, -1.4960),
}


@dataclass(frozen=True)
class Dependence:
    """Of the rows of a table: the instant of each, how many instants correlated ones are apart, and a label's span."""

    instants: pd.Series
    lag: int
    span: float = 1.0
    amplification: float = 1.0

    @property
    def count(self) -> int:
        return int(self.instants.nunique())

    @property
    def b(self) -> float:
        return (self.lag + 1) / self.count

    @property
    def bias(self) -> float:
        """Of a variance about the mean, when true autocorrelations are short."""
        return 1 - self.b + self.b**2 / 3

    def sums(self, values: Floats) -> Floats:
        return np.asarray(pd.Series(values).groupby(self.instants.to_numpy()).sum().sort_index(), float)


def of_rows(table: pd.DataFrame) -> Dependence:
    """Labels over h bars are correlated over h - 1 of them, by 1 - k / h; Bartlett's weights see a part of that."""
    instants = table["timestamp"].nunique()
    density, span = instants / table.groupby("symbol").size().max(), float(table["span"].mean())
    lag = min(instants - 1, math.ceil((span - 1) * density))
    shared = {k: float((1 - k / table["span"]).clip(lower=0).mean()) for k in range(1, table["span"].max())}
    seen = sum(correlation * max(0.0, 1 - k * density / (lag + 1)) for k, correlation in shared.items())
    return Dependence(table["timestamp"], lag, max(1.0, span * density), sum(shared.values()) / seen if seen else 1.0)


def of_bars(count: int) -> Dependence:
    """Newey and West (1994)."""
    return Dependence(pd.Series(range(count)), min(count - 1, int(4 * (count / 100) ** (2 / 9))))


def centred(values: Floats) -> Floats:
    own = values - values.mean()
    return own if abs(own).max() > 1e-12 * abs(values).max() else np.zeros(len(values))


def long_run_variance(values: Floats, rows: Dependence) -> float:
    """Of the sum, about the mean; what neighbours add is amplified."""
    sums = rows.sums(centred(values))
    more = added(sums, rows.lag)
    return float(sums @ sums) + more * (rows.amplification if more > 0 else 1.0)


def added(sums: Floats, lag: int) -> float:
    """Sum over 0 < |k| <= lag of (1 - |k| / (lag + 1)) times the sum of products k apart."""
    return 2 * sum((1 - k / (lag + 1)) * float(sums[k:] @ sums[:-k]) for k in range(1, lag + 1))


def critical(level: float, b: float) -> float:
    normal, exceeded = _scale(b)
    return float(interp1d(normal, exceeded, fill_value="extrapolate")(norm.isf(level)))


def as_normal(t_value: float, b: float) -> float:
    normal, exceeded = _scale(b)
    return math.copysign(float(interp1d(exceeded, normal, fill_value="extrapolate")(abs(t_value))), t_value)


def _scale(b: float) -> tuple[list[float], list[float]]:
    """Normal quantiles, and the t-values that are exceeded as rarely."""
    return list(POLYNOMIALS), [z + one * b + two * b**2 + three * b**3 for z, (one, two, three) in POLYNOMIALS.items()]


def lead(gains: Floats, rows: Dependence) -> Figures:
    """The mean of `gains`, its error, its one-sided p-value and its interval of 95 %.

    The p-value is the largest of fixed-b's, of Student's for the independent occasions, and of a coin's for all.
    """
    mean, sums = float(gains.mean()), rows.sums(gains)
    variance, squares = long_run_variance(gains, rows), sums**2
    spread = centred(sums)
    occasions = float(squares.sum() ** 2 / (squares**2).sum()) if squares.any() else 0.0
    independent = float(spread @ spread)
    clustered = max(1.0, (independent + added(spread, rows.lag)) / independent if independent else rows.span)
    error = math.sqrt(variance) / len(gains)
    if not error:
        error = abs(mean) / math.sqrt(max(1.0, occasions / clustered))
    freedom = max(1.0, occasions / clustered - 1)
    reach = error * max(critical(0.025, rows.b), float(student.isf(0.025, freedom)))
    tail = 0.5
    if error:
        size = abs(mean) / error
        coin = min(0.5, 0.5**occasions)
        tail = max(float(norm.sf(as_normal(size, rows.b))), float(student.sf(size, freedom)), coin)
    return {
        "lead": mean,
        "standard_error": error,
        "p_value": tail if mean >= 0 else 1 - tail,
        "interval": [mean - reach, mean + reach],
    }


def inflation(values: Floats, rows: Dependence) -> float:
    """How many values weigh as much as one; two outcomes' worth of weight belongs to the labels' overlap."""
    own = centred(values)
    independent = float((own**2).sum())
    rare = independent / float((own**2).max()) if independent else 0.0
    observed = long_run_variance(values, rows) / rows.bias / independent if independent else 1.0
    overlap = len(values) * rows.span / rows.count
    return max(1.0, (rare * observed + 2 * overlap) / (rare + 2))


def accuracy_interval(hits: Floats, rows: Dependence) -> tuple[int, list[float]]:
    """Effective samples, and the two shares at which so many lie one critical value of the score away (Wilson)."""
    count, share = max(1, round(len(hits) / inflation(hits, rows))), float(hits.mean())
    square = critical(0.025, rows.b) ** 2 * rows.bias / count
    # (share - p)^2 = square * p (1 - p), a quadratic equation of p.
    ends = np.roots([1 + square, -2 * share - square, share**2])
    return count, [max(0.0, float(min(ends.real))), min(1.0, float(max(ends.real)))]


def correlation_t(one: Floats, two: Floats, rows: Dependence) -> float | None:
    if varies(one) and varies(two):
        products = (one - one.mean()) / one.std() * (two - two.mean()) / two.std()
        return as_normal(float(products.sum()) / math.sqrt(long_run_variance(products, rows)), rows.b)
    return None


def varies(values: Floats) -> bool:
    return bool(values.std() > 1e-12 * abs(values).max())


def class_agreement(table: pd.DataFrame, classes: Sequence[str], predicted: str = "model") -> Floats:
    """[rows], products of what label and prediction deviate from their shares, over all classes (1992, 2009)."""
    products = np.zeros(len(table))
    for name in classes:
        products += _deviations(table, table["label"] == name) * _deviations(table, table[predicted] == name)
    return products


def number_agreement(table: pd.DataFrame, predicted: str = "model") -> Floats:
    one, two = _deviations(table, table["label"]), _deviations(table, table[predicted])
    return one * two / (one.std() * two.std()) if one.std() * two.std() > 0 else np.zeros(len(table))


def _deviations(table: pd.DataFrame, values: pd.Series) -> Floats:
    """From the mean of the same symbol in the same fold."""
    own = values.astype(float)
    deviations = own - own.groupby([table["symbol"], table["fold"]]).transform("mean")
    return np.where(abs(deviations) > 1e-12 * abs(own).max(), deviations, 0.0)


def sharpe(returns: Floats, yearly: float) -> Figures:
    """The annual ratio, its error (Mertens 2002; what each return adds, by Newey and West) and its interval."""
    mean, deviation, rows = returns.mean(), returns.std(ddof=1), of_bars(len(returns))
    z = (returns - mean) / deviation
    influence = z - mean / deviation / 2 * (z**2 - 1)
    ratio = float(mean / deviation * math.sqrt(yearly))
    error = math.sqrt(long_run_variance(influence, rows) * yearly) / len(returns)
    reach = error * critical(0.025, rows.b)
    return {"sharpe": ratio, "sharpe_standard_error": error, "sharpe_interval": [ratio - reach, ratio + reach]}
