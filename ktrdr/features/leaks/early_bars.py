"""Finds longer bars that were filed before they had closed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.leak import MEANING, Kind, Leak, instant_text
from ktrdr.market.alignment import Closes, find_early


def early_leaks(history: History, symbol: str) -> Iterator[Leak]:
    """A leak for each longer timeframe whose bars hold prices of after their close, as the base bars show."""
    base = _closes(history, history.base)
    for timeframe in history.others:
        longer = _closes(history, timeframe)
        if (early := find_early(longer, base)) is None:
            continue
        row = int(early.rows[0])
        claimed = longer.at[row]
        known = float(base.price[max(0, int(np.searchsorted(base.at, claimed, "right")) - 1)])
        instant = instant_text(claimed)
        detail = (
            f"the {timeframe} bars of {symbol} are filed early: the {history.base} bars show that they close "
            f"{early.text} after the instant at which they claim to. The bar that claims {instant} ends at "
            f"{longer.price[row]:g}, and the price was {known:g} then: {MEANING[Kind.OPEN_BAR]}. Import or load them "
            "again."
        )
        column = f"close@{timeframe}"
        yield Leak.of(Kind.OPEN_BAR, symbol, column, instant, (float(longer.price[row]), known), detail)


def _closes(history: History, timeframe: str) -> Closes:
    return Closes(history.closes[timeframe], history.frames[timeframe]["close"].to_numpy())
