"""The calendar that somebody has named for a symbol, in `<SYMBOL>/.calendar.json` beside its bars."""

from __future__ import annotations

import json
from pathlib import Path

from ktrdr.files import write_atomically

_NAME = ".calendar.json"


def read_calendar(folder: Path) -> str | None:
    """None where none was named, or the file cannot be read: then the calendar is a guess again."""
    own = folder / _NAME
    # Older versions kept it with the verdict on each series.
    older = () if own.exists() else sorted(folder.glob(".*.quality.json"))
    return next(filter(None, map(_read, (own, *older))), None)


def write_calendar(folder: Path, name: str | None) -> None:
    """Without a name the calendar is a guess again."""
    if read_calendar(folder) != name:
        write_atomically(folder / _NAME, json.dumps({"calendar": name}).encode())


def _read(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    name = content.get("calendar") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None
