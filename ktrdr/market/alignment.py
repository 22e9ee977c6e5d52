"""Whether longer bars close when they say so, held against shorter bars of the same market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.sessions import Instants

_HOUR = np.timedelta64(3_600_000_000, "us")
# No day ends more than a day after the one that its date names.
_FARTHEST = 24
# How many bars must be early, at least and as a share, and for how many the prices must tell when they close.
_LEAST, _MANY, _AGREE = 5, 0.25, 0.8
# Two series of one source differ by rounding alone.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Closes:
    """Bars of one timeframe: when each closes [us, UTC], and at which price."""

    at: Instants
    price: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Early:
    """Longer bars hold prices of after their close.

    hours: how much later than they claim they close; an hour less in a part of the year where clocks change
    rows: those that show it
    """

    hours: int
    rows: NDArray[np.int64]

    @property
    def text(self) -> str:
        return "1 hour" if self.hours == 1 else f"{self.hours} hours"


def find_early(longer: Closes, shorter: Closes) -> Early | None:
    """How early longer bars are filed, where the shorter ones show that they are.

    A longer bar that closes at some instant ends with the price at which the shorter bars stand then. Where many do so
    some hours after the instant that they claim, and the others do at it, they are known before they have closed.
    """
    is_known, agrees = zip(*(_agree(longer, shorter, hour * _HOUR) for hour in range(_FARTHEST + 1)), strict=True)
    for hours in range(1, _FARTHEST + 1):
        # Where clocks change, it is an hour less in a part of the year.
        later = agrees[hours] | agrees[hours - 1]
        early = later & ~agrees[0]
        known = max(1, int(is_known[hours].sum()))
        if early.sum() >= max(_LEAST, _MANY * known) and (later | agrees[0]).sum() >= _AGREE * known:
            return Early(hours, np.flatnonzero(early))
    return None


def _agree(longer: Closes, shorter: Closes, shift: np.timedelta64) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each longer bar whether a shorter one closes within it as shifted, and whether their prices are the same."""
    last = np.searchsorted(shorter.at, longer.at + shift, "right") - 1
    known = (last >= 0) & (longer.at + shift - shorter.at[np.maximum(last, 0)] < _FARTHEST * _HOUR)
    known &= longer.at + shift <= shorter.at[-1] if len(shorter.at) else False
    prices = shorter.price[np.maximum(last, 0)] if len(shorter.price) else longer.price
    return known, known & (np.abs(prices / longer.price - 1) < _SAME)
