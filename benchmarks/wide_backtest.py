"""A backtest of 500 symbols over ten years of days, a walk forward joined: features, predictions, figures and report.

The walk forward (an MLP, three folds, one epoch) is trained before the clock starts. The backtest runs in
a process of its own: it makes the samples of each fold again, lets each fold's model predict the bars that it has not
seen, tests and trades them, repeats that under stress, lists the trades, and writes rows, plot and HTML report.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.outcome import Figure, below
from ktrdr.home import Home
from ktrdr.market.bars import SCHEMA
from ktrdr.market.sessions import sessions_of
from ktrdr.market.store import BarStore

SYMBOLS, DAYS = 500, 2520
FIRST, LAST = np.datetime64("2014-01-02", "us"), np.datetime64("2024-06-01", "us")
STRATEGY = """
name: Many symbols
timeframes: [1d]
indicators:
  - {name: rsi, period: 14}
  - {name: roc, period: 5}
model: {type: mlp, hidden_size: 8, layers: 1, sequence_length: 5}
training: {epochs: 1, batch_size: 4096}
validation: {type: walk_forward, folds: 3, initial: 0.2}
"""


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        for step in ("train", "trade"):
            command = [sys.executable, "-m", "benchmarks.wide_backtest", step, folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
    what = f"backtest of {SYMBOLS} symbols × {DAYS:,} days, walk forward joined, report included"
    return [
        Figure(f"{what}, processor time", found["cpu_s"], "s", below(60)),
        Figure("… by the clock", found["seconds"], "s"),
        Figure("… memory at its peak", found["peak_gb"], "GB", below(2)),
    ]


def train(folder: Path) -> None:
    import ktrdr

    store = BarStore(Home(folder).bars)
    for name, bars in series():
        store.merge(name, "1d", bars, "made")
    ktrdr.train(STRATEGY, [name for name, _ in series()], output=folder / "model", home=folder)


def trade(folder: Path) -> dict[str, float]:
    import ktrdr

    began = time.perf_counter()
    ktrdr.backtest(folder / "model", start="2014-01-01", output=folder / "backtest", home=folder, allow_overlap=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": time.perf_counter() - began, "cpu_s": time.process_time(), "peak_gb": peak / 1e9}


def series() -> Iterator[tuple[str, pl.DataFrame]]:
    """Random walks that move together."""
    random, stamps = np.random.default_rng(0), sessions_of("XNYS", FIRST, LAST).between(FIRST, LAST).days[:DAYS]
    market = 0.008 * random.normal(size=DAYS)
    for number in range(SYMBOLS):
        close = 100 * np.exp(np.cumsum(market + 0.012 * random.normal(size=DAYS)))
        opening = np.append(100.0, close[:-1]) * np.exp(0.002 * random.normal(size=DAYS))
        columns = {
            "timestamp": pl.Series(stamps.astype("datetime64[us]")).dt.replace_time_zone("UTC"),
            "open": opening,
            "high": np.maximum(opening, close) * 1.001,
            "low": np.minimum(opening, close) * 0.999,
            "close": close,
            "volume": np.full(DAYS, 1e6),
        }
        yield f"S{number:03d}", pl.DataFrame(columns, schema=SCHEMA)


if __name__ == "__main__":
    print(json.dumps({"train": train, "trade": trade}[sys.argv[1]](Path(sys.argv[2]))))
