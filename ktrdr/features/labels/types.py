"""The labels there are."""

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
    """What measures the labels that a strategy's section describes."""
    return next(label for label in LABELS if label.type == spec.type)
