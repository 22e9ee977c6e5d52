"""Whether longer bars close when they say so, held against shorter bars of the same market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.sessions import Instants

_HOUR = np.timedelta64(3_600_000_000, "us")
# No day ends more than a day after the one that its date names.
_FARTHEST = 24
# How many bars must agree before a time counts as their close, and how few may agree with the time that they claim.
_LEAST, _AGREE, _CLAIM = 5, 0.9, 0.5
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


def find_early(longer: Closes, shorter: Closes) -> Early | None:
    """How early longer bars are filed, where the shorter ones show that they are.

    A longer bar that closes at some instant ends with the price at which the shorter bars stand then. Where few bars do
    at the instant that they claim, and nearly all do at one some hours later, they are known before they have closed.
    """
    at_hour = [_agree(longer, shorter, hour * _HOUR) for hour in range(_FARTHEST + 1)]
    known = np.logical_or.reduce([is_known for is_known, _ in at_hour])
    if known.sum() < _LEAST or _share(*at_hour[0]) >= _CLAIM:
        return None
    for hours in range(1, _FARTHEST + 1):
        (is_known, agrees), (_, agrees_before) = at_hour[hours], at_hour[hours - 1]
        either = agrees | agrees_before if hours > 1 else agrees
        if is_known.sum() >= _LEAST and _share(is_known, either) >= _AGREE:
            return Early(hours, np.flatnonzero(either))
    return None


def _agree(longer: Closes, shorter: Closes, shift: np.timedelta64) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each longer bar whether a shorter one closes within it as shifted, and whether their prices are the same."""
    last = np.searchsorted(shorter.at, longer.at + shift, "right") - 1
    known = (last >= 0) & (longer.at + shift - shorter.at[np.maximum(last, 0)] < _FARTHEST * _HOUR)
    known &= longer.at + shift <= shorter.at[-1] if len(shorter.at) else False
    prices = shorter.price[np.maximum(last, 0)] if len(shorter.price) else longer.price
    return known, known & (np.abs(prices / longer.price - 1) < _SAME)


def _share(known: NDArray[np.bool_], agrees: NDArray[np.bool_]) -> float:
    return float((agrees & known).sum() / max(1, known.sum()))
