"""The file in which a worker leaves what became of its job: written whole or not at all."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from ktrdr.files import write_atomically

_NAME = "outcome.json"
_STATUSES = ("completed", "failed", "cancelled")
_CRASH_LOG = "crash.log"
_RESERVE = "reserve"
_RESERVED_BYTES = 256 * 1024


def write_outcome(folder: Path, outcome: dict[str, Any]) -> None:
    """`outcome` has `status` (completed, failed, cancelled) and, as they apply, `results`, `metadata` and `error`.

    `leftovers` are folders of no use once it is recorded as completed.
    """
    release_room(folder)
    write_atomically(folder / _NAME, json.dumps(_json_safe(outcome), allow_nan=False).encode())


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """None when the worker ended without one. Raises OSError, and ValueError when the file holds no outcome."""
    try:
        outcome = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(outcome, dict) or outcome.get("status") not in _STATUSES:
        raise ValueError("it names no status")
    needed: dict[str, Any] = {"results": {}, "metadata": {}, "error": None if outcome["status"] == "failed" else {}}
    if not all(isinstance(outcome.get(part, default), dict) for part, default in needed.items()):
        raise ValueError("its results, metadata or error are no objects")
    return outcome


def open_crash_log(folder: Path) -> TextIO:
    """The first that a worker does with a job: where this file is, the job has begun."""
    return (folder / _CRASH_LOG).open("w")


def has_begun(folder: Path) -> bool:
    return (folder / _CRASH_LOG).exists()


def crash_of(folder: Path) -> str:
    """What Python's fault handler called the end of the process, or nothing."""
    with suppress(OSError), (folder / _CRASH_LOG).open(errors="replace") as crash_log:
        return crash_log.readline().strip().removeprefix("Fatal Python error: ")
    return ""


def reserve_room(folder: Path) -> None:
    """Hold back disk space for the outcome, so that a full disk can still be reported as the reason of an end."""
    (folder / _RESERVE).write_bytes(bytes(_RESERVED_BYTES))


def release_room(folder: Path) -> None:
    (folder / _RESERVE).unlink(missing_ok=True)


def _json_safe(value: Any) -> Any:
    """JSON knows no NaN and no infinity; both become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(item) for item in value]
    return value
