"""Evidence for a gain that may be looked at after every outcome: an e-value by betting.

Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting. A bettor who stakes the share
L of their wealth on a gain g in [-1, 1] has 1 + L g times that wealth afterwards. Where no gain is to be expected, the
wealth W is not expected to grow, and with a probability of at most a it ever reaches 1 / a times what it was (Ville).
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]

LEVEL = 0.05
ENOUGH = 1 / LEVEL
"""The e-value at which a lead is claimed: without one it is ever reached in at most 5 % of cases."""

# Bettors with equal capital, so that nobody needs to know how large the gain will be; a growth rate is hardly missed
# between two of them, as it is flat around its optimum.
STAKES: Floats = 0.8 * 0.75 ** np.arange(13, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """E-values over time. Arrays are [instants, rivals] in the order of the gains.

    values: e-value at each opening instant, before the bet of that instant, and one more of now
    """

    values: Floats

    @property
    def now(self) -> Floats:
        """[rivals]"""
        return np.asarray(self.values[-1], np.float64)

    @property
    def highest(self) -> Floats:
        """[rivals], the highest so far, which is what the probability of Ville's inequality is about."""
        return np.asarray(self.values.max(axis=0), np.float64)


def gather_evidence(opens: Instants, settles: Instants, gains: Floats, streams: int) -> Evidence:
    """Bet on gains whose outcomes come later, and overlap.

    opens: [instants], rising, when each prediction was made
    settles: [instants], when its outcome is known; NaT where it is not yet
    gains: [instants, rivals], in [-1, 1]; of no matter where the outcome is not known
    streams: how many predictions are under way at once, so the label's horizon

    The capital is divided among the streams, and a stream bets on a prediction once the outcome of its last one is
    known. So no bet knows a part of its outcome, however much labels overlap. A bet under way counts as lost: whoever
    stops here has at least this wealth in the end, so the value may be acted on at any instant. A prediction for which
    no stream is free, as more are under way than a horizon has bars, is not bet on.
    """
    chosen, values = _streams(opens, settles, streams), np.zeros((len(opens) + 1, gains.shape[1]))
    times = np.append(opens, np.datetime64("9999-12-31", "us"))
    for stream in range(streams):
        own = np.flatnonzero(chosen == stream)
        paid = np.cumprod(1 + gains[own][:, :, None] * STAKES, axis=0)
        wealth = np.concatenate([np.ones((1, *paid.shape[1:])), paid])  # [bets so far, rivals, stakes]
        settled = np.searchsorted(settles[own], times, "right")
        is_under_way = np.searchsorted(opens[own], times, "left") > settled
        lowest = (wealth * (1 - STAKES)).mean(axis=2)
        values += np.where(is_under_way[:, None], lowest[settled], wealth.mean(axis=2)[settled])
    return Evidence(values / streams)


def _streams(opens: Instants, settles: Instants, streams: int) -> NDArray[np.int64]:
    """[instants], the stream that bets on each prediction: the one that is free the longest, -1 where none is."""
    free_at = [(np.datetime64("0001-01-01", "us"), stream) for stream in range(streams)]
    chosen = np.full(len(opens), -1)
    latest = np.datetime64("9999-12-31", "us")
    for place, (opened, settled) in enumerate(zip(opens, settles, strict=True)):
        if free_at[0][0] <= opened:
            chosen[place] = free_at[0][1]
            heapreplace(free_at, (latest if np.isnat(settled) else settled, free_at[0][1]))
    return chosen
