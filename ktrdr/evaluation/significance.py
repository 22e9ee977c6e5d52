"""Tests whether a lead over a baseline is more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import fixed_b
from ktrdr.evaluation.metrics import wilson_interval
from ktrdr.evaluation.sampling import Sampling
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.payloads.evaluation import Difference, Lead, Significance

Floats = NDArray[np.float64]

# Of all openings of the same test rows together.
TEST_LEVEL = 0.05
# Stricter, because the best epoch was selected on these same rows: docs/evaluation.md.
VALIDATION_LEVEL = 0.025
# Intervals have a confidence of 95 %.
INTERVAL_LEVEL = 0.05


def opening_level(number: int) -> float:
    """The significance level of opening `number`, counted from 1, of the same test rows.

    0.05 (1/2 + 1/4 + ...) = 0.05 bounds the probability of any false claim, however many openings follow (Bonferroni).
    """
    return TEST_LEVEL * 2.0**-number


def lead_over(model: Floats, rival: Floats, sampling: Sampling) -> Lead:
    """One-sided paired test of whether the model's mean quality is higher; qualities are [samples]."""
    return lead_from_gains(model - rival, sampling)


def lead_from_gains(gains: Floats, sampling: Sampling) -> Lead:
    """One-sided test of whether the mean of `gains` [samples] is above zero.

    The rows may come from several parts, in any order; `Sampling.from_rows` describes them. Without overlap, and with
    gains of -1, 0 and 1, the test is close to McNemar's.
    """
    estimate = _estimate(gains, sampling)
    return Lead(
        lead=estimate.mean,
        standard_error=estimate.standard_error,
        p_value=estimate.p_value,
        interval=estimate.interval(INTERVAL_LEVEL),
    )


def difference(one: Floats, other: Floats, sampling: Sampling, level: float = INTERVAL_LEVEL) -> Difference:
    """Two-sided paired test of two models on the same rows; qualities are [samples], and `level` the interval's."""
    estimate = _estimate(one - other, sampling)
    return Difference(
        difference=estimate.mean,
        standard_error=estimate.standard_error,
        p_value=2 * estimate.tail,
        interval=estimate.interval(level),
    )


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A mean gain, and how sure it is.

    b: see `Sampling.b`
    occasions: instants with a gain or a loss
    clustering: how many of them weigh as much as an independent one
    """

    mean: float
    standard_error: float
    b: float
    occasions: float
    clustering: float

    @property
    def p_value(self) -> float:
        """Of a mean gain above this one."""
        return self.tail if self.mean >= 0 else 1 - self.tail

    @property
    def tail(self) -> float:
        """The probability of a mean gain beyond this one on its side of zero; one half at most.

        The largest of three: the probability of such a t-value by fixed-b asymptotics, that by Student's distribution
        for as few independent occasions, and that of as many tosses of a coin that come out alike.
        """
        if not self.standard_error:
            return 0.5
        size = abs(self.mean) / self.standard_error
        tosses: float = min(0.5, 0.5**self.occasions)
        return max(fixed_b.p_value(size, self.b), self._student_p_value(size), tosses)

    def interval(self, level: float) -> tuple[float, float]:
        """The confidence interval that leaves out the mean with probability `level`."""
        half = self.standard_error * max(fixed_b.critical_value(level / 2, self.b), self._student_quantile(level / 2))
        return self.mean - half, self.mean + half

    @property
    def _freedom(self) -> float:
        return max(1.0, self.occasions / self.clustering - 1)

    def _student_p_value(self, t_value: float) -> float:
        from scipy.special import stdtr

        return float(stdtr(self._freedom, -t_value))

    def _student_quantile(self, level: float) -> float:
        from scipy.special import stdtrit

        return -float(stdtrit(self._freedom, level))


def _estimate(gains: Floats, sampling: Sampling) -> _Estimate:
    mean, occasions = float(gains.mean()), sampling.occasions(gains)
    variance, clustering = sampling.variance_and_clustering(gains)
    error = math.sqrt(variance) / len(gains)
    if not error and mean:
        # Gains that are all alike have no variance to show: their mean is as uncertain as so few of them are.
        error = abs(mean) / math.sqrt(max(1.0, occasions / clustering))
    return _Estimate(mean, error, sampling.b, occasions, clustering)


def accuracy_interval(rows: ScoredRows) -> tuple[float, float]:
    """The accuracy's interval of 95 % confidence, for as many independent samples as the rows are worth."""
    sampling = rows.sampling
    z = sampling.unbiased_critical_value(INTERVAL_LEVEL / 2)
    return wilson_interval(float(rows.hits.mean()), sampling.effective_samples(rows.hits), z)


def measure_significance(rows: ScoredRows, level: float) -> Significance:
    """Test the model against every rival. It must beat each naive one by itself, and its predictions must be timed."""
    sampling = rows.sampling
    against = {name: lead_over(rows.quality, quality, sampling) for name, quality in rows.rivals.by_name.items()}
    timing = lead_from_gains(rows.agreement, sampling)
    tests = [*(against[name] for name in rows.rivals.naive), timing]
    return Significance(
        beats_baselines=all(test.p_value < level for test in tests),
        level=level,
        effective_samples=sampling.effective_samples(rows.hits),
        against=against,
        timing=timing,
    )
