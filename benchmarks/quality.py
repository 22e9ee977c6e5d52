"""How long the check of a million one-minute bars takes, with every fiftieth of them missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from benchmarks.minutes import minutes
from benchmarks.outcome import Figure, below
from ktrdr.market.quality import check
from ktrdr.market.resample import resample

BARS = 1_000_000
ROUNDS = 9


def run(bars: int = BARS, rounds: int = ROUNDS) -> list[Figure]:
    frame = minutes(bars * 50 // 49).sample(bars, seed=0).sort("timestamp")
    # The calendar's import and the making of its sessions are once a process.
    check(frame[:1000], "X", "1m", "XNYS")
    check(frame, "X", "1m", "XNYS")
    checked = [_seconds(lambda: check(frame, "X", "1m", "XNYS")) for _ in range(rounds)]
    made = [_seconds(lambda: resample(frame, "X", "1m", "1h", "XNYS")) for _ in range(rounds)]
    return [
        Figure(f"Quality check of {bars:,} bars", median(checked), "s", below(1)),
        Figure(f"Hours made of {bars:,} minutes", median(made), "s"),
    ]


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
