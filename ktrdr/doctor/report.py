"""Formats an examination as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ktrdr.doctor.examination import Examination
from ktrdr.findings import Finding
from ktrdr.terminal import escaped, json_text

_INDENT = " " * 19


def as_json(examination: Examination, note: str) -> str:
    report = {
        "home": str(examination.home.root),
        "server_pid": examination.server_pid,
        "healthy": not examination.faults,
        "findings": [_entry(finding) for finding in examination.findings],
        "backup": str(examination.backup) if examination.backup else None,
        "note": note,
    }
    return json_text(report, indent=2)


def as_text(examination: Examination, note: str) -> str:
    return "\n".join(map(escaped, _lines(examination, note)))


def note_on_repair(examination: Examination, *, wants_repair: bool) -> str:
    """A sentence about faults that can still be repaired; empty where there are none."""
    if not examination.is_repairable:
        return ""
    if not wants_repair:
        return "What can be repaired is repaired by: ktrdr doctor --repair"
    if examination.is_in_use:
        return "Nothing was repaired, because a server or a worker is using this home: stop it first."
    return ""


def _entry(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.lower(),
        "subject": finding.subject,
        "what": finding.what,
        "advice": finding.advice,
        "repairable": finding.repair is not None,
        "repaired": finding.repaired or None,
    }


def _lines(examination: Examination, note: str) -> Iterator[str]:
    process = f", process {examination.server_pid}" if examination.server_pid else ""
    yield f"home    {examination.home.root}"
    yield f"server  {f'running{process}' if examination.is_served else 'not running'}"
    yield ""
    for finding in examination.findings:
        yield f"{finding.level:5}  {finding.subject:10}  {finding.what}"
        if finding.repaired:
            yield f"{_INDENT}  repaired: {finding.repaired}"
        elif finding.advice:
            yield f"{_INDENT}  → {finding.advice}"
    yield ""
    yield _conclusion(examination)
    if note:
        yield note


def _conclusion(examination: Examination) -> str:
    if faults := len(examination.faults):
        return "1 fault." if faults == 1 else f"{faults} faults."
    return "Repaired." if examination.is_repaired else "Healthy."
