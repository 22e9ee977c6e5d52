"""What comes of a search: its trials, the winner, and how much of that is luck."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ktrdr.payloads.payload import Payload
from ktrdr.payloads.results import FileResults, Results

Scalar = bool | int | float | str | None
"""A value of a key in a strategy."""

Parameters = dict[str, Scalar]
"""The values that a search chose for one trial, by their paths, such as `training.learning_rate`."""


class Objective(StrEnum):
    """What trials are compared by, on the validation part of the trial's best epoch."""

    VAL_LOSS = "val_loss"
    LEAD = "lead"
    ACCURACY = "accuracy"
    IC = "ic"
    SHARPE = "sharpe"

    @property
    def is_least_best(self) -> bool:
        return self is Objective.VAL_LOSS

    def rank(self, score: float) -> float:
        """A key by which the best score comes first."""
        return score if self.is_least_best else -score


class Halving(BaseModel):
    """Synchronous successive halving: rung r trains the best `trials / factor^r` to `min_epochs * factor^r` epochs.

    Source: Jamieson and Talwalkar, Non-stochastic Best Arm Identification (2016).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: int = Field(3, ge=2, le=16, description="One of so many trials goes on to the next rung.")
    min_epochs: int = Field(1, ge=1, description="Epochs after which the first are dropped.")


class TrialResult(Payload):
    """One trial of a search."""

    trial: int = Field(description="Its number, counted from 0 in the order of the proposals.")
    operation_id: str = Field(description="The operation that trained it last.")
    status: Literal["completed", "failed", "cancelled"] = Field(description="How that ended.")
    parameters: Parameters = Field(description="What was chosen for it, by path in the strategy.")
    score: float | None = Field(description="Its objective; null where it has none.")
    rung: int = Field(1, description="The last rung that it was trained in, counted from 1; without halving 1.")
    epochs: int = Field(0, description="Epochs that were finished, those of earlier rungs included.")
    reason: str = Field("", description="Why it has no score.")


class SearchWinner(Payload):
    """The best trial, trained again in full."""

    trial: int = Field(description="Number of the trial.")
    operation_id: str = Field(description="The operation of the full training; its model is the search's result.")
    score: float = Field(description="Its objective.")
    identical: bool = Field(description="Whether the full training came to its trial's weights and scores to the bit.")
    differences: tuple[str, ...] = Field((), description="What of them is not the same.")


class ScoreSpread(Payload):
    """How the scores of all trials spread."""

    mean: float = Field(description="Mean of the trials.")
    std: float = Field(description="Standard deviation between trials.")
    min: float = Field(description="The least of the trials.")
    max: float = Field(description="The greatest of the trials.")


class ParameterImportance(Payload):
    """How much of the spread of scores one parameter explains."""

    parameter: str = Field(description="Its path in the strategy.")
    importance: float = Field(description="Its share of what all parameters explain, from 0 to 1.")
    standard_error: float | None = Field(description="Standard error over resampled trials; null for too few of them.")


class SearchResults(FileResults):
    """Results of a search. The winner's model is that of the operation which trained it again in full."""

    kind: Literal["search"] = Field("search", description="The kind of results.")
    objective: Objective = Field(description="What trials were compared by.")
    trials: tuple[TrialResult, ...] = Field(description="All trials, in the order of their numbers.")
    best_so_far: tuple[float | None, ...] = Field(
        description="The best score among each trial and those before it; null before the first score."
    )
    winner: SearchWinner = Field(description="The best trial; of equal ones the first.")
    spread: ScoreSpread | None = Field(None, description="The spread of the scores; null for fewer than two.")
    importance: tuple[ParameterImportance, ...] = Field(
        (), description="Importance of the parameters, the greatest first; empty for too few trials."
    )
    epochs_trained: int = Field(description="Epochs that all trials were trained, each counted once.")
    verdict: str = Field(description="What the search found, in words.")
    warnings: tuple[str, ...] = Field((), description="What makes the result doubtful.")


class UnfinishedSearchResults(Results):
    """Results of a search that failed or was cancelled."""

    kind: Literal["unfinished_search"] = Field("unfinished_search", description="The kind of results.")
    objective: Objective = Field(description="What trials were compared by.")
    trials: tuple[TrialResult, ...] = Field(description="The trials that had ended before that.")
