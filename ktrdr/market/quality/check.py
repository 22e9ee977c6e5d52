"""The check of a series: its bars against its market's calendar, against each other, and against themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ktrdr.errors import InputError
from ktrdr.market.bars import check_symbol
from ktrdr.market.calendars import choose_calendar
from ktrdr.market.quality.bars import BarArrays, as_instants
from ktrdr.market.quality.coverage import Coverage, coverage_faults, coverage_of, gaps_of, unknown_years
from ktrdr.market.quality.early import ShorterBars, early_faults
from ktrdr.market.quality.hours import hour_faults
from ktrdr.market.quality.moves import jump_faults, stale_faults
from ktrdr.market.quality.report import score, verdict, worst_first
from ktrdr.market.quality.rows import order_faults, price_faults, volume_faults
from ktrdr.market.sessions import instant, sessions_of
from ktrdr.payloads.data import QualityFault, QualityReport
from ktrdr.timeframe import Timeframe


def check(
    frame: pl.DataFrame,
    symbol: str,
    timeframe: str,
    calendar: str | None = None,
    shorter: ShorterBars | None = None,
    named_for_symbol: str | None = None,
) -> QualityReport:
    """What there is to know about bars in the schema; they may be in any order and state.

    Without a `calendar` the one `named_for_symbol` is taken, or else a guess; the report says which and why. With
    `shorter` bars of the same market, days and weeks are compared with them.

    Raises InputError when there are no bars, no such calendar, or a calendar that cannot be built.
    """
    symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
    if frame["timestamp"].null_count() == len(frame):
        raise InputError(f"there are no bars of {symbol} {timeframe} to check", symbol=symbol, timeframe=timeframe)
    stamps = as_instants(frame["timestamp"].drop_nulls())
    chosen = choose_calendar(symbol, timeframe, stamps, calendar, named_for_symbol)
    series = BarArrays.of(frame, timeframe)
    coverage = coverage_of(series, sessions_of(chosen.name, series.at[0], series.at[-1]))
    gaps, gap_count, longest = gaps_of(coverage)
    expected, present = int(coverage.served.sum()), int((coverage.present & coverage.served).sum())
    share = present / expected if expected else 1.0
    early = early_faults(frame, timeframe, shorter) if shorter is not None else ()
    faults = worst_first([*order_faults(frame), *_faults(series, coverage), *early])
    return QualityReport(
        symbol=symbol,
        timeframe=timeframe,
        verdict=verdict(faults),
        score=score(share, len(frame), faults),
        coverage=share,
        calendar=chosen,
        rows=len(frame),
        first=instant(series.at[0]),
        last=instant(series.at[-1]),
        expected=expected,
        present=present,
        missing=expected - present,
        faults=faults,
        gaps=gaps,
        gap_count=gap_count,
        longest_gap=longest,
    )


def _faults(series: BarArrays, coverage: Coverage) -> Iterator[QualityFault]:
    inside = ~coverage.outside if not coverage.outside.all() else np.ones(len(series), bool)
    yield from price_faults(series)
    yield from coverage_faults(series, coverage)
    yield from unknown_years(series, coverage.sessions)
    yield from hour_faults(series, coverage)
    yield from jump_faults(series)
    yield from stale_faults(series, inside)
    yield from volume_faults(series, coverage.sessions, inside)
