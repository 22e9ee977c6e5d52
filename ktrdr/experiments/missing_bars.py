"""Warnings about the bars that a training gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ktrdr.formatting import counted

if TYPE_CHECKING:
    from datetime import datetime

    from ktrdr.features.dataset import Dataset, SymbolCoverage
    from ktrdr.market.other_series import Shortfall

HOLES_NAMED = 3


def missing_bars(dataset: Dataset) -> Iterator[str]:
    """One sentence for each symbol with holes in its bars."""
    effect = "bridge them, as data.holes asks" if dataset.bridges_holes else "stop there"
    for coverage in dataset.coverage:
        if coverage.holes:
            yield (
                f"{coverage.symbol} lacks bars that the calendar {coverage.calendar} expects: "
                f"{_longest_holes(coverage)}; features, labels and returns {effect}"
            )


def missing_series(lacking: Mapping[str, Sequence[Shortfall]]) -> Iterator[str]:
    """One sentence for each other series that lacks something for the bars of symbols."""
    found: dict[str, list[tuple[str, Shortfall]]] = {}
    for symbol, shortfalls in lacking.items():
        for each in shortfalls:
            found.setdefault(each.series, []).append((symbol, each))
    for series, ((symbol, first), *others) in found.items():
        more = f", and likewise of {counted(len(others), 'other symbol')}" if others else ""
        yield (
            f"{series} is missing or too old for {counted(first.rows, 'bar')} of {symbol} from "
            f"{first.first:%Y-%m-%d} to {first.last:%Y-%m-%d}{more}: no sample holds them; mend it with: {first.mend}"
        )


def late_series(dataset: Dataset) -> Iterator[str]:
    """One sentence for each other series that joins the bars of a symbol a bar late."""
    calendars = {key: each for each in dataset.coverage for key in each.late}
    for key, coverage in calendars.items():
        yield (
            f"{key} joins the bars of {coverage.symbol} one bar late: no calendar is named for {key.symbol}, so its "
            f"bars last their full length; name it with: ktrdr data load {key} --calendar {coverage.calendar.name}"
        )


def _longest_holes(coverage: SymbolCoverage) -> str:
    longest = sorted(coverage.holes, key=lambda hole: -hole.bars)[:HOLES_NAMED]
    is_by_date = coverage.clock.timeframe.is_by_date
    named = ", ".join(
        f"{hole.bars:,} between {_bar(hole.after, is_by_date)} and {_bar(hole.before, is_by_date)}"
        for hole in sorted(longest, key=lambda hole: hole.row)
    )
    others = len(coverage.holes) - len(longest)
    return f"{named} and those of {others:,} shorter holes" if others else named


def _bar(opening: datetime, is_by_date: bool) -> str:
    return f"{opening:%Y-%m-%d}" if is_by_date else f"{opening:%Y-%m-%d %H:%M}"
