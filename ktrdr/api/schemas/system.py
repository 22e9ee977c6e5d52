"""The server, its machine and its log."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ktrdr.api.schemas.base import Instant
from ktrdr.operations.status import OperationStatus
from ktrdr.timeframe import Timeframe


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "unready"]
    registry: str
    store: str
    workers: dict[str, Any]


class LogLines(BaseModel):
    lines: list[str]
    new_cursor: int = Field(description="Where to go on reading next time, in bytes of the log file.")


class Disk(BaseModel):
    home: str
    total_bytes: int
    free_bytes: int
    parts: dict[str, int] = Field(description="Bytes of what lies in the home, by name.")


class System(BaseModel):
    """The server and its machine."""

    health: Readiness
    operations: dict[str, int] = Field(description="How many are in which state.")
    disk: Disk
    versions: dict[str, str]
    platform: str
    memory_total_bytes: int
    memory_available_bytes: int
    started_at: Instant


class OperationKind(BaseModel):
    """One kind of operations."""

    operation_type: str = Field(description="As in operations of this kind, and in their ids.")
    title: str = Field(description="The same for people.")
    is_resumable: bool = Field(description="Whether one that failed or was cancelled can be resumed.")
    makes_model: bool = Field(description="Whether one that completed has a model.")


class TimeframeLength(BaseModel):
    name: Timeframe
    seconds: int = Field(description="How long a bar lasts.")


class Meta(BaseModel):
    """What the API works with; it changes only with the server's version."""

    version: str = Field(description="Of the server.")
    states: list[OperationStatus] = Field(description="In the order in which an operation passes through them.")
    terminal_states: list[OperationStatus] = Field(description="Those that an operation never leaves.")
    timeframes: list[TimeframeLength] = Field(description="From the shortest to the longest.")
    kinds: list[OperationKind]
    final_errors: list[str] = Field(description="Errors after which an operation cannot be resumed.")
    file_formats: list[str] = Field(description="Vendors whose files are known, as `format` of an import.")
