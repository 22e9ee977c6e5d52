"""A follow's rows, outcomes and verification as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from ktrdr.formatting import NOTHING, counted
from ktrdr.payloads.follows import FollowedPrediction, FollowReport, FollowVerification, Signal
from ktrdr.reports.forward_text import forward_lines

_SHOWN = 20
_REPLAYED = "The bars were replayed, which shows what would have been said and is no evidence."


def signal_line(signal: Signal, *, late: bool) -> str:
    """One new row."""
    said = _said(signal.predicted)
    if isinstance(signal.predicted, str):
        said += f" {signal.probabilities[signal.predicted]:.3f}"
    return f"{signal.symbol} {signal.timeframe}  {_instant(signal)}  close {signal.close:.10g}  {said}" + (
        "  late" if late else ""
    )


def report_lines(report: FollowReport) -> Iterator[str]:
    shown = report.predictions[-_SHOWN:]
    cells = [("symbol", "bar closed", "close", "predicted", "outcome", ""), *map(_cells, shown)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    if len(shown) < len(report.predictions):
        yield f"The last {len(shown)} of {counted(len(report.predictions), 'prediction')}; --json has all of them."
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield from _test_lines(report)
    yield f"head {report.head}"


def verification_lines(verification: FollowVerification) -> Iterator[str]:
    for each in verification.findings[:_SHOWN]:
        yield f"row {each.row}  {each.symbol} {each.closes_at:%Y-%m-%d %H:%M}  {each.finding}: {each.detail}"
    if (more := len(verification.findings) - _SHOWN) > 0:
        yield f"and {counted(more, 'row')} more; --json has all of them"
    yield f"The chain of {counted(verification.rows, 'row')} is intact."
    predictions = counted(verification.predictions, "prediction")
    yield f"{verification.identical:,} of {predictions} came out the same to the bit."
    yield f"{verification.late:,} {'is' if verification.late == 1 else 'are'} late, which is no evidence."
    yield f"head {verification.head}"


def _test_lines(report: FollowReport) -> Iterator[str]:
    if report.is_replay:
        yield _REPLAYED
    yield from forward_lines(report.test)


def _cells(row: FollowedPrediction) -> tuple[str, ...]:
    outcome = NOTHING if row.outcome is None else _said(row.outcome)
    closed = f"{row.closes_at:%Y-%m-%d %H:%M}"
    return row.symbol, closed, f"{row.close:.10g}", _said(row.predicted), outcome, "late" if row.late else ""


def _said(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:+.6f}"


def _instant(signal: Signal) -> str:
    return f"{signal.closed_at:%Y-%m-%d %H:%M}"
