"""The training's bridge, under the path that the acceptance guide names; its code: `ktrdr.jobs.training_bridge`."""

from ktrdr.jobs.training_bridge import METRIC_COLUMNS, TrainingProgressBridge

__all__ = ["METRIC_COLUMNS", "TrainingProgressBridge"]
