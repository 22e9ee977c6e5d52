"""How long the simulation of fills takes over a million minutes, in seconds of the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from benchmarks.minutes import minutes
from benchmarks.outcome import Figure, below
from ktrdr.evaluation.fills.orders import Barriers, FillBars, FillCosts, Simulation
from ktrdr.evaluation.fills.simulation import simulate
from ktrdr.features.stretches import opens_of

BARS, ROUNDS = 1_000_000, 3
COSTS = FillCosts(rate=3e-6, fee=1e-6, borrow=1e-6)


def run() -> list[Figure]:
    bars, random = minute_bars(), np.random.default_rng(0)
    sides, sizes = np.sign(random.normal(size=BARS)), random.uniform(-1, 1, BARS)
    barriers = Barriers(bars.open * 1.002, bars.open * 0.998, 60)
    ways: dict[str, Callable[[], Simulation]] = {
        "a band, a new side every 10 bars": lambda: simulate(bars, np.repeat(sides[::10], 10), COSTS, band=0.1),
        "a band, another size at each bar": lambda: simulate(bars, sizes, COSTS, band=0.1),
        "barriers, at most 60 bars apart": lambda: simulate(bars, sides, COSTS, barriers=barriers),
    }
    return [
        Figure(f"Fills of {BARS:,} bars: {name}", median(_seconds(way) for _ in range(ROUNDS)), "s", below(5))
        for name, way in ways.items()
    ]


def minute_bars() -> FillBars:
    frame = minutes(BARS)
    opens = opens_of(frame)
    open_, high, low, close, volume = (frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    days = np.append(np.diff(opens), np.timedelta64(1, "m")) / np.timedelta64(1, "D")
    return FillBars(opens, open_, high, low, close, volume, days, np.arange(BARS) == BARS - 1)


def _seconds(way: Callable[[], Simulation]) -> float:
    began = time.process_time()
    way()
    return time.process_time() - began
