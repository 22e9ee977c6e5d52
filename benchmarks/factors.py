"""Features of 800 symbols × 14 factors × 14 years of days, from stored bars to one table, with nothing cached.

It is the task by which Qlib compares stores of bars (its README, "Performance of Qlib Data Server": 800 stocks, daily
bars of 2007 to 2020, 14 factors). Qlib does not publish the factors; these are of kinds that its Alpha158 has:
averages, returns, deviations, slopes, residuals, extremes and a correlation. Where QLIB_PYTHON names a Python that has
`pyqlib`, it computes the same factors from the same bars in its own format, in one process too, without its caches.

The factors differ in three ways. TA-Lib's deviations are of a population (n), those of Qlib of a sample (n - 1). Qlib
stores and returns float32, ktrdr float64. In the first rows ktrdr has nulls, and Qlib has values of shorter windows.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

import ktrdr
from benchmarks.outcome import Figure, below
from ktrdr.home import Home
from ktrdr.market.bars import SCHEMA, VALUES
from ktrdr.market.sessions import Instants, sessions_of
from ktrdr.market.store import BarStore

SYMBOLS, ROUNDS = 800, 3
FIRST, LAST = np.datetime64("2007-01-01", "us"), np.datetime64("2020-12-31", "us")

# The entry of a strategy's indicators, and Qlib's expression of the feature that it makes.
FACTORS = {
    "{name: sma, period: 5}": "Mean($close, 5) / $close - 1",
    "{name: sma, period: 20}": "Mean($close, 20) / $close - 1",
    "{name: sma, period: 60}": "Mean($close, 60) / $close - 1",
    "{name: rocp, period: 5}": "$close / Ref($close, 5) - 1",
    "{name: rocp, period: 20}": "$close / Ref($close, 20) - 1",
    "{name: rocp, period: 60}": "$close / Ref($close, 60) - 1",
    "{name: stddev, period: 5}": "Std($close, 5) / $close",
    "{name: stddev, period: 20}": "Std($close, 20) / $close",
    "{name: stddev, period: 60}": "Std($close, 60) / $close",
    "{name: linearreg_slope, period: 20}": "Slope($close, 20) / $close",
    "{name: linearreg, period: 20}": "0 - Resi($close, 20) / $close",
    "{name: max, period: 20, source: high}": "Max($high, 20) / $close - 1",
    "{name: min, period: 20, source: low}": "Min($low, 20) / $close - 1",
    "{name: correl, period: 20, sources: [close, volume]}": "Corr($close, $volume, 20)",
}
STRATEGY = f"""
name: Fourteen factors
timeframes: [1d]
model: {{type: mlp}}
features: {{returns: false}}
indicators:
{"".join(f"  - {entry}{chr(10)}" for entry in FACTORS)}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: seconds by the clock and of processor time, and its largest memory in bytes."""

    seconds: float
    processor_seconds: float
    memory: int

    @classmethod
    def of(cls, action: Callable[[], object]) -> Cost:
        began, busy = time.perf_counter(), time.process_time()
        action()
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        unit = 1 if sys.platform == "darwin" else 1024
        return cls(seconds, busy, unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def run(symbols: int = SYMBOLS, rounds: int = ROUNDS) -> list[Figure]:
    qlib_python = os.environ.get("QLIB_PYTHON")  # noqa: TID251
    with TemporaryDirectory() as folder:
        home, qlib_folder = Path(folder, "home"), Path(folder, "qlib")
        store_bars(home, symbols)
        if qlib_python:
            write_for_qlib(home, qlib_folder)
        pairs = []
        for _ in range(rounds):
            ours = _cost([sys.executable, "-m", "benchmarks.factors", str(home)])
            theirs = _by_qlib(qlib_python, qlib_folder) if qlib_python else None
            pairs.append((ours, theirs))
    return _figures(symbols, pairs)


def _figures(symbols: int, pairs: list[tuple[Cost, Cost | None]]) -> list[Figure]:
    best = min((ours for ours, _ in pairs), key=lambda cost: cost.seconds)
    figures = [
        Figure(
            f"Features of {symbols} symbols × {len(FACTORS)} factors × 14 years of days", best.seconds, "s", below(3)
        ),
        Figure("… processor time", min(ours.processor_seconds for ours, _ in pairs), "s"),
        Figure("… largest memory of the process", best.memory / 1e6, "MB"),
    ]
    rivals = [(ours, theirs) for ours, theirs in pairs if theirs]
    if not rivals:
        return figures
    quickest = min((theirs for _, theirs in rivals), key=lambda cost: cost.seconds)
    ratio, busy_ratio = (
        min(getattr(ours, what) for ours, _ in rivals) / min(getattr(theirs, what) for _, theirs in rivals)
        for what in ("seconds", "processor_seconds")
    )
    return [
        *figures,
        Figure("… by Qlib without its caches", quickest.seconds, "s"),
        Figure("… processor time of Qlib", min(theirs.processor_seconds for _, theirs in rivals), "s"),
        Figure("… ktrdr ÷ Qlib", ratio, "×", below(0.3)),
        Figure("… ktrdr ÷ Qlib, processor time", busy_ratio, "×", below(0.3)),
    ]


def _by_qlib(python: str, folder: Path) -> Cost:
    script = Path(__file__).with_name("qlib_factors.py")
    return _cost([python, str(script), str(folder), json.dumps(list(FACTORS.values()))])


def _cost(command: list[str]) -> Cost:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


# Bars.


def store_bars(home: Path, symbols: int) -> None:
    """Random walks in whole cents on the days of New York's exchange."""
    store, sessions = BarStore(Home(home).bars), sessions_of("XNYS", FIRST, LAST)
    days = sessions.days[(sessions.days >= FIRST) & (sessions.days <= LAST)]
    for number in range(symbols):
        store.merge(f"S{number:03}", "1d", _random_walk(days, np.random.default_rng(number)), "made up")


