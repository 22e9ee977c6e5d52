"""The columns of a table of runs: their names, headings and order."""

from __future__ import annotations

from collections.abc import Sequence

from ktrdr.instants import format_instant
from ktrdr.payloads.runs import Annotations, Measures, RunSummary, Value

ID = "id"
ABOUT = (ID, "name", "kind", "status", "created", "symbols", "timeframes", "strategy", "start_date", "end_date")
PLACE = ("whole", "fold", "trial")
MEASURES = tuple(Measures.model_fields)
ANNOTATIONS = ("tags", "note")
FIXED = (*ABOUT, *PLACE, *MEASURES, *ANNOTATIONS)
"""All columns that are no settings."""

NUMBERS = frozenset((*MEASURES, "fold", "trial"))
"""The columns that hold numbers, whichever runs there are."""

USUAL = ("id", "name")
"""Shown whenever nobody names columns."""

_SECTIONS = ("model", "training", "validation", "labels", "features", "positions", "costs", "controls", "data")


def cells(run: RunSummary, annotations: Annotations) -> dict[str, Value]:
    """A run's value in each column that it has."""
    return {
        ID: run.operation_id,
        "name": run.name,
        "kind": run.kind.value,
        "status": run.status,
        "created": format_instant(run.created_at, "milliseconds"),
        "symbols": run.symbols,
        "timeframes": run.timeframes,
        "strategy": run.strategy,
        "start_date": run.start_date.isoformat() if run.start_date else None,
        "end_date": run.end_date.isoformat() if run.end_date else None,
        "whole": run.whole,
        "fold": run.fold,
        "trial": run.trial,
        **dict(run.measures),
        "tags": annotations.tags,
        "note": annotations.note or None,
        **run.parameters,
    }


def titles(names: Sequence[str]) -> list[str]:
    """Headings of columns: of a setting its path, without the strategy's section where it is clear without it."""
    short = [_short_title(name) for name in names]
    return [own if short.count(own) == 1 else name for own, name in zip(short, names, strict=True)]


def _short_title(name: str) -> str:
    section, _, rest = name.partition(".")
    return (rest if section in _SECTIONS and rest else name).replace("_", " ")
