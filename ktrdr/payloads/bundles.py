"""A bundle of models: its manifest, the records in it, and what checksums say of a model's files."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from ktrdr.instants import as_instant
from ktrdr.payloads.payload import Payload

VERSION = 2
"""Format 1 has no looks."""
MOST_BYTES = 1024**3
"""The size of the largest bundle."""
_MOST_FILES = 20_000

_ID = "op_training_[0-9]{8}_[0-9a-z]{6}"
FILE_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_PATH = (
    f"^((records|looks)/{_ID}[.]json|operations/{_ID}/(job|outcome)[.]json|models/{_ID}/({FILE_NAME}/)?{FILE_NAME})$"
)

OperationId = Annotated[str, Field(pattern=f"^{_ID}$", description="Id of a training.")]


class BundledFile(Payload):
    """One file of a bundle."""

    path: str = Field(pattern=_PATH, description="Its path in the archive.")
    size_bytes: int = Field(ge=0, le=MOST_BYTES, description="Its size.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="The SHA-256 of its content.")

    @property
    def operation_id(self) -> str:
        """The training that it belongs to."""
        return self.path.split("/")[1].removesuffix(".json")


class Manifest(Payload):
    """What a bundle holds, in the archive's order.

    Each training has its record; a training in folds has those of its folds beside its own.
    """

    format: Literal["ktrdr models"] = Field("ktrdr models", description="What the archive is.")
    version: int = Field(VERSION, description="Version of the bundle's format.")
    ktrdr: str = Field(max_length=64, description="The version of ktrdr that made the bundle.")
    operation_id: OperationId
    files: tuple[BundledFile, ...] = Field(max_length=_MOST_FILES, description="Every file but this one.")

    @property
    def operation_ids(self) -> list[str]:
        return sorted({file.operation_id for file in self.files})

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("it names a file twice")
        records = {f"records/{operation_id}.json" for operation_id in (self.operation_id, *self.operation_ids)}
        if missing := sorted(records - set(paths)):
            raise ValueError(f"it lacks {missing[0]}")
        if self.size_bytes > MOST_BYTES:
            raise ValueError(f"its files are larger than {MOST_BYTES:,} bytes together")
        return self


class BundledOperation(Payload):
    """The record of a training that has ended, with its results and metrics."""

    operation_id: OperationId
    operation_type: Literal["TRAINING"] = Field(description="Type of the operation.")
    status: Literal["COMPLETED", "FAILED", "CANCELLED"] = Field(description="How it ended.")
    created_at: datetime = Field(description="When it was created.")
    updated_at: datetime = Field(description="When it last changed.")
    started_at: datetime | None = Field(description="When it started.")
    completed_at: datetime = Field(description="When it ended.")
    metadata: dict[str, JsonValue] = Field(description="What clients see of its request and its outcome.")
    progress: dict[str, JsonValue] = Field(description="Where it stood at its end.")
    error: dict[str, JsonValue] | None = Field(description="Why it failed.")
    parent_id: str | None = Field(max_length=64, description="The operation that it continues or is part of.")
    payload: dict[str, JsonValue] = Field(description="Its job.")
    results: dict[str, Any] = Field(description="Its results.")
    metrics: tuple[dict[str, str | int | float | bool | None], ...] = Field(description="Its metrics, in their order.")

    @field_validator("created_at", "updated_at", "started_at", "completed_at")
    @classmethod
    def _in_utc(cls, instant: datetime | None) -> datetime | None:
        return instant and as_instant(instant)


class Unpacked(Payload):
    """Models that a bundle brought."""

    operation_id: str = Field(description="The training that was packed.")
    operation_ids: list[str] = Field(description="It and its folds, if it has any.")
    files: int = Field(description="Number of files.")
    size_bytes: int = Field(description="Their size together.")


class Verification(Payload):
    """A model's files, or a bundle's, compared with the checksums that were recorded when they were written."""

    subject: str = Field(description="The training's id, or the bundle's name.")
    files: int = Field(description="Number of files that have a checksum.")
    differences: list[str] = Field(description="What is not as it was, one sentence each; empty where all is.")
    without_checksums: list[str] = Field(
        default_factory=list, description="Trainings whose files have none, as those that did not complete."
    )
