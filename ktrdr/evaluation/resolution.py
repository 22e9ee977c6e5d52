"""How large a skill must be for the rows of a part to show it: a property of the rows, known before a training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.sampling import Sampling, within
from ktrdr.formatting import count, counted

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part

Floats = NDArray[np.float64]

# The standard normal value that is exceeded with probability 0.2.
_POWER_80 = 0.8416


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the rows of a part can show.

    samples: rows
    effective: independent samples that would show as much
    least: lead over the majority in accuracy, or in a regression correlation of prediction and outcome, that is
        significant in four of five such parts
    is_hopeless: whether even a model that is always right would be significant less often
    """

    samples: int
    effective: float
    least: float
    is_regression: bool
    is_hopeless: bool

    def sentence(self, part: str) -> str:
        """The least skill, without a full stop; `part` is the part's name."""
        rows, effective = f"{count(self.samples)} {part} samples", max(1, round(self.effective))
        if effective < self.samples:
            rows += f", worth about {counted(effective, 'independent one')},"
        if self.is_hopeless:
            return f"{rows} are too few: not even a model that is always right could count on beating its baselines"
        if self.is_regression:
            return f"{rows} need a correlation with the outcome of about {self.least:.2f} for 80% power"
        return f"{rows} need a lead of about {100 * self.least:.2g} points over a baseline for 80% power"


@dataclass(frozen=True, slots=True)
class Dependence:
    """How the labels of the training part depend on each other.

    sampling: of the training part
    overlap: samples of one symbol that weigh as much as an independent one
    correlation: of the labels of two symbols
    """

    sampling: Sampling
    overlap: float
    correlation: float

    @classmethod
    def of(cls, dataset: Dataset) -> Dependence:
        train, sampling = dataset.train, Sampling.of(dataset.train)
        columns = [within(column, train.symbols) for column in _labels_as_numbers(dataset)]
        symbols = np.unique(train.symbols)
        independent = sum(float(column @ column) for column in columns)
        together = sum(sampling.variance(column) for column in columns)
        apart = sum(
            sampling.of_rows(own).variance(column[own]) for own in map(train.of_symbol, symbols) for column in columns
        )
        if not independent or not apart:
            return cls(sampling, sampling.span, 0.0)
        overlap = max(1.0, apart / independent / sampling.bias)
        others = max(1, len(symbols) - 1)
        return cls(sampling, overlap, min(1.0, max(0.0, together / apart - 1) / others))

    def inflation(self, part: Part) -> float:
        """How many samples of `part` weigh as much as an independent one.

        Labels of one symbol overlap. Symbols move together: S of them, correlated by rho, inflate by 1 + (S - 1) rho.
        """
        return self.overlap * (1 + (len(np.unique(part.symbols)) - 1) * self.correlation)


def resolution(dataset: Dataset, part: Part, level: float, dependence: Dependence | None = None) -> Resolution:
    """What `part` can show at the one-sided significance `level`; `dependence`, where known, is the dataset's.

    The lead L of a model that disagrees with the majority on a share d of the samples has a standard error of
    sqrt((d - L^2) / n). With c standard errors between the lead and nothing, L = c sqrt(d / (n + c^2)); a correlation
    has d = 1. c is the critical value and the power's normal value, and n the effective samples.
    """
    dependence = dependence or Dependence.of(dataset)
    effective = max(1.0, len(part.labels) / dependence.inflation(part))
    sampling = dependence.sampling if part is dataset.train else Sampling.of(part)
    needed = sampling.unbiased_critical_value(level) + _POWER_80
    if dataset.is_regression:
        # The gain of a perfect prediction of normal targets over their mean is chi-squared: t = sqrt(n / 2).
        disagreement, is_hopeless = 1.0, effective < 2 * needed**2
    else:
        disagreement, others = _disagreement(dataset, part)
        is_hopeless = effective * others < (1 - others) * needed**2
    least = needed * math.sqrt(disagreement / (effective + needed**2))
    return Resolution(len(part.labels), effective, least, dataset.is_regression, is_hopeless)


def _disagreement(dataset: Dataset, part: Part) -> tuple[float, float]:
    """Share of samples on which one of majority and a model is right, and the samples that are not of the majority.

    The model predicts each class as often as it occurs, at random.
    """
    shares = np.bincount(part.labels, minlength=len(dataset.class_names)) / len(part.labels)
    majority = np.bincount(dataset.train.labels, minlength=len(shares)).argmax()
    others = np.delete(shares, majority)
    return float(others @ others + shares[majority] * others.sum()), float(others.sum())


def _labels_as_numbers(dataset: Dataset) -> list[Floats]:
    """The training labels: one array of 0 and 1 for each class, or one of targets."""
    labels = dataset.train.labels
    indicators = [(labels == one).astype(np.float64) for one in range(len(dataset.class_names))]
    return indicators or [labels.astype(np.float64)]
