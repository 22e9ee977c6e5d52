"""The section `validation`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from ktrdr.strategy.sections.base import Section, typed

Embargo = Annotated[int, Field(ge=0, le=1_000_000)] | Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,6})?%$")]


class ValidationSpec(Section):
    embargo: Embargo = Field(
        0, description="Bars, or a share of them as 1%, left out at every border, beyond what labels reach over."
    )
    test: float = Field(0.0, ge=0, lt=0.9, description="Share of the samples, the latest, that is never chosen by.")


class Holdout(ValidationSpec):
    """One border: training before, validation (training.validation_split) after."""

    type: Literal["holdout"] = "holdout"


class WalkForward(ValidationSpec):
    """One model for each fold, trained on the samples before it. Folds follow each other in time."""

    type: Literal["walk_forward"]
    folds: int = Field(5, ge=2, le=50, description="Parts of the time after the first training part.")
    initial: float = Field(0.5, gt=0, lt=1, description="Share of the samples before the first fold.")
    window: Literal["expanding", "rolling"] = Field(
        "expanding", description="Whether a fold trains on all that was before, or on as much as the first."
    )


class PurgedKFold(ValidationSpec):
    """One model for each fold, trained on the samples before and after it (López de Prado, ch. 7)."""

    type: Literal["purged_kfold"]
    folds: int = Field(5, ge=2, le=50, description="Parts of the time, each validated once.")
    embargo: Embargo = Field("1%", description="Bars, or a share of them, left out after a validation part.")


Validation = Annotated[Annotated[Holdout | WalkForward | PurgedKFold, Field(discriminator="type")], typed("holdout")]
