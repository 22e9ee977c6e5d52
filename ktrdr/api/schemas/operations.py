"""Operations: their views, metrics, results, how they start and how they are pruned."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ktrdr.api.schemas.base import Instant, Request
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.results import OperationError, Progress


class Operation(BaseModel):
    operation_id: str
    status: OperationStatus
    operation_type: str
    created_at: Instant
    updated_at: Instant
    started_at: Instant | None = None
    completed_at: Instant | None = None
    progress: Progress
    metadata: dict[str, Any]
    error: OperationError | None = None
    parent_id: str | None = None


class UnreadableOperation(BaseModel):
    """An operation whose record is damaged, or of a newer version; it stays as it is."""

    operation_id: str
    reason: str


class OperationList(BaseModel):
    operations: list[Operation]
    total: int
    next_page_token: str | None = None
    unreadable: list[UnreadableOperation] = Field([], description="Those of this page that cannot be read.")


class MetricsPage(BaseModel):
    metrics: list[dict[str, Any]]
    new_cursor: int


StartedStatus = Literal["running", "pending", "completed", "failed", "cancelled"]


class OperationStarted(BaseModel):
    operation_id: str
    status: StartedStatus = Field(
        description="`running`, or `pending` while all workers are busy; of a repeated request also how it has ended."
    )
    message: str
    created_at: Instant


class Prune(Request):
    model_config = ConfigDict(strict=True)  # what removes something guesses nothing

    older_than_days: float = Field(ge=0, le=36_500, description="Only operations that ended longer ago.")
    keep_best: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Completed trainings to keep of each strategy, symbols and timeframe, by validation loss.",
    )
    dry_run: bool = Field(False, description="Remove nothing, and tell what would go.")


class PrunedOperation(BaseModel):
    operation_id: str
    operation_type: str
    status: Literal[OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED]
    completed_at: Instant
    size_bytes: int


class Pruned(BaseModel):
    """What went, or with `dry_run` would go."""

    dry_run: bool
    operations: list[PrunedOperation]
    size_bytes: int
    kept: int = Field(description="Operations that stay.")
    leftovers: list[str] = Field(description="Folders of removed operations that the system did not let go.")
