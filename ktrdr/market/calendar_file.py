"""The calendar that somebody has named for a symbol, in `<SYMBOL>/.calendar.json` beside its bars."""

from __future__ import annotations

import json
from pathlib import Path

from ktrdr.files import write_atomically

_NAME = ".calendar.json"


def read_calendar(folder: Path) -> str | None:
    """None where none was named, or the file cannot be read: then the calendar is a guess again."""
    # Older versions kept it with the verdict on each series.
    for path in (folder / _NAME, *sorted(folder.glob(".*.quality.json"))):
        if (name := _read(path)) is not None:
            return name
    return None


def write_calendar(folder: Path, name: str) -> None:
    if _read(folder / _NAME) != name:
        write_atomically(folder / _NAME, json.dumps({"calendar": name}).encode())


def _read(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    name = content.get("calendar") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None
