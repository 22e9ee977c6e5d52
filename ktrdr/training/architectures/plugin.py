"""Networks that are plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ktrdr.plugins.failures import located
from ktrdr.plugins.loading import Plugin, find_plugin

if TYPE_CHECKING:
    from ktrdr.strategy.sections.base import PluginModel

_SAMPLES = 2


def build_plugin(spec: PluginModel, features: int, outputs: int) -> nn.Module:
    """The module of a plugin, tried once on windows of zeros.

    Raises PluginMismatch when its file has changed or is missing, PluginError when it is no such module.
    """
    plugin = find_plugin("network", spec.type, spec.sha256 or "")
    _, factory = plugin.fresh()
    with located(plugin.file.path, plugin.declaration.function):
        model = factory(features, outputs, spec.sequence_length, **spec.parameters)
    if not isinstance(model, nn.Module):
        raise plugin.error(f"makes a {type(model).__name__} and not a torch.nn.Module")
    _try(plugin, model, torch.zeros(_SAMPLES, spec.sequence_length, features), outputs)
    return model


def _try(plugin: Plugin, model: nn.Module, windows: torch.Tensor, outputs: int) -> None:
    """Raises PluginError unless windows become outputs; draws no random numbers of the training."""
    was_training = model.training
    with located(plugin.file.path, plugin.declaration.function), torch.random.fork_rng(devices=[]), torch.no_grad():
        found = model.eval()(windows)
    model.train(was_training)
    expected = (len(windows), outputs)
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != expected or found.dtype != torch.float32:
        shown = f"{list(found.shape)} of {found.dtype}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise plugin.error(f"maps windows {list(windows.shape)} to {shown} and not to {list(expected)} of float32")
