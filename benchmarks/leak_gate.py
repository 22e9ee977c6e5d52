"""What the leak gate costs, and whether it ever cries wolf: the shipped strategies audited on real bars.

`python -m benchmarks.leak_gate --instants 4000` audits alone, and as densely as `ktrdr strategies audit`. The real bars
lie beside the repository, in ../shared/data/bars; where they are not, only made-up ones are measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from benchmarks.outcome import Figure, below
from ktrdr.errors import TrainingDataError
from ktrdr.features.assemble import build_dataset
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.leaks.gate import audit, check_leaks
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.leaks import AuditReport
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy

ROOT = Path(__file__).parents[1]
STRATEGIES = sorted(
    path for path in (ROOT / "config" / "strategies").glob("*.yaml") if not path.stem.startswith("search_")
)
REAL = ROOT.parent / "shared" / "data" / "bars"

ROUNDS = 5
BARS = 1_000_000
# Of each symbol in the audits here; the audit's own default takes every bar of most series.
INSTANTS = 100
TEN = ("sma", "ema", "rsi", "macd", "bbands", "atr", "adx", "cci", "willr")

Bars = Mapping[str, SymbolBars]


def run() -> list[Figure]:
    from ktrdr.market.provider import fetch
    from ktrdr.market.providers.sample import SampleProvider

    sample = {"AAPL": SymbolBars({"1d": fetch(SampleProvider(), "AAPL", "1d").frame})}
    e2e = shipped("test_e2e")
    figures = gate_figures("1,509 daily bars, the spec's strategy", e2e.on(["1d"]), sample)
    if REAL.is_dir():
        hours = {"AAPL": SymbolBars({"1h": real("AAPL", "1h", 2014), "1d": real("AAPL", "1d")})}
        figures += gate_figures("12,720 hours and their days, the spec's strategy", e2e.on(["1h", "1d"]), hours)
    figures += gate_figures(
        f"{BARS:,} minutes and their hours, 10 indicators", ten_indicators(), made_up(BARS), rounds=1
    )
    return figures + audit_figures(INSTANTS)


def gate_figures(name: str, strategy: Strategy, bars: Bars, rounds: int = ROUNDS) -> list[Figure]:
    """In seconds, and beside what the dataset itself takes."""
    made, checked = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        dataset = build_dataset(strategy, bars)
        made.append(time.perf_counter() - began)
        checked.append(check_leaks(strategy, bars, dataset).seconds)
    # A million samples take an LSTM minutes an epoch: 5 % of ten epochs are far more than these seconds.
    aim = below(1) if rounds > 1 else below(20)
    return [
        Figure(f"leak gate: {name}", median(checked), "s", aim),
        Figure("… ÷ what features, labels and split take", median(checked) / median(made), "×"),
    ]


@dataclass(slots=True)
class Audits:
    done: int = 0
    impossible: int = 0
    instants: int = 0
    histories: int = 0
    rows: int = 0
    alarms: int = 0


def audit_figures(instants: int) -> list[Figure]:
    """Each shipped strategy on each series of real bars, alone and with a longer timeframe."""
    if not REAL.is_dir():
        return []
    began, found = time.perf_counter(), Audits()
    for path in STRATEGIES:
        for symbol, bars in real_series():
            report = audited(shipped(path.stem).on(list(bars)), {symbol: bars}, instants)
            name = f"{path.stem} {symbol} {'+'.join(bars)}"
            if report is None:
                found.impossible += 1
                sys.stderr.write(f"{name}: cannot be trained\n")
                continue
            sys.stderr.write(f"{name}: {report.verdict} {report.seconds:.1f} s\n")
            found.done += 1
            found.instants += report.checks.instants
            found.histories += report.checks.histories
            found.rows += report.checks.rows_compared
            found.alarms += len(report.leaks)
    return [
        Figure("false alarms over the shipped strategies on real bars", found.alarms, "", below(1)),
        Figure("… audits", found.done, ""),
        Figure("… combinations that no training takes (no volume, too few bars)", found.impossible, ""),
        Figure("… instants", found.instants, ""),
        Figure("… histories made again", found.histories, ""),
        Figure("… values compared", found.rows, ""),
        Figure("… seconds", time.perf_counter() - began, "s"),
    ]


def audited(strategy: Strategy, bars: Bars, instants: int) -> AuditReport | None:
    try:
        return audit(strategy, bars, instants=instants)
    except TrainingDataError:
        return None


def real_series() -> Iterator[tuple[str, SymbolBars]]:
    for symbol in ("AAPL", "AMZN", "GOOGL", "MSFT", "NVDA", "QQQ", "SPY"):
        yield symbol, SymbolBars({"1d": real(symbol, "1d")})
    for symbol in ("AAPL", "SPY"):
        yield symbol, SymbolBars({"1h": real(symbol, "1h")})
        yield symbol, SymbolBars({"1h": real(symbol, "1h", 2014), "1d": real(symbol, "1d")})
        yield symbol, SymbolBars({"5m": real(symbol, "5m"), "1d": real(symbol, "1d")})
    yield "AAPL", SymbolBars({"1m": real("AAPL", "1m")})
    for symbol in ("BTCUSD", "EURUSD"):
        yield symbol, SymbolBars({"1h": real(symbol, "1h")})
        yield symbol, SymbolBars({"1h": real(symbol, "1h"), "1d": longer(real(symbol, "1h"), "1d")})


def real(symbol: str, timeframe: str, since: int = 0) -> pl.DataFrame:
    frame = pl.read_csv(REAL / f"{symbol}_{timeframe}.csv").select(
        pl.col("timestamp").str.to_datetime(time_unit="us", time_zone="UTC"), pl.exclude("timestamp").cast(pl.Float64)
    )
    return frame.filter(pl.col("timestamp").dt.year() >= since)


def shipped(name: str) -> Strategy:
    path = ROOT / "config" / "strategies" / f"{name}.yaml"
    return load_strategy(path.read_text(encoding="utf-8"), IndicatorCatalogue())


def ten_indicators() -> Strategy:
    own = [{"name": name, "timeframe": "1m"} for name in TEN]
    return Strategy.model_validate(
        {
            "name": "ten",
            "model": {"type": "lstm"},
            "timeframes": ["1m", "1h"],
            "indicators": [*own, {"name": "rsi", "timeframe": "1h"}],
        }
    )


def made_up(rows: int) -> Bars:
    random = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.0005, rows)))
    stamps = np.datetime64("2015-01-01", "us") + np.arange(rows) * np.timedelta64(60, "s")
    minutes = pl.DataFrame(
        {
            "timestamp": pl.Series(stamps).dt.replace_time_zone("UTC"),
            "open": close * 0.999,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": random.integers(1000, 2000, rows).astype(np.float64),
        }
    )
    return {"X": SymbolBars({"1m": minutes, "1h": longer(minutes, "1h")})}


def longer(bars: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    return bars.group_by_dynamic("timestamp", every=timeframe).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instants", type=int, default=INSTANTS, help="bars of each symbol to audit")
    for figure in audit_figures(parser.parse_args().instants):
        sys.stdout.write(f"{figure.name}: {figure.value:,.0f}\n")
