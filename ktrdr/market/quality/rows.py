"""Faults of single bars, as they came: their order, their prices, their volume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ktrdr.market.bars import PRICES, ROUNDING
from ktrdr.market.quality.bars import BarArrays, Flags, as_instants, fault_at
from ktrdr.market.quality.formatting import bars, times
from ktrdr.market.sessions import FX, Sessions
from ktrdr.payloads.data import QualityFault


def order_faults(frame: pl.DataFrame) -> Iterator[QualityFault]:
    stamps = frame["timestamp"]
    if lost := stamps.null_count():
        yield QualityFault(
            kind="no_timestamp",
            severity="error",
            count=lost,
            message=f"{bars(lost)} without a timestamp",
            instants=(),
            bars=lost,
        )
    at = as_instants(stamps.drop_nulls())
    steps = np.diff(at.astype(np.int64))
    back = at[1:][steps < 0]
    if len(back):
        message = f"{bars(len(back))} earlier than the one before: {times(back, by_date=False)}"
        yield fault_at("out_of_order", "error", back, message, bars=len(back))
    seen = np.sort(at) if len(back) else at
    doubled = seen[1:][np.diff(seen.astype(np.int64)) == 0]
    if len(doubled):
        message = f"{bars(len(doubled))} at an instant that was there before: {times(doubled, by_date=False)}"
        yield fault_at("duplicates", "error", doubled, message, bars=len(doubled))


def price_faults(series: BarArrays) -> Iterator[QualityFault]:
    prices = [getattr(series, name) for name in PRICES]
    with np.errstate(invalid="ignore"):
        unusable = ~np.logical_and.reduce([np.isfinite(each) & (each > 0) for each in prices])
        slack = ROUNDING * np.abs(series.high)
        top, bottom = np.maximum(series.open, series.close), np.minimum(series.open, series.close)
        high = ~unusable & ((series.high < top - slack) | (series.high < series.low - slack))
        low = ~unusable & (series.low > bottom + slack)
    yield from _told(series, "no_price", unusable, "a price that is missing, infinite, zero or negative")
    yield from _told(series, "high", high, "a high that is below open, low or close")
    yield from _told(series, "low", low, "a low that is above open or close")


def volume_faults(series: BarArrays, sessions: Sessions, inside: Flags) -> Iterator[QualityFault]:
    """A bar outside of the sessions may well be without volume."""
    volume = series.volume
    with np.errstate(invalid="ignore"):
        yield from _told(
            series, "no_volume", ~np.isfinite(volume) | (volume < 0), "a volume that is missing or negative"
        )
    none = (volume == 0) & inside
    if none.any() and not np.nan_to_num(volume).any():
        is_usual = sessions.name == FX
        message = f"volume is 0 throughout, in all {bars(len(series))}" + (
            ", as is usual in FX" if is_usual else ": what is computed of it says nothing"
        )
        yield fault_at("zero_volume", "note" if is_usual else "warning", series.at, message)
        return
    yield from _told(series, "zero_volume", none, "a volume of 0", is_certain=False)


def _told(series: BarArrays, kind: str, flags: Flags, what: str, *, is_certain: bool = True) -> Iterator[QualityFault]:
    at = series.at[flags]
    if len(at):
        verb = "has" if len(at) == 1 else "have"
        message = f"{bars(len(at))} {verb} {what}: {times(at, by_date=series.is_by_date)}"
        yield fault_at(kind, "error" if is_certain else "warning", at, message, bars=len(at))
