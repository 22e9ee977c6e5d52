"""What every operation that has ended has to say, whatever it did."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field

from ktrdr.errors import bounded
from ktrdr.payloads.payload import Payload

VERSION = 1
"""Of all results; those of 0.1.0, which have none, are read as the first."""

_BEFORE_HOME = re.compile(r"^.*[\\/](?=(models|operations)[\\/][^\\/]+[\\/][^\\/]+$)")


Bounded = Annotated[str, AfterValidator(bounded)]
"""Records of 0.1.0 may hold an error that quotes a whole file."""


class OperationError(Payload):
    """Why an operation failed."""

    code: str = Field(description="Stable name of the kind of error.")
    detail: Bounded = Field(description="What went wrong, and with what value.")
    hint: Bounded = Field("", description="What to do about it.")


class RunningPart(Payload):
    """Where a running part of a whole stands, such as a fold of a training."""

    number: int = Field(description="Its number, counted from 1.")
    operation_id: str = Field(description="Its operation.")
    percentage: float = Field(description="Percent of its own work that is done.")
    message: str = Field(description="What it is doing, in words.")


def _only_where_there_is_one(text: str) -> Any:
    """A field that is left out of JSON where it is None."""
    return Field(None, exclude_if=lambda value: value is None, description=text)


class Progress(Payload):
    """Where an operation stands; kinds of operation add fields of their own."""

    model_config = ConfigDict(extra="allow")

    percentage: float = Field(ge=0, le=100, description="Percent of the work that is done; 100 once it completed.")
    message: str = Field(description="What is being done, in words.")
    current_step: int = Field(description="The step that is being done, counted from 1; of a training the epoch.")
    items_processed: int = Field(description="Samples, rows or other items so far.")
    stalled: bool | None = _only_where_there_is_one("Whether it runs and has reported nothing for too long.")
    silent_s: float | None = _only_where_there_is_one("Seconds since its last report, where it has stalled.")
    unreadable: str | None = _only_where_there_is_one("Why its files cannot be read just now; it is looked at again.")
    running_parts: tuple[RunningPart, ...] = Field(
        (), exclude_if=lambda parts: not parts, description="Of an operation made of operations, those that run."
    )


class Results(Payload):
    """Results of an operation that has ended."""

    version: int = Field(VERSION, description="Version of the results' format.")
    status: Literal["success", "failed", "cancelled"] = Field("success", description="How the operation ended.")
    error: OperationError | None = _only_where_there_is_one("Why the operation failed.")
    progress: Progress | None = _only_where_there_is_one("Where it stood when it failed or was cancelled.")
    metrics_recorded: int | None = _only_where_there_is_one(
        "Metrics that it recorded before it failed or was cancelled."
    )
    note: str | None = _only_where_there_is_one("What else is to be known about its end.")

    def under(self, folder: PurePath) -> Self:
        """The same results, their files' paths continued from `folder`.

        Of an absolute path, as 0.1.0 stored them, only what follows its home counts.
        """
        return self


Artifacts = Annotated[dict[str, str], Field(description="Path of each file that was made, by its name.")]


class OtherResults(Results):
    """Results without a model of their own, among them those of operations that failed."""

    kind: Literal["other"] = Field("other", description="The kind of results.")
    model_config = ConfigDict(extra="allow")


class FileResults(Results):
    """Results with files."""

    artifacts: Artifacts = Field(default_factory=dict)

    @property
    def files(self) -> dict[str, str]:
        """Every file's path, by its name."""
        return self.artifacts

    def under(self, folder: PurePath) -> Self:
        artifacts = {name: locate(folder, path) for name, path in self.artifacts.items()}
        return self.model_copy(update={"artifacts": artifacts})


class ModelResults(FileResults):
    """Results with a model."""

    model_path: str = Field("", description="Path of the model's weights; empty where there is no model.")

    @property
    def files(self) -> dict[str, str]:
        return ({"model": self.model_path} if self.model_path else {}) | self.artifacts

    def under(self, folder: PurePath) -> Self:
        return super().under(folder).model_copy(update={"model_path": locate(folder, self.model_path)})


def locate(folder: PurePath, path: str) -> str:
    """`path`, or what of it follows its home, continued from `folder`; nothing stays nothing."""
    relative, cuts = _BEFORE_HOME.subn("", path)
    return str(folder / (relative.replace("\\", "/") if cuts else path)) if path else ""
