"""How many bars a year there are in the part of a history that is judged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.trading_clock import TradingClock

Instants = NDArray[np.datetime64]

YEAR = np.timedelta64(365 * 86_400 + 6 * 3_600, "s").astype("timedelta64[us]")


def bars_per_year(opens: Instants, clocks: Sequence[TradingClock], *, bridges_holes: bool = False) -> float:
    """The bars that open at `opens` [bars, in order], for each year of the market's time that they cover.

    bars / (bars that the calendar expects in the same time, holes left out) * (bars that it expects in a year)

    The year's bars are the mean of as many whole years up to the last bar as the bars span. So a few sessions count as
    what they are, and a wrong calendar matters only in parts much shorter than a year. Of several symbols' `clocks` the
    one with the most bars counts.
    """
    length = clocks[0].length
    end, around_the_clock = opens[-1] + length, float(YEAR / length)
    years = max(1, math.ceil((end - opens[0]) / YEAR))
    yearly, clock = max(
        ((_between(clock, end - years * YEAR, end) / years, clock) for clock in dict.fromkeys(clocks)),
        key=lambda each: each[0],
    )
    expected = _expected(opens, clock, bridges_holes)
    # Bars outside the sessions alone have no trading time.
    return min(around_the_clock, float(len(opens) / expected) * yearly) if expected > 0 else around_the_clock


def _expected(opens: Instants, clock: TradingClock, bridges_holes: bool) -> float:
    begins = [0, *(() if bridges_holes else (hole.row for hole in clock.holes(opens)))]
    lasts = np.array([*begins[1:], len(opens)]) - 1
    return float(clock.bars_between(opens[begins], opens[lasts] + clock.length).sum())


def _between(clock: TradingClock, begin: np.datetime64, end: np.datetime64) -> float:
    (bars,) = clock.bars_between(np.array([begin]), np.array([end])).tolist()
    return float(bars)
