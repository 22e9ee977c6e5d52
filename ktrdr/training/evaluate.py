"""How good the best epoch is on the validation rows, beside the baselines that it must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ktrdr.features.matrix import Part

Integers = NDArray[np.int64]


class Scores(TypedDict):
    accuracy: float
    balanced_accuracy: float


class Evaluation(TypedDict):
    """`confusion[i][j]` counts samples of class i that were taken for class j."""

    validation_samples: int
    accuracy: float
    balanced_accuracy: float
    f1: dict[str, float]
    confusion: list[list[int]]
    class_names: list[str]
    baselines: dict[str, Scores]


def evaluate(predicted: Integers, validation: Part, train_labels: Integers, class_names: Sequence[str]) -> Evaluation:
    """Score `predicted` [validation samples].

    The baselines see the same rows: `majority` says the most frequent class of the training part each time,
    `persistence` says that the next move goes the way of the last one.
    """
    classes = len(class_names)
    counts = confusion_of(validation.labels, predicted, classes)
    majority = np.full_like(validation.labels, np.bincount(train_labels, minlength=classes).argmax())
    return Evaluation(
        validation_samples=len(validation.labels),
        **scores_of(counts),
        f1=dict(zip(class_names, f1_of(counts), strict=True)),
        confusion=counts.tolist(),
        class_names=list(class_names),
        baselines={
            "majority": scores_of(confusion_of(validation.labels, majority, classes)),
            "persistence": scores_of(confusion_of(validation.labels, validation.persistence, classes)),
        },
    )


def confusion_of(labels: Integers, predicted: Integers, classes: int) -> Integers:
    """[true class, predicted class] counts."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def scores_of(confusion: Integers) -> Scores:
    """Balanced accuracy is the mean recall of the classes that occur."""
    hits, occurring = confusion.diagonal(), confusion.sum(axis=1)
    recalls = hits[occurring > 0] / occurring[occurring > 0]
    return Scores(accuracy=float(hits.sum() / confusion.sum()), balanced_accuracy=float(recalls.mean()))


def f1_of(confusion: Integers) -> list[float]:
    """2 TP / (2 TP + FP + FN) of each class; 0 for a class that neither occurs nor is predicted."""
    denominators = confusion.sum(axis=0) + confusion.sum(axis=1)
    pairs = zip(confusion.diagonal(), denominators, strict=True)
    return [float(2 * hits / total) if total else 0.0 for hits, total in pairs]


def standard_error(share: float, samples: int) -> float:
    """Of a share of independent samples: sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / samples)
