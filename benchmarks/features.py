"""Features of a million one-minute bars: ten indicators on minutes and hours, joins included, and their memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import polars as pl

from benchmarks.minutes import minutes
from benchmarks.outcome import Figure, below

BARS = 1_000_000
STRATEGY = """
name: Ten indicators
timeframes: [1m, 1h]
model: {type: lstm}
indicators:
  - {name: sma, period: 20}
  - {name: rsi, period: 14}
  - {name: atr, period: 14}
  - {name: adx, period: 14}
  - {name: cci, period: 20}
  - {name: mfi, period: 14}
  - {name: macd, timeframe: 1m}
  - {name: bbands, period: 20, timeframe: 1m}
  - {name: stoch, timeframe: 1m}
  - {name: obv, timeframe: 1m}
"""


def run() -> list[Figure]:
    # A process of its own, whose peak of memory is this and nothing else.
    done = subprocess.run([sys.executable, "-m", "benchmarks.features"], capture_output=True, text=True, check=True)
    seconds, ratio, columns = json.loads(done.stdout)
    what = f"Features of {BARS:,} bars, {columns} columns of 10 indicators, joins included"
    return [
        Figure(what, seconds, "s", below(3)),
        Figure("… memory that it takes ÷ the feature matrix", ratio, "×", below(5)),
    ]


def measure() -> tuple[float, float, int]:
    from ktrdr.features.columns import build_features
    from ktrdr.features.indicators import IndicatorCatalogue
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.loading import load_strategy

    strategy = load_strategy(STRATEGY, IndicatorCatalogue())
    bars = minutes(BARS)
    hours = bars.group_by_dynamic("timestamp", every="1h").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    columns = build_features(strategy, SymbolBars({"1m": bars, "1h": hours}))
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    return seconds, grown / columns.values.nbytes, columns.values.shape[1]


if __name__ == "__main__":
    print(json.dumps(measure()))
