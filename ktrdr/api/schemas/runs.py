"""Requests about runs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from ktrdr.api.schemas.base import Request
from ktrdr.payloads.runs import MAX_TAGS, Note, Run, Tag

MOST_RUNS = 100_000
MOST_ANNOTATED = 1000

_Texts = list[Annotated[str, StringConstraints(max_length=200)]]


class RunSelection(Request):
    """The query of a table of runs."""

    q: str = Field("", max_length=200, description="Text that ids, names, tags or notes contain.")
    where: _Texts = Field(
        default_factory=list,
        max_length=20,
        description="A condition, such as `training.learning_rate<0.01` or `name~rsi`; all of several must hold. "
        "Operators: = != < <= > >=, and ~ for texts that contain it. Nothing after = means no value.",
    )
    sort: _Texts = Field(
        default_factory=list,
        max_length=10,
        description="A column, with - before it for the greatest first; newest first by default.",
    )
    columns: _Texts = Field(
        default_factory=list,
        max_length=100,
        description="Names, one at a time or with commas; * for all that have values. By default the usual ones and "
        "those in which the runs differ; of a file all.",
    )
    limit: int | None = Field(None, ge=1, le=MOST_RUNS, description="At most so many; 100 by default, of a file all.")
    offset: int = Field(0, ge=0, le=10_000_000, description="So many are passed over first.")
    format: Literal["json", "csv"] = Field("json", description="What kind of answer.")


class Annotate(Request):
    """What is to be written to runs. Tags that a run has already, or has not, stay as they are."""

    operation_ids: list[Annotated[str, StringConstraints(max_length=64)]] = Field(
        min_length=1, max_length=MOST_ANNOTATED, description="Ids, their endings, or `last`."
    )
    add: list[Tag] = Field([], max_length=MAX_TAGS, description="Tags to add.")
    remove: list[Tag] = Field([], max_length=MAX_TAGS, description="Tags to remove.")
    note: Note | None = Field(None, description="The note in place of the present one; an empty one removes it.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.add or self.remove) and self.note is None:
            raise ValueError("name add, remove or note")
        if both := sorted(set(self.add) & set(self.remove)):
            raise ValueError(f"the tag {both[0]} is to be added and removed")
        return self


class AnnotatedRuns(BaseModel):
    runs: list[Run] = Field(description="The runs as they are now.")
