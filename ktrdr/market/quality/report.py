"""What a check's faults cost, and the verdict that they come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ktrdr.payloads.data import QualityFault, Severity, Verdict

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
# Of a doubtful bar half is counted as lost.
_LOST: Mapping[Severity, float] = {"error": 1.0, "warning": 0.5, "note": 0.0}
_VERDICTS: Mapping[Severity, Verdict] = {"error": "faulty", "warning": "doubtful", "note": "sound"}


def worst_first(faults: Collection[QualityFault]) -> tuple[QualityFault, ...]:
    return tuple(sorted(faults, key=lambda fault: _SEVERITIES.index(fault.severity)))


def score(coverage: float, rows: int, faults: Collection[QualityFault]) -> float:
    """100 times coverage times the share of bars that no fault touches, warnings counted half; rounded down, since 100
    is for what has nothing wrong."""
    lost = 1.0
    for fault in faults:
        lost *= 1 - _LOST[fault.severity] * min(1.0, fault.bars / max(1, rows))
    return int(1000 * coverage * lost) / 10


def verdict(faults: Collection[QualityFault]) -> Verdict:
    found = {fault.severity for fault in faults}
    return _VERDICTS[next((severity for severity in _SEVERITIES if severity in found), "note")]
