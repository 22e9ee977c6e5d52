"""Two features, a label and a network of one's own. `export KTRDR_PLUGINS=examples/plugins.py` makes them known.

Try them without a server: ktrdr plugins check examples/plugins.py
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from pydantic import Field
from torch import Tensor, nn

from ktrdr.plugins import feature, label, network

Bars = Annotated[int, Field(ge=2, le=500, description="Bars that it looks back over.")]


@feature(warmup=lambda window: window)
def gap(bars: pl.DataFrame, window: Bars = 20) -> pl.Series:
    """The gap from the last close to the open, in deviations of the gaps before."""
    gaps = (bars["open"] / bars["close"].shift(1)).log()
    return gaps / gaps.rolling_std(window, min_samples=window)


@feature(warmup=lambda window: window - 1, outputs=("position", "width"))
def channel(bars: pl.DataFrame, window: Bars = 20) -> pl.DataFrame:
    """Where the close lies between the lowest low and the highest high, and how far these are apart."""
    high, low = bars["high"].rolling_max(window), bars["low"].rolling_min(window)
    return pl.DataFrame({"position": (bars["close"] - low) / (high - low), "width": (high / low).log()})


@label(classes=("down", "up"), cuts=(0.0,))
def excursion(bars: pl.DataFrame, horizon: int) -> pl.Series:
    """Whether the highest close of the next bars is farther away than the lowest one."""
    later = bars["close"].log().reverse()
    highest = later.rolling_max(horizon).reverse().shift(-1)
    lowest = later.rolling_min(horizon).reverse().shift(-1)
    return highest + lowest - 2 * bars["close"].log()


@network(name="attention")
class Attention(nn.Module):
    """One layer of convolutions, and a weighted mean of its bars."""

    def __init__(
        self,
        features: int,
        outputs: int,
        window: int,
        hidden_size: Annotated[int, Field(ge=1, le=512, description="Channels.")] = 16,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(features, hidden_size, kernel_size=3, padding=1)
        self.score = nn.Linear(hidden_size, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, outputs)

    def forward(self, windows: Tensor) -> Tensor:
        states = self.convolution(windows.transpose(1, 2)).transpose(1, 2).relu()
        pooled = (self.score(states).softmax(dim=1) * states).sum(dim=1)
        outputs: Tensor = self.head(self.dropout(pooled))
        return outputs
