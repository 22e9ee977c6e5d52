"""The table of label types."""

from __future__ import annotations

from typing import Any

from ktrdr.features.labels.direction import DirectionLabel
from ktrdr.features.labels.forward_return import ForwardReturnLabel
from ktrdr.features.labels.label import Label
from ktrdr.features.labels.trend import TrendLabel
from ktrdr.features.labels.triple_barrier import TripleBarrierLabel
from ktrdr.strategy.spec import Direction, ForwardReturn, Trend, TripleBarrier

LABELS: tuple[Label[Any], ...] = (DirectionLabel(), ForwardReturnLabel(), TripleBarrierLabel(), TrendLabel())


def label_of(spec: Direction | ForwardReturn | TripleBarrier | Trend) -> Label[Any]:
    """The label type of a strategy's section `labels`."""
    return next(label for label in LABELS if label.type == spec.type)
