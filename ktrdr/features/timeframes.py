"""Joins timeframes by closing instants.

A bar may be used only once it has closed. Joins across timeframes therefore compare closing instants, never opening
instants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InputError
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

Instants = NDArray[np.datetime64]


def on_timeframes(strategy: Strategy, requested: Sequence[str]) -> Strategy:
    """The strategy on its own timeframes or on the requested ones, shortest first.

    Raises InputError when neither names one, or when the two differ.
    """
    names = sorted({Timeframe.parse(timeframe) for timeframe in requested}, key=lambda name: name.length)
    own: list[str] = list(strategy.timeframes)
    if not names and not own:
        raise InputError(
            "neither the strategy nor the request names a timeframe",
            hint="name one with --timeframes 1d, or under timeframes in the strategy",
        )
    if names and own and names != own:
        raise InputError(
            f"the strategy is for the timeframes {', '.join(own)}; the request names {', '.join(names)}",
            hint="leave them out of the request, or out of the strategy",
        )
    return strategy.on(own or names)


def latest_closed(base_closes: Instants, other_closes: Instants) -> NDArray[np.int64]:
    """[base bars], the row of the newest other bar that had closed by the base bar's close; -1 where there is none."""
    return np.searchsorted(other_closes, base_closes, "right").astype(np.int64) - 1
