"""What a prediction is worth on given rows, in the field's usual numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.ranks import ranks
from ktrdr.payloads.evaluation import Calibration, CalibrationBin, ClassScores, NumberScores

if TYPE_CHECKING:
    from ktrdr.evaluation.significance import Sampling

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CALIBRATION_BINS = 10
Z_95 = 1.959964


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
    """Matthews's correlation for any number of classes (Gorodkin 2004); zero where one side is all of one class."""
    true, predicted = confusion.sum(axis=1).astype(np.float64), confusion.sum(axis=0).astype(np.float64)
    total = float(true.sum())
    spread = math.sqrt((total**2 - float(true @ true)) * (total**2 - float(predicted @ predicted)))
    return (float(confusion.trace()) * total - float(true @ predicted)) / spread if spread else 0.0


def mean_log_loss(labels: Integers, probabilities: Floats) -> float:
    """Mean of -ln p of what came; probabilities are clipped at the least step of a float64, about 2e-16."""
    clipped = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float64).eps)
    return float(-np.log(clipped).mean())


def f1_scores(confusion: Integers) -> list[float]:
    """2 TP / (2 TP + FP + FN) of each class; 0 for a class that neither occurs nor is predicted."""
    denominators = confusion.sum(axis=0) + confusion.sum(axis=1)
    pairs = zip(confusion.diagonal(), denominators, strict=True)
    return [float(2 * hits / total) if total else 0.0 for hits, total in pairs]


def number_scores(targets: Floats, predicted: Floats, training_mean: float) -> NumberScores:
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
    """Pearson's; None where one of them does not vary."""
    products = _standard_products(one, two)
    return None if products is None else float(products.mean())


def correlation_t(one: Floats, two: Floats, sampling: Sampling) -> float | None:
    """The correlation over its standard error under the null, which knows of overlapping labels."""
    products = _standard_products(one, two)
    return None if products is None else sampling.t_value(products)


def _standard_products(one: Floats, two: Floats) -> Floats | None:
    deviations = float(one.std()), float(two.std())
    # The deviation of equal numbers is a rounding error, not always zero.
    if any(size <= 1e-12 * float(np.abs(side).max()) for size, side in zip(deviations, (one, two), strict=True)):
        return None
    products: Floats = (one - one.mean()) / deviations[0] * ((two - two.mean()) / deviations[1])
    return products


def wilson_interval(share: float, samples: float, z: float = Z_95) -> tuple[float, float]:
    """Of a share of independent samples (Wilson 1927): it stays within 0 and 1, and is no point at either end."""
    centre = share + z * z / (2 * samples)
    half = z * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))
    scale = 1 + z * z / samples
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def measure_calibration(labels: Integers, predicted: Integers, probabilities: Floats) -> Calibration:
    """Expected calibration error over bins of equally many samples (Guo et al. 2017; Nguyen and O'Connor 2015).

    Bins of equal width would put all samples of a market model, whose confidence hardly leaves one half, into one.
    """
    confidence = probabilities[np.arange(len(labels)), predicted]
    hits = predicted == labels
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]))
    place = np.searchsorted(edges, confidence, side="left")
    bins = [
        CalibrationBin(
            confidence=float(confidence[inside].mean()), accuracy=float(hits[inside].mean()), samples=int(inside.sum())
        )
        for inside in (place == number for number in range(len(edges) + 1))
        if inside.any()
    ]
    return Calibration(
        expected_error=sum(one.samples * abs(one.accuracy - one.confidence) for one in bins) / len(labels),
        error_by_chance=_error_by_chance(bins) / len(labels),
        bins=tuple(bins),
    )


def _error_by_chance(bins: Sequence[CalibrationBin]) -> float:
    """Sum over the bins of n E|hits / n - p| = sqrt(2 n p (1 - p) / pi)."""
    return sum(math.sqrt(2 * one.samples * one.confidence * (1 - one.confidence) / math.pi) for one in bins)
