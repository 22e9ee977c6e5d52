"""Windows of consecutive rows as a view, without copies, and the samples made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.sections.training import Training


def view_of_windows(values: Tensor, length: int) -> Tensor:
    """[rows, features] → [rows - length + 1, length, features], sharing memory: window i starts at row i."""
    rows, features = values.shape
    return values.as_strided((rows - length + 1, length, features), (features, features, 1))


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one part, as tensors on one device.

    starts: [samples], index into `TrainingTensors.windows`
    labels: [samples], int64 classes, or float32 targets in a regression
    weights: [samples], sample weights in the loss; they average to 1 in training; None where each is 1
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
    """All tensors of a training. They lie on one device and stay there.

    windows: [rows - length + 1, length, features], float32, a view of the dataset's values
    train, validation: samples of the two parts
    class_weights: [classes], float32; they average to 1 over the training samples; None where each is 1
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
        """[samples], class weight * sample weight; None where each is 1."""
        if self.class_weights is None:
            return samples.weights
        class_weights = self.class_weights[samples.labels]
        return class_weights if samples.weights is None else class_weights * samples.weights


def balanced_weights(samples: Samples, classes: int) -> Tensor:
    """[classes], n / (classes present * samples in the class), as scikit-learn's "balanced".

    Sample weights count in place of samples where there are some. A class without samples gets weight zero.
    """
    # On the CPU, because a GPU sums in a different order each time.
    weights = None if samples.weights is None else samples.weights.cpu()
    counts = torch.bincount(samples.labels.cpu(), weights, minlength=classes)
    present = counts > 0
    balanced = torch.where(present, len(samples) / (present.sum() * counts.where(present, 1)), 0.0)
    return balanced.float().to(samples.labels.device)
