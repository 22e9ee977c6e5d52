"""Chooses the bars at which histories are truncated: where leaks show, and evenly over the rest."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ktrdr.features.columns import Columns
    from ktrdr.features.leaks.histories import History
    from ktrdr.market.sessions import Instants

Rows = NDArray[np.int64]

# A column that repeats fewer of its values was filled, or repeats them by chance.
RARE = 0.25


def generator(history: History) -> np.random.Generator:
    """A generator seeded with the content of the bars."""
    content = history.frames[history.base]["close"].to_numpy()
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(content).tobytes()))


def instants(history: History, whole: Columns, borders: Iterable[int], count: int) -> Rows:
    """At most `count` sorted rows after which histories are truncated; never the last row."""
    random, last = generator(history), history.rows - 2
    if count > last:
        return np.arange(last + 1)
    chosen: dict[int, None] = {}
    named = [*borders, *_around_warmup(whole), *_places(history, whole, random)]
    for row in (*named[: 2 * count // 3], *_spread(history.rows, count, random)):
        if 0 <= row <= last:
            chosen[int(row)] = None
        if len(chosen) >= count:
            break
    return np.sort(np.fromiter(chosen, np.int64, len(chosen)))


def _around_warmup(whole: Columns) -> tuple[int, ...]:
    return whole.warmup, whole.warmup // 2, whole.warmup - 1


def _places(history: History, whole: Columns, random: np.random.Generator) -> Iterator[int]:
    """Rows before a repeated value, around a pause, and around instants at which more is known of a series, in turn."""
    pauses, repeats = _pauses(history), _repeats(history, whole)
    ends = [
        _ends(history, each) for each in (*(history.closes[each] for each in history.others), *history.series.events())
    ]
    random.shuffle(repeats)
    for turn in range(4):
        yield from (int(random.choice(rows)) for rows in repeats[turn::4][:2])
        if len(pauses):
            row = int(pauses[0] if not turn else random.choice(pauses))
            yield from (row, row + 1)
        for rows in ends:
            if len(rows):
                row = int(random.choice(rows))
                yield from (row - 1, row)


def _pauses(history: History) -> Rows:
    """Rows followed by an unusually long pause, the longest first."""
    steps = np.diff(history.opens[history.base])
    rows = np.flatnonzero(steps > np.median(steps))
    return rows[np.argsort(-steps[rows].astype(np.int64), kind="stable")]


def _ends(history: History, instants: Instants) -> Rows:
    """The first base rows that close at or after each instant, such as the close of a bar of a longer timeframe."""
    rows = np.searchsorted(history.closes[history.base], instants)
    return np.unique(rows[(rows > 0) & (rows < history.rows)])


def _repeats(history: History, whole: Columns) -> list[Rows]:
    """The rows before a repeated value, for each column that rarely repeats one on a timeframe's bars."""
    repeats = []
    for rows in (np.arange(history.rows), *(_ends(history, history.closes[each]) for each in history.others)):
        for column in whole.values.T:
            values = column[rows]
            repeated = np.flatnonzero(values[1:] == values[:-1])
            if 0 < len(repeated) < RARE * len(rows):
                repeats.append(rows[repeated])
    return repeats


def _spread(rows: int, count: int, random: np.random.Generator) -> Iterator[int]:
    """One random row in each of `count` equal stretches, in random order."""
    edges = np.linspace(0, max(1, rows - 1), count + 1).astype(np.int64)
    for place in random.permutation(count):
        low, high = int(edges[place]), int(edges[place + 1])
        yield int(random.integers(low, max(low + 1, high)))
