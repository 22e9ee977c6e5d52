"""What a model learns to tell: the class of the move that follows a bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ktrdr.strategy.spec import Labels


def class_names(labels: Labels) -> tuple[str, ...]:
    return ("down", "flat", "up") if labels.threshold > 0 else ("down", "up")


def moves(close: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Relative moves over `horizon` bars; element t is close[t + horizon] / close[t] - 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return close[horizon:] / close[:-horizon] - 1


def classify(move: NDArray[np.float64], labels: Labels) -> NDArray[np.int64]:
    """Class index of each move, in the order of `class_names`; without a threshold no move at all counts as down."""
    up = (move > labels.threshold).astype(np.int64)
    if labels.threshold > 0:
        return up + (move >= -labels.threshold)
    return up
