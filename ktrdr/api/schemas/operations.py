"""Operations: their views, metrics, results, how they start and how they are pruned."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


EndedStatus = Literal["COMPLETED", "FAILED", "CANCELLED"]


class Prune(Request):
    model_config = ConfigDict(strict=True)  # what removes something guesses nothing

    older_than_days: float | None = Field(None, ge=0, le=36_500, description="Only operations that ended longer ago.")
    status: EndedStatus | None = Field(None, description="Only operations that ended so.")
    type: str | None = Field(None, description="Only operations of this type, for example TRAINING.")
    strategy: str | None = Field(None, description="Only operations with a strategy of this name.")
    keep_last: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Of what matches, so many of the newest stay; a whole counts once, and so does what was resumed.",
    )
    keep_best: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Completed trainings to keep of each strategy, symbols and timeframe, by validation loss.",
    )
    dry_run: bool = Field(False, description="Remove nothing, and say what would go.")

    @model_validator(mode="after")
    def _has_limit(self) -> Self:
        if self.older_than_days is None and not (self.status or self.type or self.strategy or self.keep_last):
            raise ValueError("name older_than_days, status, type, strategy or keep_last; all of it never goes at once")
        return self


class PrunedOperation(BaseModel):
    operation_id: str
    operation_type: str
    status: Literal[OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED]
    completed_at: Instant
    size_bytes: int
    has_model: bool = Field(False, description="Whether a trained model goes with it.")


class Pruned(BaseModel):
    """What went, or with `dry_run` would go."""

    dry_run: bool
    operations: list[PrunedOperation]
    size_bytes: int
    kept: int = Field(description="Operations that stay.")
    leftovers: list[str] = Field(description="Folders of removed operations that the system did not let go.")
