"""Looks at made-up bars, and their series."""

from __future__ import annotations

import numpy as np

from ktrdr.ledger.footprint import Footprint, Track
from ktrdr.ledger.recorder import LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.payloads.looks import LookFigures, LookKind
from ktrdr.timeframe import Timeframe

FIGURES = LookFigures(accuracy=0.55, over="majority", lead=0.03, p_value=0.2, sharpe=0.4, total_return=0.1)


def walk(bars: int = 100, seed: int = 1, first: int = 0) -> Track:
    """Daily bars of a random walk, without the first ones."""
    closes = 90 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, bars)))
    instants = np.datetime64("2020-01-02", "us") + np.arange(bars) * np.timedelta64(1, "D")
    return Track.of(Timeframe.DAY, instants[first:], closes[first:])


def request(inputs: int = 0, *tracks: Track, operation_id: str = "op_training_20200101_abc123") -> LookRequest:
    """A look at `tracks`; those of other `inputs` are another try."""
    return LookRequest(
        operation_id=operation_id,
        kind=LookKind.TRAINING,
        part="validation",
        strategy_name="made_up",
        inputs_sha256=f"{inputs:064x}",
        label="direction",
        timeframe="1d",
        symbols=("AAPL",),
        samples=100,
        footprint=Footprint(tracks or (walk(),)),
    )


def series(track: Track | None = None, seed: int = 1) -> LookSeries:
    track = track or walk()
    gains, agreement, returns = np.random.default_rng(seed).normal(size=(3, len(track.instants))).astype(np.float32)
    return LookSeries(
        instants=track.instants,
        samples=np.ones(len(track.instants), np.float32),
        gains={"majority": gains, "persistence": -gains},
        agreement=agreement,
        lag=2,
        span=1.5,
        periods=track.instants - np.timedelta64(1, "D"),
        returns=returns / 100,
        held=returns / 200,
    )
