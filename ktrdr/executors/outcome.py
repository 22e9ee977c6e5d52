"""The files of a job: its request, its outcome (written whole or not at all), its crash log, its reserved space."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path, PurePath
from typing import Any, Literal, TextIO, get_args

from pydantic_core import PydanticSerializationError, to_json

from ktrdr.errors import KtrdrError, presentable, rebuild
from ktrdr.files import write_atomically

JOB = "job.json"
INPUT = "input"
"""The folder of input files that are deleted at the end of the job."""
PARTS = "parts.json"
"""Lists the ids of a whole's parts, in its folder, for the job that finishes it."""

_NAME = "outcome.json"
_CRASH_LOG = "crash.log"
_RESERVE = "reserve"
_RESERVED_BYTES = 256 * 1024


Status = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, and what it produced.

    status: completed, failed or cancelled
    results: the results of this kind of work; partial ones for a failed or cancelled job
    metadata: entries to add to the metadata of the operation's record
    error: code, detail and hint of a failed job; empty otherwise
    leftovers: folders, relative to the home, to delete once the operation is recorded as completed
    context: the data of the error, for raising it again in another process
    """

    status: Status
    results: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def failed(cls, code: str, detail: str, hint: str = "", results: Mapping[str, Any] | None = None) -> Outcome:
        error = {"code": code, "detail": presentable(detail), "hint": presentable(hint)}
        return cls("failed", results or {}, error=error)

    @classmethod
    def from_error(cls, error: KtrdrError) -> Outcome:
        return replace(cls.failed(error.code, error.detail, error.hint), context=error.context)

    def check(self) -> None:
        """Raise the error of a failed job as its worker raised it."""
        if self.status == "failed":
            raise rebuild(**self.error, context=self.context)


def outcome_of(folder: Path) -> Path:
    return folder / _NAME


def write_outcome(folder: Path, outcome: Outcome) -> None:
    free_reserved_space(folder)
    content = {each.name: getattr(outcome, each.name) for each in fields(outcome)}
    write_atomically(outcome_of(folder), _as_json(content))


def read_outcome(folder: Path) -> Outcome | None:
    """The outcome in `folder`, or None where there is none. Raises OSError, and ValueError for a damaged file."""
    try:
        content = json.loads(outcome_of(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(content, dict) or content.get("status") not in get_args(Status):
        raise ValueError("it has no valid status")
    try:
        outcome = Outcome(**content | {"leftovers": tuple(content.get("leftovers", ()))})
    except TypeError as error:
        raise ValueError(f"it has unknown fields: {error}") from error
    parts = (outcome.results, outcome.metadata, outcome.error)
    if not all(isinstance(part, dict) for part in parts) or (outcome.status == "failed" and not outcome.error):
        raise ValueError("its results, metadata or error is not a JSON object")
    return outcome


def read_end(folder: Path) -> datetime | None:
    """When the outcome in `folder` was written; None where there is none."""
    with suppress(OSError):
        return datetime.fromtimestamp(outcome_of(folder).stat().st_mtime, UTC)
    return None


def write_job(folder: Path, payload: Mapping[str, Any]) -> None:
    """Write the job's payload to `folder`, which is created if necessary. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / JOB, json.dumps(dict(payload)).encode())


def read_job(folder: Path) -> dict[str, Any]:
    """The payload of the job in `folder`. Raises OSError, and ValueError for a damaged file."""
    payload = json.loads((folder / JOB).read_bytes())
    if not isinstance(payload, dict):
        raise ValueError("it is not a JSON object")
    return payload


def crash_log_of(folder: Path) -> Path:
    """The file that a worker holds open from the start of its job to the end; where it exists, the job has begun."""
    return folder / _CRASH_LOG


def begin_job(folder: Path) -> TextIO:
    """Create the crash log. Raises FileExistsError when the job has begun before: it must not begin twice."""
    return crash_log_of(folder).open("x")


def read_crash_reason(folder: Path) -> str:
    """The reason that the worker or Python's fault handler left in the crash log; may be empty. Raises OSError."""
    with suppress(FileNotFoundError), crash_log_of(folder).open(errors="replace") as crash_log:
        return crash_log.readline().strip().removeprefix("Fatal Python error: ")
    return ""


def reserve_disk_space(folder: Path) -> None:
    """Reserve disk space for the outcome, so that a worker can still report a full disk."""
    (folder / _RESERVE).write_bytes(bytes(_RESERVED_BYTES))


def free_reserved_space(folder: Path) -> None:
    (folder / _RESERVE).unlink(missing_ok=True)


def _as_json(content: Mapping[str, Any]) -> bytes:
    """NaN and infinity become null, dates and paths text."""
    try:
        return to_json(content, inf_nan_mode="null")
    except PydanticSerializationError:  # the name of a file may be no Unicode text, which json escapes
        return json.dumps(_json_safe(content), allow_nan=False).encode()


def _json_safe(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(item) for item in value]
    return str(value) if isinstance(value, date | PurePath) else value