def _random_walk(days: Instants, random: np.random.Generator) -> pl.DataFrame:
    count = len(days)
    close = np.round(50 * np.exp(np.cumsum(random.normal(0.0002, 0.02, count))), 2).clip(1)
    open_ = np.concatenate([[50.0], close[:-1]])
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) + 0.01 * random.integers(0, 60, count),
        "low": (np.minimum(open_, close) - 0.01 * random.integers(0, 60, count)).clip(0.01),
        "close": close,
        "volume": np.round(1e6 * np.exp(random.normal(0, 0.5, count))),
    }
    return pl.DataFrame({"timestamp": pl.Series(days).dt.replace_time_zone("UTC"), **columns}, schema=SCHEMA)


def write_for_qlib(home: Path, folder: Path) -> None:
    """The stored bars in Qlib's format: float32 by field, and before them the place of the first day."""
    store, instruments = BarStore(Home(home).bars), []
    for name in ("calendars", "instruments"):
        (folder / name).mkdir(parents=True)
    for info in store.list():
        frame, own = store.read(info.symbol, "1d"), folder / "features" / info.symbol.lower()
        own.mkdir(parents=True)
        for field in VALUES:
            np.concatenate([[0.0], frame[field].to_numpy()]).astype("<f4").tofile(own / f"{field}.day.bin")
        days = frame["timestamp"].dt.strftime("%Y-%m-%d").to_list()
        instruments.append(f"{info.symbol}\t{days[0]}\t{days[-1]}\n")
        (folder / "calendars" / "day.txt").write_text("\n".join(days) + "\n", encoding="utf-8")
    (folder / "instruments" / "all.txt").write_text("".join(instruments), encoding="utf-8")


# One process.


def measure(home: Path) -> Cost:
    symbols = [info.symbol for info in BarStore(Home(home).bars).list()]
    ktrdr.build_features(STRATEGY, symbols[0], home=home)  # imports what it needs
    return Cost.of(lambda: ktrdr.build_features(STRATEGY, symbols, home=home))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1])))))
