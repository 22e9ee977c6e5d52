"""What holds of a model of any family: a module from windows [batch, window, features] to outputs [batch, outputs].

Outputs are logits of the classes, or the one target of a regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CHUNK = 1024
PREDICTION_BATCH = 128


def predict(model: nn.Module, windows: Tensor, starts: Tensor, first: int = 0) -> Tensor:
    """Outputs [samples, outputs], on the CPU, of the windows that begin at `starts`; `first` numbers the first window.

    By its number a window has its place in a batch of always the same size. Matrix products add up in an order that
    depends on their shape and on where a row lies in memory: elsewhere, a window would come to other bits.
    """
    model.eval()
    order = torch.argsort(starts)
    numbers = starts[order] + first
    _, sizes = torch.unique_consecutive(numbers // PREDICTION_BATCH, return_counts=True)
    found = []
    with torch.inference_mode():
        batches = [torch.split(each, sizes.tolist()) for each in (starts[order], numbers % PREDICTION_BATCH)]
        for chosen, places in zip(*batches, strict=True):
            batch = chosen[:1].repeat(PREDICTION_BATCH)
            batch[places] = chosen
            found.append(model(windows.index_select(0, batch))[places])
    outputs = torch.cat(found)
    return torch.empty_like(outputs).index_copy_(0, order, outputs).cpu()


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """All that is learned, on the CPU and apart from the model: what `load_state_dict` takes."""
    return {name: apart(tensor) for name, tensor in model.state_dict().items()}


def apart(tensor: Tensor) -> Tensor:
    """A copy on the CPU that goes its own way."""
    return tensor.detach().to("cpu", copy=True)


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True, slots=True)
class Layer:
    """A module with parameters of its own, for people: `shape` is what torch prints of it."""

    name: str
    kind: str
    shape: str
    parameters: int


def layers(model: nn.Module) -> Iterator[Layer]:
    for name, module in model.named_modules():
        count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if count:
            yield Layer(name, type(module).__name__, module.extra_repr(), count)
