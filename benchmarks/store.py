"""What the store's checksums and durability cost: its files beside plain Parquet written and read by Polars.

The two sides take turns; the median of the ratios of the rounds counts. Plain is `frame.write_parquet(path)` and
`polars.read_parquet(path)`, with no checksum, nothing forced to disk, and Polars' own choice of row groups.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks.minutes import minutes
from benchmarks.outcome import Figure, below
from ktrdr.market.store import BarStore

BARS = 2_500_000
MONTH = (date(2015, 6, 1), date(2015, 6, 30))
MILLION = (date(2005, 1, 3), date(2015, 4, 1))
ROUNDS = 9


def run(bars: int = BARS, rounds: int = ROUNDS) -> list[Figure]:
    frame = minutes(bars)
    with TemporaryDirectory() as folder:
        return _measure(frame, Path(folder), rounds)


def _measure(frame: pl.DataFrame, folder: Path, rounds: int) -> list[Figure]:
    store, plain = BarStore(folder / "bars"), folder / "plain.parquet"
    write = _pairs(
        lambda: store.merge("X", "1m", frame, "made up", replace=True), lambda: frame.write_parquet(plain), rounds
    )
    read = _pairs(lambda: store.read("X", "1m"), lambda: pl.read_parquet(plain), rounds)
    month = [_seconds(lambda: store.read("X", "1m", *MONTH)) for _ in range(3 * rounds)]
    million = [_seconds(lambda: store.read("X", "1m", *MILLION)) for _ in range(3 * rounds)]
    name = f"{len(frame):,} one-minute bars"
    rows = len(store.read("X", "1m", *MILLION))
    return [
        *_figures(f"Checking and writing {name}", write),
        *_figures(f"Reading {name}", read),
        Figure(f"Reading one month of {name}", 1e3 * median(month), "ms", below(20)),
        Figure(f"Reading {rows:,} of {name}", 1e3 * median(million), "ms", below(100)),
        Figure("The store's file ÷ plain, in bytes", store.info("X", "1m").size_bytes / plain.stat().st_size, ""),
    ]


def _figures(name: str, pairs: list[tuple[float, float]]) -> list[Figure]:
    return [
        Figure(name, median(ours for ours, _ in pairs), "s"),
        Figure("… ÷ plain Parquet", median(ours / plain for ours, plain in pairs), "×", below(1.15)),
    ]


def _pairs(ours: Callable[[], object], plain: Callable[[], object], rounds: int) -> list[tuple[float, float]]:
    """Which of the two goes first changes from round to round; the first round warms up."""
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            mine, theirs = _seconds(ours), _seconds(plain)
        else:
            theirs, mine = _seconds(plain), _seconds(ours)
        pairs.append((mine, theirs))
    return pairs[1:]


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
