"""A follow of 1,000 bars that is killed again and again: each bar has one row, with the bits of a prediction."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

import ktrdr
from benchmarks.outcome import Figure, at_least, below
from ktrdr.follows.append_only import read_lines
from ktrdr.home import Home
from ktrdr.market.bars import SCHEMA
from ktrdr.market.store import BarStore
from ktrdr.payloads.follows import ROW, PredictionRow

MODEL, BARS, TRAINED, KILLS = "op_training_20260101_aaaaaa", 1_440, 390, 12
ROWS = 1_000
STRATEGY = """
name: Followed
timeframes: [1h]
model: {type: lstm, layers: 1, hidden_size: 8, sequence_length: 8}
training: {epochs: 1}
indicators: [{name: rsi, period: 14}, {name: ema, period: 50}]
controls: {shuffled_labels: none}
"""


def run() -> list[Figure]:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder))
        _prepare(home)
        began = time.monotonic()
        _follow_with_kills(home)
        seconds = time.monotonic() - began
        return [*_figures(home), Figure("seconds with the restarts", seconds, "s")]


def _prepare(home: Home) -> None:
    """A random walk around the clock, and a model of its first part."""
    moves = np.random.default_rng(0).normal(0, 0.002, BARS)
    close = 100 * np.exp(np.cumsum(moves))
    opening = np.concatenate([[100.0], close[:-1]])
    stamps = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=bar) for bar in range(BARS)]
    high, low = np.maximum(opening, close), np.minimum(opening, close)
    columns = {"timestamp": stamps, "open": opening, "high": high, "low": low, "close": close, "volume": np.ones(BARS)}
    BarStore(home.bars).merge("BTC-USD", "1h", pl.DataFrame(columns, schema=SCHEMA), "made up")
    end = stamps[TRAINED].date()
    ktrdr.train(STRATEGY, "BTC-USD", end=end, output=home.models / MODEL, home=home.root)


def _follow_with_kills(home: Home) -> None:
    """Each process is killed at a random instant after its first rows; the last one may end."""
    chance = random.Random(0)
    for kill in range(KILLS + 1):
        before = _count(home)
        process = subprocess.Popen(_command(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = before + chance.randrange(1, 2 * ROWS // KILLS - 10)
        while process.poll() is None and (kill == KILLS or _count(home) < rows):
            time.sleep(0.01)
        time.sleep(chance.random() / 20)
        process.kill()
        process.wait()


def _command(home: Home) -> list[str]:
    options = ("--home", str(home.root), "--model", MODEL, "--replay", str(home.root / "replay"))
    return [sys.executable, "-m", "ktrdr.follows", *options]


def _count(home: Home) -> int:
    return sum(1 for _ in read_lines(home.root / "replay" / "rows.jsonl"))


def _figures(home: Home) -> Iterator[Figure]:
    parsed = [ROW.validate_json(line) for line in read_lines(home.root / "replay" / "rows.jsonl")]
    rows = [row for row in parsed if isinstance(row, PredictionRow)]
    stamps = BarStore(home.bars).read("BTC-USD", "1h")["timestamp"]
    since = next(row.opens_at for row in rows)
    verification = ktrdr.verify_follow(home.models / MODEL, replay=home.root / "replay", home=home.root)
    yield Figure("rows", len(rows), "rows", at_least(ROWS))
    yield Figure("rows that are there twice", len(rows) - len({row.signal_id for row in rows}), "rows", below(1))
    yield Figure("bars without a row", int((stamps >= since).sum()) - len(rows), "bars", below(1))
    yield Figure("rows whose bits differ", len(rows) - verification.identical, "rows", below(1))
