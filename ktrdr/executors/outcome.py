"""The file in which a worker leaves what became of its job: written whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ktrdr.files import write_atomically

_NAME = "outcome.json"
_RESERVE = "reserve"
_RESERVED_BYTES = 256 * 1024


def write_outcome(folder: Path, outcome: dict[str, Any]) -> None:
    """`outcome` has `status` (completed, failed, cancelled) and, as they apply, `results`, `metadata` and `error`."""
    release_room(folder)
    write_atomically(folder / _NAME, json.dumps(_json_safe(outcome), allow_nan=False).encode())


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """None when the worker ended without one."""
    try:
        outcome: dict[str, Any] = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return outcome


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
