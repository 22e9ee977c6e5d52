"""A temporal convolutional network: causal convolutions, dilated twice as far in each layer (Bai et al., 2018)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import pad, relu

if TYPE_CHECKING:
    from ktrdr.strategy.sections.model import TCN


class TCNModel(nn.Module):
    def __init__(self, spec: TCN, features: int, outputs: int) -> None:
        super().__init__()
        widths = [features, *[spec.hidden_size] * spec.layers]
        self.layers = nn.Sequential(*[_Layer(spec, widths[layer], dilation=2**layer) for layer in range(spec.layers)])
        self.head = nn.Linear(spec.hidden_size, outputs)

    def forward(self, windows: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.states(windows)[:, -1])
        return outputs

    def states(self, windows: Tensor) -> Tensor:
        """[batch, window, hidden]: the state at each bar, from that bar and earlier ones."""
        states: Tensor = self.layers(windows.transpose(1, 2)).transpose(1, 2)
        return states


class _Layer(nn.Module):
    """A residual block of two causal convolutions on [batch, channels, window]; the length stays the same."""

    def __init__(self, spec: TCN, inputs: int, dilation: int) -> None:
        super().__init__()
        # A tap beyond the window would see nothing but padding.
        taps = min(spec.kernel_size, math.ceil(spec.sequence_length / dilation))
        self.reach = (taps - 1) * dilation
        self.first = nn.Conv1d(inputs, spec.hidden_size, taps, dilation=dilation)
        self.second = nn.Conv1d(spec.hidden_size, spec.hidden_size, taps, dilation=dilation)
        self.around = nn.Identity() if inputs == spec.hidden_size else nn.Conv1d(inputs, spec.hidden_size, 1)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, bars: Tensor) -> Tensor:
        hidden = self.dropout(relu(self.first(pad(bars, (self.reach, 0)))))
        hidden = self.dropout(relu(self.second(pad(hidden, (self.reach, 0)))))
        return relu(hidden + self.around(bars))
