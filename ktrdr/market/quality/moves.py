"""Prices that stand still for too long, or jump as no market made them."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from ktrdr.market.bars import PRICES, ROUNDING
from ktrdr.market.quality.bars import BarArrays, Flags, Numbers, fault_at, first_of, runs, spread
from ktrdr.market.quality.formatting import bars, time
from ktrdr.market.sessions import Instants
from ktrdr.payloads.data import QualityFault

# New shares for old ones. Smaller ratios (5 for 4) cannot be told from a bad day.
_SPLITS = (
    *((new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100)),
    *((3, 2), (4, 3), (5, 2), (5, 3), (7, 2)),
)
_NEAR = 0.025
# A company whose price halves overnight is traded as never before; one that splits is not.
_UPROAR = 2.5
_AROUND, _DAYS_BEFORE = 5, 20
# Flash crashes have come back by a fifth within the hour; what came back by more were bad ticks.
_WICK = 0.25
_MOMENT = np.timedelta64(30 * 60 * 1_000_000, "us")


def stale_faults(series: BarArrays, inside: Flags) -> Iterator[QualityFault]:
    """Runs of bars in which the price does not move, longer than chance would have in a market as still as this."""
    at, close = series.at[inside], series.close[inside]
    previous = np.concatenate([[np.nan], close[:-1]])
    still = (series.high[inside] == series.low[inside]) & (close == previous) & (series.open[inside] == previous)
    begins, ends = runs(still)
    long = ends - begins >= _shortest_stale(still, series.is_by_date)
    begins, ends = begins[long], ends[long]
    if not len(begins):
        return
    lengths = ends - begins
    worst = int(lengths.argmax())
    count = int(lengths.sum())
    where = time(at[begins[worst]], by_date=series.is_by_date)
    message = (
        f"the price stands still in {len(begins):,} {'run' if len(begins) == 1 else 'runs'} of {bars(count)} in all; "
        f"the longest is {bars(int(lengths[worst]))} from {where}"
    )
    yield QualityFault(
        kind="stale", severity="warning", count=count, message=message, instants=first_of(at[begins]), bars=count
    )


def _shortest_stale(still: Flags, is_by_date: bool) -> int:
    shortest = 3 if is_by_date else 5
    share = float(still.mean()) if len(still) else 0.0
    if not 0 < share < 1:
        return shortest
    # So long that among as many bars it would come about by chance once in a hundred series.
    return max(shortest, ceil(log(0.01 / len(still)) / log(share)))


def jump_faults(series: BarArrays) -> Iterator[QualityFault]:
    usable = _usable(series)
    at, close = series.at[usable], series.close[usable]
    if len(close) < 2:
        return
    log_close = np.log(close)
    rows = _spikes(log_close, series.length)
    yield from _told(series, at[rows], close[rows], "a close far from those before and after")
    worst = _wicks(*(getattr(series, name)[usable] for name in PRICES))
    rows = np.flatnonzero(np.isfinite(worst))
    yield from _told(series, at[rows], worst[rows], "a high or low far from open and close")
    gaps = np.log(series.open[usable][1:] / close[:-1])
    turnover = np.nan_to_num(close * series.volume[usable])
    for row, (new, old) in _splits(gaps, log_close, turnover, at):
        # What lies on the shorter side of it is on another scale than the rest.
        wrong = min(row, len(close) - row)
        first = f"{close[row - 1]:g} to {series.open[usable][row]:g}"
        message = (
            f"a jump from {first} at {time(at[row], by_date=series.is_by_date)} looks like a split of {new} for {old} "
            "that the bars before it are not adjusted for"
        )
        yield fault_at("split", "error", at[row : row + 1], message, bars=wrong)


def _usable(series: BarArrays) -> Flags:
    """Bars that are no fault by themselves; nothing is to be told of one twice."""
    with np.errstate(invalid="ignore"):
        top, bottom = np.maximum(series.open, series.close), np.minimum(series.open, series.close)
        ordered = (series.high >= top * (1 - ROUNDING)) & (series.low <= bottom * (1 + ROUNDING))
        flags: Flags = ordered & np.isfinite(series.high) & (series.low > 0)
    return flags


def _told(series: BarArrays, at: Instants, prices: Numbers, what: str) -> Iterator[QualityFault]:
    if len(at):
        verb = "has" if len(at) == 1 else "have"
        pairs = zip(at[:3], prices[:3], strict=True)
        named = ", ".join(f"{time(moment, by_date=series.is_by_date)} ({price:g})" for moment, price in pairs)
        message = f"{bars(len(at))} {verb} {what}: {named}{', …' if len(at) > 3 else ''}"
        yield fault_at("spikes", "warning", at, message, bars=len(at))


def _wicks(open_: Numbers, high: Numbers, low: Numbers, close: Numbers) -> Numbers:
    """Highs and lows that no market reached and left within a bar; NaN where there is none."""
    above, below = np.log(high / np.maximum(open_, close)), np.log(np.minimum(open_, close) / low)
    least = max(_WICK, 20 * spread(np.log(high / low)))
    return np.where(above > least, high, np.where(below > least, low, np.nan))


def _spikes(log_close: Numbers, length: np.timedelta64) -> NDArray[np.int64]:
    """Bars whose close lies off both neighbours', on the same side, and these close to each other."""
    there, back = np.diff(log_close)[:-1], np.diff(log_close)[1:]
    least = max(0.1 if length <= _MOMENT else 0.25, 20 * spread(there))
    size = np.minimum(np.abs(there), np.abs(back))
    return np.flatnonzero((there * back < 0) & (size > least) & (np.abs(there + back) < 0.25 * size)) + 1


def _splits(
    gaps: Numbers, log_close: Numbers, turnover: Numbers, at: Instants
) -> Iterator[tuple[int, tuple[int, int]]]:
    """The row of the first bar after each split, and its ratio."""
    ratios = [*_SPLITS, *((old, new) for new, old in _SPLITS)]
    sizes = np.array([-log(new / old) for new, old in ratios])
    for place in np.flatnonzero(np.abs(gaps) > log(4 / 3) - _NEAR):
        nearest = int(np.abs(sizes - gaps[place]).argmin())
        row, size = int(place) + 1, sizes[nearest]
        if abs(size - gaps[place]) > _NEAR:
            continue
        before, after = np.median(log_close[max(0, row - _AROUND) : row]), np.median(log_close[row : row + _AROUND])
        stays = abs(after - before - size) < 0.25 * abs(size)
        if stays and not _is_uproar(turnover, at, row, size):
            yield row, ratios[nearest]


def _is_uproar(turnover: Numbers, at: Instants, row: int, size: float) -> bool:
    """Whether much more money changed hands after the jump than in the weeks before; a split alone moves none."""
    day = at.astype("datetime64[D]")
    today = day[row]
    end = int(np.searchsorted(day, today, "right"))
    begin = int(np.searchsorted(day, today - np.timedelta64(_DAYS_BEFORE, "D")))
    days = len(np.unique(day[begin:row]))
    if not days or not turnover[begin:row].any():
        return False
    usual = turnover[begin:row].sum() / days
    # Where volumes are of shares as they are now, a reverse split alone makes money seem to flow.
    return bool(turnover[row:end].sum() / usual > _UPROAR * max(1.0, float(np.exp(size))))
