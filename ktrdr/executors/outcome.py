"""The file in which a worker leaves what became of its job: written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path, PurePath
from typing import Any, Literal, TextIO, get_args

from ktrdr.errors import KtrdrError, rebuild
from ktrdr.files import write_atomically

JOB = "job.json"
PARTS = "parts.json"
"""In the folder of an operation made of operations: the ids of its parts, for the job that finishes it."""

_NAME = "outcome.json"
_CRASH_LOG = "crash.log"
_RESERVE = "reserve"
_RESERVED_BYTES = 256 * 1024


Status = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job.

    results: of the kind of work, also as far as a failed or cancelled job came
    metadata: what the operation's record shows from now on
    error: of a failed job: code, detail and hint
    leftovers: folders below the home that are of no use once the operation is recorded as completed
    context: the data of the error, for whoever raises it again in another process
    """

    status: Status
    results: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def failed(cls, code: str, detail: str, hint: str = "", results: Mapping[str, Any] | None = None) -> Outcome:
        return cls("failed", results or {}, error={"code": code, "detail": detail, "hint": hint})

    @classmethod
    def from_error(cls, error: KtrdrError) -> Outcome:
        return replace(cls.failed(error.code, error.detail, error.hint), context=error.context)

    def check(self) -> None:
        """Raises the error of a job that failed, as it was raised in the worker."""
        if self.status == "failed":
            raise rebuild(**self.error, context=self.context)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    free_reserved_space(folder)
    write_atomically(folder / _NAME, json.dumps(_json_safe(asdict(outcome)), allow_nan=False).encode())


def read_outcome(folder: Path) -> Outcome | None:
    """None when the worker ended without one. Raises OSError, and ValueError when the file holds no outcome."""
    try:
        content = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(content, dict) or content.get("status") not in get_args(Status):
        raise ValueError("it names no status")
    try:
        outcome = Outcome(**content | {"leftovers": tuple(content.get("leftovers", ()))})
    except TypeError as error:
        raise ValueError(f"it holds what no outcome has: {error}") from error
    parts = (outcome.results, outcome.metadata, outcome.error)
    if not all(isinstance(part, dict) for part in parts) or (outcome.status == "failed" and not outcome.error):
        raise ValueError("its results, metadata or error are no objects")
    return outcome


def write_job(folder: Path, payload: Mapping[str, Any]) -> None:
    """What the job in `folder` is to do. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / JOB, json.dumps(dict(payload)).encode())


def open_crash_log(folder: Path) -> TextIO:
    """The first that a worker does with a job: where this file is, the job has begun."""
    return (folder / _CRASH_LOG).open("w")


def job_started(folder: Path) -> bool:
    return (folder / _CRASH_LOG).exists()


def read_crash_reason(folder: Path) -> str:
    """What Python's fault handler called the end of the process, or nothing."""
    with suppress(OSError), (folder / _CRASH_LOG).open(errors="replace") as crash_log:
        return crash_log.readline().strip().removeprefix("Fatal Python error: ")
    return ""


def reserve_disk_space(folder: Path) -> None:
    """Hold back disk space for the outcome, so that a full disk can still be reported as the reason of an end."""
    (folder / _RESERVE).write_bytes(bytes(_RESERVED_BYTES))


def free_reserved_space(folder: Path) -> None:
    (folder / _RESERVE).unlink(missing_ok=True)


def _json_safe(value: Any) -> Any:
    """JSON knows no NaN and no infinity, which become null, nor dates and paths, which become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(item) for item in value]
    return str(value) if isinstance(value, date | PurePath) else value
