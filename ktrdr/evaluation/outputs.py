"""What a model's outputs mean: classes and their probabilities, or numbers in the label's unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREDICTED = "predicted"


def prediction_columns(
    outputs: NDArray[np.float32], class_names: Sequence[str], target_scale: float
) -> Mapping[str, NDArray[Any]]:
    """What a model's outputs [samples, outputs] mean: the likeliest class and the probability of each, or a number."""
    if not class_names:
        return {PREDICTED: outputs[:, 0].astype(np.float64) * target_scale}
    chances = class_probabilities(outputs)
    named = {f"probability_{name}": chances[:, index] for index, name in enumerate(class_names)}
    return {PREDICTED: np.array(class_names)[outputs.argmax(1)], **named}


def class_probabilities(
    logits: NDArray[np.float32], class_weights: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Softmax of each row of `logits` [samples, classes]; a row's bits do not depend on the rows beside it.

    `class_weights` are those of the training's loss. A network that minimises the weighted loss learns
    p(class) * weight, so its logits contain log(weight), which is subtracted here; a weight of zero belongs to a class
    without samples and is skipped.
    """
    shifted = logits.astype(np.float64)
    if class_weights is not None:
        weights = np.asarray(class_weights, np.float64)
        shifted = shifted - np.log(np.where(weights > 0, weights, 1.0))
    powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
