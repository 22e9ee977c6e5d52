"""What comes of a search: its trials, the winner, and how much of that is luck."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ktrdr.payloads.payload import Payload
from ktrdr.payloads.results import FileResults, Results
from ktrdr.payloads.selection import SelectionVerdict
from ktrdr.payloads.training import Spread

Parameters = dict[str, JsonValue]
"""The values that a search chose for one trial, by path, such as `training.learning_rate` or `fast.period`."""


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


class Rung(BaseModel):
    """A rung of successive halving, which trains the best trials of the one before it on.

    trials: how many it trains
    epochs: up to which epoch, at most as many as a trial's own strategy asks for
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int
    epochs: int


class TrialResult(Payload):
    """One trial of a search."""

    trial: int = Field(description="Its number, counted from 0 in the order of the proposals.")
    operation_id: str = Field(description="The operation that trained it last.")
    status: Literal["completed", "failed", "cancelled"] = Field(description="How that ended.")
    parameters: Parameters = Field(
        description="What was chosen for it, by path in the strategy; an indicator by the name that it declares."
    )
    score: float | None = Field(description="Its objective; null where it has none.")
    rung: int = Field(1, description="The last rung that it was trained in, counted from 1; without halving 1.")
    epochs: int = Field(0, description="Epochs that were finished, those of earlier rungs included.")
    reason: str = Field("", description="Why it has no score.")


def ranked(objective: Objective, trials: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials with a score: those of later rungs first, then by score, then by number."""

    def key(trial: TrialResult) -> tuple[int, float, int]:
        assert trial.score is not None
        return -trial.rung, objective.rank(trial.score), trial.trial

    return sorted((trial for trial in trials if trial.score is not None), key=key)


class SearchWinner(Payload):
    """The best trial, trained again in full."""

    trial: int = Field(description="Number of the trial.")
    operation_id: str = Field(description="The operation of the full training; its model is the search's result.")
    score: float = Field(description="Its objective.")
    identical: bool = Field(description="Whether the full training came to its trial's weights and scores to the bit.")
    differences: tuple[str, ...] = Field((), description="What of them is not the same.")


class ParameterImportance(Payload):
    """How much of the spread of scores one parameter explains by itself."""

    parameter: str = Field(description="Its name, as in `trials`.")
    importance: float = Field(
        description="Share of the variance of the scores' ranks between groups of equal or neighbouring values, less "
        "what chance explains (Kelley's epsilon squared); 0 to 1."
    )
    standard_error: float = Field(description="Its standard error, over resampled trials.")


class SearchResults(FileResults):
    """Results of a search. The winner's model is that of the operation which trained it again in full."""

    kind: Literal["search"] = Field("search", description="The kind of results.")
    objective: Objective = Field(description="What trials were compared by.")
    trials: tuple[TrialResult, ...] = Field(description="All trials, in the order of their numbers.")
    best_so_far: tuple[float | None, ...] = Field(
        description="The best score among each trial and those before it; null before the first score."
    )
    winner: SearchWinner = Field(description="The best trial; of equal ones the first.")
    selection: SelectionVerdict | None = Field(
        None,
        description="The winner's lead beside all tries at its rows, every trial counted; null if unknown.",
    )
    spread: Spread | None = Field(None, description="The spread of the scores; null for fewer than two.")
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
