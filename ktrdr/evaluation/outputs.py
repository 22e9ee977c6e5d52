"""Converts a model's outputs into classes and probabilities, or into numbers in the label's unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREDICTED = "predicted"


def prediction_columns(
    outputs: NDArray[np.float32],
    class_names: Sequence[str],
    target_scale: float,
    class_weights: Sequence[float] | None = None,
) -> Mapping[str, NDArray[Any]]:
    """Convert outputs [samples, outputs] into columns: the predicted class and all probabilities, or one number.

    The probabilities are those that log-loss and calibration are measured on: `class_weights` [classes] are taken out
    of them. The predicted class keeps the weights, so it is the one with the highest probability times weight.
    """
    if not class_names:
        return {PREDICTED: outputs[:, 0].astype(np.float64) * target_scale}
    probabilities = class_probabilities(outputs, class_weights)
    named = {f"probability_{name}": probabilities[:, index] for index, name in enumerate(class_names)}
    return {PREDICTED: np.array(class_names)[outputs.argmax(1)], **named}


def class_probabilities(
    logits: NDArray[np.float32], class_weights: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Softmax of each row of `logits` [samples, classes]. A row's bits do not depend on other rows.

    `class_weights` [classes] are the weights of the training's loss. A network that minimises the weighted loss learns
    p(class) * weight, up to a factor. Its logits therefore contain ln(weight), which is subtracted here. A weight of
    zero belongs to a class without samples and is skipped.
    """
    shifted = logits.astype(np.float64)
    if class_weights is not None:
        weights = np.asarray(class_weights, np.float64)
        shifted = shifted - np.log(np.where(weights > 0, weights, 1.0))
    # Subtracting the maximum changes no probability and keeps exp from overflowing.
    powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
