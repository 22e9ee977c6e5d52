"""Finds bars of other symbols that were filed before they had closed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.leak import MEANING, Kind, Leak, instant_text
from ktrdr.features.ranks import ranks
from ktrdr.features.timeframes import latest_closed
from ktrdr.market.alignment import Closes, find_early
from ktrdr.market.other_series import OtherBars, SeriesKey

# From so many moves on, a correlation with the next move is more than chance and more than a market leaves to its
# followers; one with the same move that is not half as large shows that the two are a bar apart.
_MOVES, _NEXT, _SAME_SHARE = 100, 0.5, 0.5


def early_series_leaks(history: History, symbol: str) -> Iterator[Leak]:
    """A leak for each other symbol whose bars claim to close before they do.

    Its own shorter bars show it where features read both. The moves of `symbol` show it where they agree with the
    other's at the next bar, and not at the same one.
    """
    for key, bars in history.series.bars.items():
        yield from _by_shorter_bars(history, key, bars, symbol)
        yield from _by_moves(history, key, bars, symbol)


def _by_shorter_bars(history: History, key: SeriesKey, bars: OtherBars, symbol: str) -> Iterator[Leak]:
    same = {each.timeframe: own for each, own in history.series.bars.items() if each.symbol == key.symbol}
    shortest = min(same, key=lambda timeframe: timeframe.length)
    if shortest == key.timeframe or (early := find_early(_closes(bars), _closes(same[shortest]))) is None:
        return
    row = int(early.rows[0])
    shorter = same[shortest]
    known = float(shorter.frame["close"][max(0, int(np.searchsorted(shorter.closes, bars.closes[row], "right")) - 1)])
    detail = (
        f"the {key.timeframe} bars of {key.symbol} are filed early: its {shortest} bars show that they close "
        f"{early.text} after the instant at which they claim to"
    )
    yield _leak(key, symbol, bars.closes[row], (float(bars.frame["close"][row]), known), detail)


def _by_moves(history: History, key: SeriesKey, bars: OtherBars, symbol: str) -> Iterator[Leak]:
    closes = history.closes[history.base]
    joined = latest_closed(closes, bars.closes)
    rows = np.flatnonzero(np.diff(joined, prepend=-1) > 0)
    if len(rows) < _MOVES + 3:
        return
    own = _moves(history.frames[history.base]["close"].to_numpy()[rows])
    other = _moves(bars.frame["close"].to_numpy()[joined[rows]])
    same, later = _correlation(other, own), _correlation(other[:-1], own[1:])
    if later >= _NEXT and abs(same) < _SAME_SHARE * later:
        detail = (
            f"the {key.timeframe} bars of {key.symbol} are filed early: their moves agree with those of {symbol} one "
            f"bar later (rank correlation {later:.2f}) and not with those of the same time ({same:.2f})"
        )
        yield _leak(key, symbol, closes[rows[1]], (float(other[0]), float(own[1])), detail)


def _moves(closes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diff(np.log(closes))


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's; 0 where one of the two is constant."""
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def _closes(bars: OtherBars) -> Closes:
    return Closes(bars.closes, bars.frame["close"].to_numpy())


def _leak(key: SeriesKey, symbol: str, at: np.datetime64, values: tuple[float, float], detail: str) -> Leak:
    message = f"{detail}: {MEANING[Kind.OTHER_SYMBOL]}. Import or load them again."
    return Leak.of(Kind.OTHER_SYMBOL, symbol, f"close@{key.symbol}@{key.timeframe}", instant_text(at), values, message)
