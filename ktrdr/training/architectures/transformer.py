"""A transformer whose bars attend to themselves and the bars before them; normalised before each part (GPT-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from ktrdr.strategy.sections.model import Transformer


class TransformerModel(nn.Module):
    def __init__(self, spec: Transformer, features: int, outputs: int) -> None:
        super().__init__()
        self.embed = nn.Linear(features, spec.hidden_size)
        self.positions = nn.Parameter(torch.randn(spec.sequence_length, spec.hidden_size) * 0.02)
        self.dropout = nn.Dropout(spec.dropout)
        self.layers = nn.Sequential(*[_Layer(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.hidden_size)
        self.head = nn.Linear(spec.hidden_size, outputs)

    def forward(self, windows: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.norm(self.states(windows)[:, -1]))
        return outputs

    def states(self, windows: Tensor) -> Tensor:
        """[batch, window, hidden]: the state at each bar, from that bar and earlier ones."""
        states: Tensor = self.layers(self.dropout(self.embed(windows) + self.positions))
        return states


class _Layer(nn.Module):
    def __init__(self, spec: Transformer) -> None:
        super().__init__()
        size = spec.hidden_size
        self.heads = spec.heads
        self.attention_norm = nn.LayerNorm(size)
        # No bias: a bias of the keys adds the same number to all scores of a query, which softmax cancels.
        self.queries_keys_values = nn.Linear(size, 3 * size, bias=False)
        self.mix = nn.Linear(size, size)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(size), nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size)
        )
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, bars: Tensor) -> Tensor:
        attended = bars + self.dropout(self._attend(self.attention_norm(bars)))
        states: Tensor = attended + self.dropout(self.feedforward(attended))
        return states

    def _attend(self, bars: Tensor) -> Tensor:
        """softmax(Q K^T / sqrt(d)) V in each head (Vaswani et al., 2017), later bars masked."""
        heads = self.queries_keys_values(bars).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads.unbind()
        attended = scaled_dot_product_attention(queries, keys, values, is_causal=True)
        mixed: Tensor = self.mix(attended.transpose(1, 2).flatten(start_dim=2))
        return mixed
