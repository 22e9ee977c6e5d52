"""How long each type of label takes over a million bars of a random walk."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import polars as pl

from benchmarks.outcome import Figure, below
from ktrdr.features.labels.types import label_of
from ktrdr.features.uniqueness import average_uniqueness
from ktrdr.strategy.sections.labels import Direction, ForwardReturn, Trend, TripleBarrier

BARS = 1_000_000
ROUNDS = 3
SPECS: dict[str, Direction | ForwardReturn | TripleBarrier | Trend] = {
    "direction": Direction(horizon=10, threshold=0.001),
    "forward_return": ForwardReturn(type="forward_return", horizon=10),
    "triple_barrier, horizon 10": TripleBarrier(type="triple_barrier", horizon=10),
    "triple_barrier, horizon 100": TripleBarrier(type="triple_barrier", horizon=100),
    "triple_barrier, horizon 10,000, never touched": TripleBarrier(
        type="triple_barrier", horizon=10_000, upper=1000, lower=1000
    ),
    "trend, horizon 10": Trend(type="trend", horizon=10),
    "trend, horizon 100": Trend(type="trend", horizon=100),
}


def run(bars: int = BARS) -> list[Figure]:
    frame = random_walk(bars)
    figures = [
        Figure(f"Labels of {bars:,} bars: {name}", median(_seconds(spec, frame) for _ in range(ROUNDS)), "s", below(2))
        for name, spec in SPECS.items()
    ]
    rows = np.arange(bars - 100)
    began = time.perf_counter()
    average_uniqueness(rows, rows + 100, bars)
    return [*figures, Figure(f"Uniqueness of {bars:,} labels", time.perf_counter() - began, "s", below(2))]


def random_walk(bars: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.0005, bars)))
    return pl.DataFrame({"close": close})


def _seconds(spec: Direction | ForwardReturn | TripleBarrier | Trend, frame: pl.DataFrame) -> float:
    label = label_of(spec)
    began = time.perf_counter()
    measured = label.measure(spec, frame)
    if (cuts := label.cuts(spec, measured.values[measured.known])) is not None:
        cuts.classify(measured.values[measured.known])
    return time.perf_counter() - began
