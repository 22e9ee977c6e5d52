"""What a check found: score, coverage, faults and gaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from ktrdr.market.sessions import Calendar
from ktrdr.timeframe import Timeframe

Severity = Literal["error", "warning", "note"]
Word = Literal["sound", "doubtful", "faulty"]

# Of a doubtful bar half is counted as lost.
_LOST: dict[Severity, float] = {"error": 1.0, "warning": 0.5, "note": 0.0}
_WORDS: dict[Severity, Word] = {"error": "faulty", "warning": "doubtful", "note": "sound"}


@dataclass(frozen=True, slots=True)
class QualityFault:
    """One kind of fault: how often it is there, in words, and the first instants that show it.

    `bars` is how many bars it makes doubtful or wrong; missing bars are not among them, coverage counts those. A note
    is no fault of the data, but something to know about them.
    """

    kind: str
    severity: Severity
    count: int
    message: str
    instants: tuple[datetime, ...]
    bars: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """Bars that should be there and are not: the opening instants of the first and the last, and how many."""

    first: datetime
    last: datetime
    bars: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A report in a line, as it is kept with a series."""

    verdict: Word
    score: float
    coverage: float
    longest_gap: int
    faults: int
    calendar: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """`score` is 100 times coverage times the share of bars that no fault touches, warnings counted half.

    Coverage is the share of the bars expected between the first and the last that are present. `gaps` are the longest,
    in the order of time; `gap_count` counts all.
    """

    symbol: str
    timeframe: Timeframe
    calendar: Calendar
    rows: int
    first: datetime
    last: datetime
    expected: int
    present: int
    faults: tuple[QualityFault, ...]
    gaps: tuple[Gap, ...]
    gap_count: int
    longest_gap: int

    @property
    def coverage(self) -> float:
        return self.present / self.expected if self.expected else 1.0

    @property
    def score(self) -> float:
        lost = 1.0
        for fault in self.faults:
            lost *= 1 - _LOST[fault.severity] * min(1.0, fault.bars / max(1, self.rows))
        # Rounded down: 100 is for what has nothing wrong.
        return int(1000 * self.coverage * lost) / 10

    @property
    def verdict(self) -> Word:
        return _WORDS[worst(fault.severity for fault in self.faults)]

    @property
    def summary(self) -> Verdict:
        faults = sum(fault.severity != "note" for fault in self.faults)
        return Verdict(self.verdict, self.score, round(self.coverage, 6), self.longest_gap, faults, self.calendar.name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, instants in ISO 8601."""
        return {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "verdict": self.verdict,
            "score": self.score,
            "coverage": self.coverage,
            "calendar": asdict(self.calendar),
            "rows": self.rows,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "expected": self.expected,
            "present": self.present,
            "missing": self.expected - self.present,
            "faults": [
                {**asdict(fault), "instants": [each.isoformat() for each in fault.instants]} for fault in self.faults
            ],
            "gap_count": self.gap_count,
            "longest_gap": self.longest_gap,
            "gaps": [
                {"first": gap.first.isoformat(), "last": gap.last.isoformat(), "bars": gap.bars} for gap in self.gaps
            ],
        }


def worst(severities: Iterable[Severity]) -> Severity:
    found = set(severities)
    order: tuple[Severity, ...] = ("error", "warning")
    return next((severity for severity in order if severity in found), "note")
