"""The limits that a strategy sets, held against the bars that a training is about to use."""

from __future__ import annotations

from typing import Protocol

from ktrdr.errors import TrainingDataError
from ktrdr.market.quality.check import check
from ktrdr.market.quality.formatting import bars, span
from ktrdr.market.series_file import StoredBars
from ktrdr.payloads.data import Gap, QualityReport

_NAMED = 5


class Limits(Protocol):
    """None sets no limit."""

    @property
    def min_coverage(self) -> float | None: ...

    @property
    def max_gap(self) -> int | None: ...


def enforce(
    limits: Limits, stored: StoredBars, symbol: str, timeframe: str, calendar: str | None = None
) -> QualityReport | None:
    """The report of the check by `calendar`, or else the symbol's own or a guess, where there are limits to check for.

    Raises TrainingDataError, with the bars in question, when fewer bars than `min_coverage` are there, or more than
    `max_gap` in a row are not.
    """
    if limits.min_coverage is None and limits.max_gap is None:
        return None
    report = check(stored.frame, symbol, timeframe, calendar, named_for_symbol=stored.calendar)
    broken = list(_broken(limits, report))
    if broken:
        raise _refusal(report, broken)
    return report


def _broken(limits: Limits, report: QualityReport) -> list[str]:
    found = []
    if limits.min_coverage is not None and report.coverage < limits.min_coverage:
        found.append(
            f"has {report.present:,} of {bars(report.expected)} that were expected, a coverage of "
            f"{_floor(report.coverage)}; data.min_coverage asks for {limits.min_coverage:g}"
        )
    if limits.max_gap is not None and report.longest_gap > limits.max_gap:
        found.append(f"lacks {bars(report.longest_gap)} in a row; data.max_gap allows {limits.max_gap:,}")
    return found


def _refusal(report: QualityReport, broken: list[str]) -> TrainingDataError:
    longest = sorted(report.gaps, key=lambda gap: -gap.bars)[:_NAMED]
    by_date = report.timeframe.is_by_date
    named = "; ".join(_named(gap, by_date) for gap in sorted(longest, key=lambda gap: gap.first))
    more = f"; and {report.gap_count - len(longest):,} more" if report.gap_count > len(longest) else ""
    return TrainingDataError(
        f"{report.symbol} {report.timeframe} {', and '.join(broken)}. Missing by the calendar {report.calendar.name}: "
        f"{named}{more}",
        hint=f"see ktrdr data check {report.symbol} {report.timeframe}; load the bars anew, choose other dates, "
        "or change the limits under data",
        symbol=report.symbol,
        timeframe=report.timeframe,
        gaps=[gap.model_dump(mode="json") for gap in longest],
        quality=report.summary.model_dump(),
    )


def _named(gap: Gap, by_date: bool) -> str:
    return f"{span(gap, by_date)} ({gap.bars:,})" if gap.bars > 1 else span(gap, by_date)


def _floor(share: float) -> str:
    """Never more than there is."""
    return f"{int(share * 10_000) / 10_000:g}"
