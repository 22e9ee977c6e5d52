"""The model families. A new one is one file under `architectures/` and one entry in `FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ktrdr.errors import InputError, nearest
from ktrdr.strategy.sections.base import PluginModel
from ktrdr.training.architectures.gradient_boosting import GradientBoostingModel
from ktrdr.training.architectures.gru import GRUModel
from ktrdr.training.architectures.lstm import LSTMModel
from ktrdr.training.architectures.mlp import MLPModel
from ktrdr.training.architectures.plugin import build_plugin
from ktrdr.training.architectures.tcn import TCNModel
from ktrdr.training.architectures.transformer import TransformerModel
from ktrdr.training.boosting import BoostingTrainer
from ktrdr.training.network_trainer import NetworkTrainer

if TYPE_CHECKING:
    from ktrdr.strategy.sections.base import ModelSpec
    from ktrdr.strategy.sections.training import Training
    from ktrdr.training.loop import Trainer
    from ktrdr.training.windows import TrainingTensors


@dataclass(frozen=True, slots=True)
class Family:
    """One type of model.

    type: its name in strategies
    model: (spec, features, outputs) -> module, see `architectures/model.py`; outputs is 1 in a regression
    trainer: (model, data, settings) -> its trainer
    """

    type: str
    model: Callable[[Any, int, int], nn.Module]
    trainer: Callable[[Any, TrainingTensors, Training], Trainer] = NetworkTrainer


FAMILIES: tuple[Family, ...] = (
    Family("lstm", LSTMModel),
    Family("gru", GRUModel),
    Family("mlp", MLPModel),
    Family("tcn", TCNModel),
    Family("transformer", TransformerModel),
    Family("gradient_boosting", GradientBoostingModel, BoostingTrainer),
)


def build_model(spec: ModelSpec, features: int, outputs: int) -> nn.Module:
    return _find_family(spec).model(spec, features, outputs)


def build_trainer(spec: ModelSpec, settings: Training, data: TrainingTensors, outputs: int) -> Trainer:
    """A trainer of a new model, on the device of `data`."""
    features = data.windows.shape[-1]
    return _find_family(spec).trainer(build_model(spec, features, outputs), data, settings)


def _find_family(spec: Any) -> Family:
    if isinstance(spec, PluginModel):
        return Family(spec.type, build_plugin)
    for family in FAMILIES:
        if family.type == spec.type:
            return family
    known = [family.type for family in FAMILIES]
    raise InputError(
        f"model.type must be one of {', '.join(known)}; it is {spec.type!r}",
        hint=f"The nearest is {nearest(spec.type, known) or known[0]!r}.",
    )
