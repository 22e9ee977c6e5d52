"""A multilayer perceptron over the flattened window."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from ktrdr.strategy.sections.model import MLP


class MLPModel(nn.Module):
    def __init__(self, spec: MLP, features: int, outputs: int) -> None:
        super().__init__()
        widths = [features * spec.sequence_length, *[spec.hidden_size] * spec.layers]
        self.hidden = nn.Sequential(
            *[
                nn.Sequential(nn.Linear(wide, narrow), nn.ReLU(), nn.Dropout(spec.dropout))
                for wide, narrow in pairwise(widths)
            ]
        )
        self.head = nn.Linear(spec.hidden_size, outputs)

    def forward(self, windows: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.hidden(windows.flatten(start_dim=1)))
        return outputs
