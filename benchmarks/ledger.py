"""What a look costs, and how fast an account of many is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from benchmarks.outcome import Figure, below
from ktrdr.ledger.footprint import Footprint, Track
from ktrdr.ledger.recorder import LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.store import Ledger
from ktrdr.payloads.looks import LookFigures, LookKind
from ktrdr.timeframe import Timeframe

Value = TypeVar("Value")

LOOKS, ROWS, RANGES, SYMBOLS = 1_000, 1_000, 20, 20


def run(looks: int = LOOKS) -> list[Figure]:
    with TemporaryDirectory(prefix="ktrdr-ledger-") as folder:
        return [*_one_account(Path(folder) / "one.sqlite", looks), *_many_symbols(Path(folder) / "many.sqlite")]


def _one_account(path: Path, looks: int) -> list[Figure]:
    footprint = Footprint((_walk(0),))
    opened, closed = [], []
    with closing(Ledger(path)) as ledger:
        for number in range(looks):
            seconds, look_id = _timed(partial(ledger.open_look, _request(number, footprint)))
            opened.append(seconds)
            close = partial(ledger.close_look, look_id, LookFigures(), _series(footprint, number))
            closed.append(_timed(close)[0])
        read, account = _timed(lambda: ledger.account_of(look_id))
        aligned, _ = _timed(lambda: [account.gains(name) for name in account.baselines])
        listed, _ = _timed(ledger.accounts)
    return [
        Figure("opening a look, median", 1000 * median(opened), "ms", below(5)),
        Figure("closing a look, median", 1000 * median(closed), "ms", below(5)),
        Figure(f"reading an account of {looks:,} looks of {ROWS:,} rows", read + aligned, "s", below(1)),
        Figure(f"listing the accounts of {looks:,} looks", listed, "s", below(1)),
    ]


def _many_symbols(path: Path) -> list[Figure]:
    """Looks at ever other ranges of the same symbols, as in a search over the horizon of labels."""
    walks = [_walk(seed) for seed in range(SYMBOLS)]
    with closing(Ledger(path)) as ledger:
        for first in range(RANGES):
            tracks = tuple(Track(walk.length, walk.instants[first:], walk.closes[first:]) for walk in walks)
            seconds, _ = _timed(partial(ledger.open_look, _request(first, Footprint(tracks))))
    return [Figure(f"opening a look at new bars, {SYMBOLS} symbols beside {RANGES - 1} ranges", 1000 * seconds, "ms")]


def _walk(seed: int) -> Track:
    closes = 90 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, ROWS)))
    return Track.of(Timeframe.DAY, np.datetime64("2020-01-02", "us") + np.arange(ROWS) * np.timedelta64(1, "D"), closes)


def _request(inputs: int, footprint: Footprint) -> LookRequest:
    return LookRequest(
        operation_id=f"op_{inputs}",
        kind=LookKind.TRIAL,
        part="validation",
        strategy_name="made_up",
        inputs_sha256=f"{inputs:064x}",
        label="direction",
        timeframe="1d",
        symbols=("A",),
        samples=ROWS,
        footprint=footprint,
    )


def _series(footprint: Footprint, seed: int) -> LookSeries:
    instants = footprint.tracks[0].instants
    majority, persistence, agreement, returns = np.random.default_rng(seed).normal(size=(4, ROWS)).astype(np.float32)
    return LookSeries(
        instants=instants,
        samples=np.ones(ROWS, np.float32),
        gains={"majority": majority, "persistence": persistence},
        agreement=agreement,
        lag=0,
        span=1.0,
        periods=instants,
        returns=returns,
        held=returns,
    )


def _timed(work: Callable[[], Value]) -> tuple[float, Value]:
    began = time.perf_counter()
    value = work()
    return time.perf_counter() - began, value
