"""A stacked GRU whose last state is read by one linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from ktrdr.strategy.sections.model import GRU


class GRUModel(nn.Module):
    def __init__(self, spec: GRU, features: int, outputs: int) -> None:
        super().__init__()
        self.gru = nn.GRU(
            features,
            spec.hidden_size,
            num_layers=spec.layers,
            # torch drops between layers only, and warns when there is no between.
            dropout=spec.dropout if spec.layers > 1 else 0.0,
            batch_first=True,
        )
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(spec.hidden_size, outputs)

    def forward(self, windows: Tensor) -> Tensor:
        _, hidden = self.gru(windows)
        outputs: Tensor = self.head(self.dropout(hidden[-1]))
        return outputs
