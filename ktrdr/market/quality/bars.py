"""Bars as arrays, in the order of time and each instant once: what the checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.market.bars import VALUES
from ktrdr.market.sessions import Instants, instant
from ktrdr.payloads.data import QualityFault, Severity
from ktrdr.timeframe import Timeframe

SHOWN = 5
_SAMPLE = 100_000

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BarArrays:
    at: Instants
    length: np.timedelta64
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, frame: pl.DataFrame, timeframe: Timeframe) -> BarArrays:
        """Of bars that share an instant the last one counts."""
        stamps = frame["timestamp"]
        if stamps.null_count() or not stamps.is_sorted() or stamps.n_unique() < len(stamps):
            frame = frame.drop_nulls("timestamp").unique("timestamp", keep="last").sort("timestamp")
        values = {name: frame[name].fill_null(float("nan")).to_numpy() for name in VALUES}
        return cls(as_instants(frame["timestamp"]), np.timedelta64(timeframe.length), **values)

    @property
    def is_by_date(self) -> bool:
        return bool(self.length >= np.timedelta64(1, "D"))


def as_instants(stamps: pl.Series) -> Instants:
    return stamps.to_physical().to_numpy().view("datetime64[us]")


def fault_at(kind: str, severity: Severity, at: Instants, message: str, *, bars: int = 0) -> QualityFault:
    """A fault that shows at these instants, of which it names the first few."""
    return QualityFault(kind=kind, severity=severity, count=len(at), message=message, instants=first_of(at), bars=bars)


def first_of(instants: Instants) -> tuple[datetime, ...]:
    return tuple(instant(each) for each in instants[:SHOWN])


def runs(flags: Flags) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places at which runs of true begin, and those right behind them."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def spread(values: Numbers) -> float:
    """The standard deviation that a normal distribution of this median deviation would have; outliers don't count."""
    sample = values[:: max(1, len(values) // _SAMPLE)]
    known = sample[np.isfinite(sample)]
    return float(1.4826 * np.median(np.abs(known - np.median(known)))) if len(known) else 0.0
