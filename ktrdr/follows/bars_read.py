"""The bars that a prediction depends on, by content: those of every timeframe that have closed with the predicted one.

Indicators with a long memory depend on every bar since the first, so all of them count, from the first day of the
training on. The hash of the bars up to each predicted one costs a single pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.bars import SCHEMA
from ktrdr.market.closings import closes_at
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.follows import ReadSeries
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BarsRead:
    """What the predictions at some rows of the base timeframe read, row by row."""

    rows: tuple[Mapping[str, ReadSeries], ...]

    @classmethod
    def at(cls, strategy: Strategy, bars: SymbolBars, rows: Rows) -> BarsRead:
        """`rows` of the base timeframe, rising; `bars` are those that have closed."""
        base = strategy.timeframes[0]
        closes = closes_at(bars[base], base, strategy.calendar)[rows]
        read = {
            timeframe: _read(bars[timeframe], np.searchsorted(_closes(strategy, bars, timeframe), closes, "right"))
            for timeframe in strategy.timeframes
        }
        return cls(tuple({name: own[place] for name, own in read.items()} for place in range(len(rows))))


def cut(bars: SymbolBars, read: Mapping[str, ReadSeries]) -> SymbolBars:
    """The bars up to the last one that was read of each timeframe."""
    import polars as pl

    return bars.map(lambda timeframe, frame: frame.filter(pl.col("timestamp") <= read[timeframe].last))


def prefix_hashes(frame: pl.DataFrame, counts: Iterable[int]) -> list[str]:
    """SHA-256 of the first n bars for each n of `counts`, which rise; further instants of bars count."""
    names = [*SCHEMA, *(name for name in frame.columns if name not in SCHEMA)]
    table = np.column_stack([frame[name].to_physical().to_numpy().view(np.int64) for name in names])
    digest, done, found = hashlib.sha256(",".join(names).encode()), 0, []
    for count in counts:
        digest.update(table[done:count].tobytes())
        done = max(done, count)
        found.append(digest.copy().hexdigest())
    return found


def _closes(strategy: Strategy, bars: SymbolBars, timeframe: Timeframe) -> NDArray[np.datetime64]:
    return closes_at(bars[timeframe], timeframe, strategy.calendar)


def _read(frame: pl.DataFrame, counts: Rows) -> list[ReadSeries]:
    stamps = frame["timestamp"].to_numpy().astype("datetime64[us]")
    return [
        ReadSeries(bars=int(count), last=instant(stamps[max(0, count - 1)]), sha256=sha256)
        for count, sha256 in zip(counts, prefix_hashes(frame, counts.tolist()), strict=True)
    ]
