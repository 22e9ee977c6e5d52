"""Metrics of predictions: accuracy, MCC, log-loss, correlation, calibration, and their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.ranks import ranks
from ktrdr.payloads.evaluation import Calibration, CalibrationBin, ClassScores, NumberScores

if TYPE_CHECKING:
    from ktrdr.evaluation.sampling import Sampling

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CALIBRATION_BINS = 10


def class_scores(labels: Integers, predicted: Integers, probabilities: Floats | None, classes: int) -> ClassScores:
    """Balanced accuracy is the mean recall of the classes that occur."""
    confusion = count_confusion(labels, predicted, classes)
    hits, occurring = confusion.diagonal(), confusion.sum(axis=1)
    recalls = hits[occurring > 0] / occurring[occurring > 0]
    return ClassScores(
        accuracy=float(hits.sum() / confusion.sum()),
        balanced_accuracy=float(recalls.mean()),
        mcc=matthews_correlation(confusion),
        log_loss=None if probabilities is None else mean_log_loss(labels, probabilities),
    )


def count_confusion(labels: Integers, predicted: Integers, classes: int) -> Integers:
    """[true class, predicted class] counts."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def matthews_correlation(confusion: Integers) -> float:
    """Matthews's correlation for any number of classes (Gorodkin 2004); zero where one side has a single class.

    (c s - t p) / sqrt((s^2 - p p) (s^2 - t t)): c right samples of s, t and p counts of true and predicted classes.
    """
    true, predicted = confusion.sum(axis=1).astype(np.float64), confusion.sum(axis=0).astype(np.float64)
    total = float(true.sum())
    spread = math.sqrt((total**2 - float(true @ true)) * (total**2 - float(predicted @ predicted)))
    return (float(confusion.trace()) * total - float(true @ predicted)) / spread if spread else 0.0


def mean_log_loss(labels: Integers, probabilities: Floats) -> float:
    """Mean of -ln p(true class), in nats."""
    return float(-log_likelihoods(labels, probabilities).mean())


def log_likelihoods(labels: Integers, probabilities: Floats) -> Floats:
    """[samples], ln p(true class). Probabilities are clipped at the machine epsilon of float64, about 2e-16."""
    clipped = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float64).eps)
    return np.asarray(np.log(clipped), np.float64)


def f1_scores(confusion: Integers) -> list[float]:
    """2 TP / (2 TP + FP + FN) of each class; 0 for a class that neither occurs nor is predicted."""
    denominators = confusion.sum(axis=0) + confusion.sum(axis=1)
    pairs = zip(confusion.diagonal(), denominators, strict=True)
    return [float(2 * hits / total) if total else 0.0 for hits, total in pairs]


def number_scores(targets: Floats, predicted: Floats, training_mean: float | Floats) -> NumberScores:
    """`training_mean` is one number, or [samples] where several models were trained."""
    mse = float(np.mean((targets - predicted) ** 2))
    naive = float(np.mean((targets - training_mean) ** 2))
    return NumberScores(
        mse=mse,
        r2=1 - mse / naive if naive else 0.0,
        ic=correlation(targets, predicted),
        rank_ic=correlation(ranks(targets), ranks(predicted)),
        accuracy=float(sign_hits(targets, predicted).mean()),
    )


def sign_hits(targets: Floats, predicted: Floats) -> NDArray[np.bool_]:
    """No move at all counts as down, as it does among labels of two classes."""
    return np.asarray((targets > 0) == (predicted > 0))


def correlation(one: Floats, two: Floats) -> float | None:
    """Pearson's correlation; None where one of the two is constant."""
    products = _standard_products(one, two)
    return None if products is None else float(products.mean())


def correlation_t(one: Floats, two: Floats, sampling: Sampling) -> float | None:
    """The correlation over its standard error, as the standard normal value that is as rare; labels may overlap."""
    products = _standard_products(one, two)
    return None if products is None else sampling.normal_value(products)


def _standard_products(one: Floats, two: Floats) -> Floats | None:
    deviations = float(one.std()), float(two.std())
    # The deviation of equal numbers can be a rounding error instead of zero.
    if any(size <= 1e-12 * float(np.abs(side).max()) for size, side in zip(deviations, (one, two), strict=True)):
        return None
    products: Floats = (one - one.mean()) / deviations[0] * ((two - two.mean()) / deviations[1])
    return products


def wilson_interval(share: float, samples: float, z: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of `samples` independent samples.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). It stays within 0 and 1, and has a width even
    where the share is 0 or 1.
    """
    centre = share + z * z / (2 * samples)
    half = z * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))
    scale = 1 + z * z / samples
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def measure_calibration(
    labels: Integers, predicted: Integers, probabilities: Floats, sampling: Sampling
) -> Calibration:
    """Expected calibration error over bins of equally many samples (Guo et al. 2017; Nguyen and O'Connor 2015).

    The confidence of a market model stays close to one half, so bins of equal width would put all samples into one.
    """
    confidence = probabilities[np.arange(len(labels)), predicted]
    hits = (predicted == labels).astype(np.float64)
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]))
    place = np.searchsorted(edges, confidence, side="left")
    members = [inside for number in range(len(edges) + 1) if (inside := place == number).any()]
    bins = [
        CalibrationBin(
            confidence=float(confidence[inside].mean()), accuracy=float(hits[inside].mean()), samples=int(inside.sum())
        )
        for inside in members
    ]
    by_chance = [
        _error_by_chance(one, sampling.inflation(np.where(inside, hits - one.accuracy, 0.0)))
        for one, inside in zip(bins, members, strict=True)
    ]
    return Calibration(
        expected_error=sum(one.samples * abs(one.accuracy - one.confidence) for one in bins) / len(labels),
        error_by_chance=sum(by_chance) / len(labels),
        bins=tuple(bins),
    )


def _error_by_chance(one: CalibrationBin, inflation: float) -> float:
    """Expected error of a perfectly calibrated model in a bin, times the bin's samples; see `Sampling.inflation`.

    n E|hits / n - p| = sqrt(2 n p (1 - p) / pi), the mean absolute deviation of the binomial's normal approximation,
    times the square root of the variance's inflation.
    """
    return math.sqrt(2 * one.samples * one.confidence * (1 - one.confidence) * inflation / math.pi)
