"""The section `search` of a strategy: how many trials, how they are proposed, and what ranks them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ktrdr.payloads.search import Objective
from ktrdr.strategy.sections.base import Section

Sampler = Literal["random", "grid", "tpe"]

MAX_TRIALS = 10_000


class Halving(Section):
    """Successive halving: the better trials go on, the others end early (Jamieson and Talwalkar, 2016)."""

    factor: int = Field(3, ge=2, le=100, description="One trial in so many goes on, for so many times the epochs.")
    min_epochs: int = Field(1, ge=1, le=100_000, description="Epochs before the first ranking.")


class SearchSettings(Section):
    """How a search goes; its ranges stand in place of the values that it varies."""

    trials: int | None = Field(
        None, ge=2, le=MAX_TRIALS, description="How many variants are trained; of a grid by default all."
    )
    sampler: Sampler = Field(
        "random", description="Who proposes a trial: chance, a grid, or a model of the trials before it."
    )
    halving: Halving | None = Field(None, description="Which trials end early; by default none.")
    objective: Objective = Field(
        Objective.VAL_LOSS, strict=False, description="What ranks trials: the least val_loss, or the most of another."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of the proposals; that of the trainings is training.seed.")
    lag: int = Field(
        3, ge=0, le=1000, description="With tpe, trial n sees those before n - lag: lag + 1 may train at a time."
    )
    seeds: int | None = Field(
        None, ge=2, le=1000, description="In place of ranges: the same strategy with so many values of training.seed."
    )

    @model_validator(mode="after")
    def _check_seeds(self) -> Self:
        others = self.model_fields_set - {"seeds", "objective"}
        if self.seeds is not None and others:
            context = {"others": ", ".join(sorted(others)), "key": "seeds"}
            raise PydanticCustomError("seeds", "stand without {others}: every seed is one trial", context)
        return self
