"""What boosted trees split on, by LightGBM's own count in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.training.architectures.gradient_boosting import GradientBoostingModel

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class TreeGains:
    """The splits of all trees by feature, at all bars of the window together.

    gains: [features], sum over splits of the fall of the training loss
    splits: [features]
    """

    gains: NDArray[np.float64]
    splits: NDArray[np.int64]

    def share(self, columns: Sequence[int]) -> float:
        """The share of the whole gain that these features have; 0 where no tree splits."""
        return float(self.gains[list(columns)].sum() / (self.gains.sum() or 1.0))

    def count(self, columns: Sequence[int]) -> int:
        return int(self.splits[list(columns)].sum())


def tree_gains(model: nn.Module, features: int) -> TreeGains | None:
    """Of a model whose windows have so many features; None for a model without trees."""
    if not isinstance(model, GradientBoostingModel) or model.booster is None:
        return None
    # The inputs are a window's bars one after the other, each with all features.
    gains, splits = (
        np.asarray(model.booster.feature_importance(kind)).reshape(-1, features).sum(axis=0)
        for kind in ("gain", "split")
    )
    return TreeGains(gains.astype(np.float64), splits.astype(np.int64))
