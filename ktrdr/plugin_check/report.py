"""The report of a check, as text of 80 columns and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ktrdr.plugin_check.contract import Finding
from ktrdr.terminal import escaped, json_text

_WIDTH = 80


def as_json(path: Path, findings: Sequence[Finding]) -> str:
    entries = [asdict(each) | {"kept": each.is_kept} for each in findings]
    return json_text({"file": str(path), "kept": all(each.is_kept for each in findings), "findings": entries}, indent=2)


def as_text(path: Path, findings: Sequence[Finding]) -> str:
    return "\n".join(map(escaped, _lines(path, findings)))


def _lines(path: Path, findings: Sequence[Finding]) -> Iterator[str]:
    columns = [("plugin", "contract", "bars"), *((each.plugin, each.contract, each.series) for each in findings)]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]

    def row(*cells: str) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))

    yield f"{row('plugin', 'contract', 'bars')}  result"
    for each in findings:
        result = "kept" if each.is_kept else "BROKEN" if each.is_tried else "not tried"
        yield f"{row(each.plugin, each.contract, each.series)}  {result}"
        yield from textwrap.wrap(each.fault, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield ""
    broken, untried = sum(bool(each.fault) for each in findings), sum(not each.is_tried for each in findings)
    rest = f", {untried} not tried" if untried else ""
    yield (
        f"{path.name}: {len(findings)} contracts, {broken} broken{rest}."
        if broken
        else (f"{path.name}: all {len(findings)} contracts are kept.")
    )
