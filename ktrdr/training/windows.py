"""Windows of consecutive rows as a view, where no row is copied to stand in two; and the samples that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Training


def view_of_windows(values: Tensor, length: int) -> Tensor:
    """[rows, features] → [rows - length + 1, length, features], sharing memory: window i starts at row i."""
    rows, features = values.shape
    return values.as_strided((rows - length + 1, length, features), (features, features, 1))


@dataclass(frozen=True, slots=True)
class Samples:
    """Where each sample's window starts; its class, or its target where labels are floats; its weight in the loss.

    Without `weights` each weighs 1. In the training part they average to 1.
    """

    starts: Tensor
    labels: Tensor
    weights: Tensor | None = None

    @classmethod
    def of(cls, part: Part, sequence_length: int, device: torch.device | None = None) -> Self:
        starts = torch.from_numpy(part.ends) - (sequence_length - 1)
        weights = None if (part.weights == 1).all() else torch.from_numpy(part.weights).to(device)
        return cls(starts.to(device), torch.from_numpy(part.labels).to(device), weights)

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Samples:
        weights = None if self.weights is None else self.weights[:count]
        return Samples(self.starts[:count], self.labels[:count], weights)


@dataclass(frozen=True, slots=True)
class TrainingTensors:
    """`windows` [starts, length, features] is a view; `class_weights` average to 1 over the training samples.

    All lie on one device, and stay there.
    """

    windows: Tensor
    train: Samples
    validation: Samples
    class_weights: Tensor | None = None

    @classmethod
    def of(cls, dataset: Dataset, settings: Training, device: torch.device | None = None) -> Self:
        values = torch.from_numpy(np.require(dataset.values, np.float32, ["C", "W"])).to(device)
        length = dataset.sequence_length
        train = Samples.of(dataset.train, length, device)
        balanced = settings.class_weights == "balanced" and not dataset.is_regression
        return cls(
            view_of_windows(values, length),
            train,
            Samples.of(dataset.validation, length, device),
            balanced_weights(train, dataset.outputs) if balanced else None,
        )

    def loss_weights(self, samples: Samples) -> Tensor | None:
        """What each sample weighs in the loss, class and sample weights multiplied; None where each weighs 1."""
        if self.class_weights is None:
            return samples.weights
        of_class = self.class_weights[samples.labels]
        return of_class if samples.weights is None else of_class * samples.weights


def balanced_weights(samples: Samples, classes: int) -> Tensor:
    """n / (classes * weight of the class), as in scikit-learn's "balanced"; a class without samples weighs nothing."""
    # On the CPU: a GPU adds weights up in an order of its own each time.
    weights = None if samples.weights is None else samples.weights.cpu()
    counts = torch.bincount(samples.labels.cpu(), weights, minlength=classes)
    present = counts > 0
    balanced = torch.where(present, len(samples) / (present.sum() * counts.where(present, 1)), 0.0)
    return balanced.float().to(samples.labels.device)
