"""What models of all families share: they map windows [batch, window, features] to outputs [batch, outputs].

Outputs are the logits of the classes, or the single target of a regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CHUNK = 1024
PREDICTION_BATCH = 128


def predict(model: nn.Module, windows: Tensor, starts: Tensor, first: int = 0) -> Tensor:
    """Outputs [samples, outputs], on the CPU, of the windows at `starts` [samples].

    A window's number, its start plus `first`, fixes its place in a batch of constant size. Matrix products sum in an
    order that depends on their shape and on a row's place in memory, so a window gives the same bits in every call.
    """
    model.eval()
    order = torch.argsort(starts)
    numbers = starts[order] + first
    _, sizes = torch.unique_consecutive(numbers // PREDICTION_BATCH, return_counts=True)
    parts = []
    with torch.inference_mode():
        batches = [torch.split(indices, sizes.tolist()) for indices in (starts[order], numbers % PREDICTION_BATCH)]
        for chosen, places in zip(*batches, strict=True):
            batch = chosen[:1].repeat(PREDICTION_BATCH)
            batch[places] = chosen
            parts.append(model(windows.index_select(0, batch))[places])
    outputs = torch.cat(parts)
    return torch.empty_like(outputs).index_copy_(0, order, outputs).cpu()


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the model's parameters and buffers on the CPU, as `load_state_dict` takes them."""
    return {name: copy_to_cpu(tensor) for name, tensor in model.state_dict().items()}


def copy_to_cpu(tensor: Tensor) -> Tensor:
    """An independent copy on the CPU."""
    return tensor.detach().to("cpu", copy=True)


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True, slots=True)
class Layer:
    """A module with parameters of its own, for display.

    name: path within the model
    kind: class
    shape: torch's `extra_repr`
    parameters: how many
    """

    name: str
    kind: str
    shape: str
    parameters: int


def layers(model: nn.Module) -> Iterator[Layer]:
    for name, module in model.named_modules():
        count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if count:
            yield Layer(name, type(module).__name__, module.extra_repr(), count)
