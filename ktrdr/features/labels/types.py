"""The table of label types."""

from __future__ import annotations

from typing import Any

from ktrdr.features.labels.direction import DirectionLabel
from ktrdr.features.labels.forward_return import ForwardReturnLabel
from ktrdr.features.labels.label import Label
from ktrdr.features.labels.plugin import LabelPlugin
from ktrdr.features.labels.trend import TrendLabel
from ktrdr.features.labels.triple_barrier import TripleBarrierLabel
from ktrdr.strategy.sections.base import PluginLabel
from ktrdr.strategy.sections.labels import Labels

LABELS: tuple[Label[Any], ...] = (DirectionLabel(), ForwardReturnLabel(), TripleBarrierLabel(), TrendLabel())


def label_of(spec: Labels) -> Label[Any]:
    """The label type of a strategy's section `labels`."""
    if isinstance(spec, PluginLabel):
        return LabelPlugin()
    return next(label for label in LABELS if label.type == spec.type)
