"""What a prediction depends on, by content: everything that was known at the close of the predicted bar.

Indicators with a long memory depend on every bar since the first, so all of them count, from the first day of the
training on, as do the bars of other symbols and the tables that the strategy reads. The hash of the bars up to each
predicted one costs a single pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.bars import SCHEMA
from ktrdr.market.closings import closes_at
from ktrdr.market.other_series import OtherSeries
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.known_rows import KnownRows
from ktrdr.payloads.follows import ReadSeries

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]
Instants = NDArray[np.datetime64]


def known_at(strategy: Strategy, bars: SymbolBars) -> SymbolBars:
    """The bars with what was known of other series when the last one of the base timeframe closed."""
    base = strategy.timeframes[0]
    if not bars.others or bars[base].is_empty():
        return bars
    return replace(bars, others=bars.others.known_at(closes_at(bars[base], base, strategy.calendar)[-1]))


def series_read(strategy: Strategy, bars: SymbolBars, rows: Rows) -> list[dict[str, ReadSeries]]:
    """What the prediction at each of `rows` of the base timeframe, which rise, has read, by the name of the series."""
    base = strategy.timeframes[0]
    closes = closes_at(bars[base], base, strategy.calendar)[rows]
    read = dict(_all_read(strategy, bars, closes))
    return [{name: own[place] for name, own in read.items()} for place in range(len(rows))]


def cut(bars: SymbolBars, read: Mapping[str, ReadSeries]) -> SymbolBars:
    """The bars up to the last one that was read of each series."""
    own = bars.map(lambda name, frame: frame.head(_count(_stamps(frame), read[name])))
    others = OtherSeries(
        {key: each.between(0, _count(_stamps(each.frame), read[str(key)])) for key, each in bars.others.bars.items()},
        {name: _first(rows, _count(rows.known_at, read[_table(name)])) for name, rows in bars.others.tables.items()},
    )
    return replace(own, others=others)


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


def _all_read(strategy: Strategy, bars: SymbolBars, closes: Instants) -> Iterator[tuple[str, list[ReadSeries]]]:
    for timeframe in strategy.timeframes:
        own = closes_at(bars[timeframe], timeframe, strategy.calendar)
        yield timeframe, _bars_read(bars[timeframe], np.searchsorted(own, closes, "right"))
    for key, other in bars.others.bars.items():
        yield str(key), _bars_read(other.frame, np.searchsorted(other.closes, closes, "right"))
    for name, rows in bars.others.tables.items():
        yield _table(name), _table_read(rows, np.searchsorted(rows.known_at, closes, "right"))


def _bars_read(frame: pl.DataFrame, counts: Rows) -> list[ReadSeries]:
    stamps, hashes = _stamps(frame), prefix_hashes(frame, counts.tolist())
    return [_read(stamps, int(count), sha256) for count, sha256 in zip(counts, hashes, strict=True)]


def _table_read(rows: KnownRows, counts: Rows) -> list[ReadSeries]:
    hashes = {count: _first(rows, count).sha256 for count in set(counts.tolist())}
    return [_read(rows.known_at, count, hashes[count]) for count in counts.tolist()]


def _first(rows: KnownRows, count: int) -> KnownRows:
    """The first `count` rows; rows that are known at one instant come together."""
    return rows.until(rows.known_at[count - 1] if count else np.datetime64("0001-01-01", "us"))


def _read(stamps: Instants, count: int, sha256: str) -> ReadSeries:
    return ReadSeries(rows=count, last=instant(stamps[count - 1]) if count else None, sha256=sha256)


def _count(stamps: Instants, read: ReadSeries) -> int:
    if read.last is None:
        return 0
    return int(np.searchsorted(stamps, np.datetime64(read.last.replace(tzinfo=None), "us"), "right"))


def _stamps(frame: pl.DataFrame) -> Instants:
    return frame["timestamp"].to_numpy().astype("datetime64[us]")


def _table(name: str) -> str:
    return f"table {name}"
