"""When the bar after the newest one closes: until then no outcome of a prediction at the newest one is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ktrdr.features.stretches import clock_for, opens_of
from ktrdr.market.closings import closes_at, with_instants
from ktrdr.market.series_file import StoredBars
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

# No market rests longer between two bars; past it the next bar is taken for closed.
_LONGEST_REST = timedelta(days=14)


def next_close(strategy: Strategy, symbol: str, bars: SymbolBars, stored: StoredBars) -> datetime:
    """The earliest instant at which the bar after the last one of the base timeframe can have closed.

    `bars` have closed; `stored` is the base series, which says how its days open. Bars that the calendar does not
    expect are passed over, so a Friday's prediction is in time until the close of Monday.
    """
    base = strategy.timeframes[0]
    last = opens_of(bars[base])[-1]
    steps = np.arange(1, max(2, _LONGEST_REST // base.length + 1))
    opens = last + steps * np.timedelta64(base.length)
    expected = clock_for(strategy, symbol, bars, base).bars_between(
        opens[:, None], (opens + np.timedelta64(base.length))[:, None]
    )[:, 0]
    frame = pl.DataFrame({"timestamp": pl.Series(opens.astype("datetime64[us]")).dt.replace_time_zone("UTC")})
    closes = closes_at(with_instants(frame, base, stored.clock, stored.calendar), base, strategy.calendar)
    return instant(closes[np.append(np.flatnonzero(expected > 0), len(closes) - 1)[0]])
