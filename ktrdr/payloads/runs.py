"""Runs: trainings as rows that can be ranked, each with its settings and what came of it."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, PlainSerializer, StringConstraints

from ktrdr.instants import format_instant
from ktrdr.payloads.payload import Payload

VERSION = 1
"""Of summaries; those of another version are made anew when a server starts."""

MAX_TAGS = 20
TAG = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,39}$"
NOTE_CHARACTERS = 2_000

Tag = Annotated[str, StringConstraints(pattern=TAG)]
Note = Annotated[str, StringConstraints(max_length=NOTE_CHARACTERS, strip_whitespace=True)]
Value = None | bool | int | float | str | tuple[str, ...]
"""What one run has in one column."""

State = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]

_Instant = Annotated[AwareDatetime, PlainSerializer(format_instant, when_used="json")]


class RunKind(StrEnum):
    """What a run is: a training, all folds of one together, one of them, or a trial of a search."""

    TRAINING = "training"
    FOLDS = "folds"
    FOLD = "fold"
    TRIAL = "trial"


class Measures(Payload):
    """What came of a run on its validation part; null where it has no such measure, or did not get so far."""

    val_loss: float | None = Field(None, description="Validation loss of the best epoch.")
    accuracy: float | None = Field(None, description="Share of samples whose class, or sign, was predicted.")
    balanced_accuracy: float | None = Field(None, description="Mean recall of the classes that occur.")
    mcc: float | None = Field(None, description="Matthews correlation coefficient, from -1 to 1.")
    ic: float | None = Field(None, description="Information coefficient (Pearson's).")
    rank_ic: float | None = Field(None, description="Information coefficient of ranks (Spearman's).")
    lead: float | None = Field(None, description="Lead over the naive baseline that is hardest to beat.")
    p: float | None = Field(None, description="The largest p-value of the tests that its own verdict rests on.")
    adjusted_p: float | None = Field(None, description="The same over all tries on overlapping rows, as it was then.")
    tries: int | None = Field(None, description="How many those were.")
    sharpe: float | None = Field(None, description="Annual Sharpe ratio of its backtest.")
    total_return: float | None = Field(None, description="Return of its backtest, as a share of the capital.")
    drawdown: float | None = Field(None, description="Deepest fall in its backtest, as a negative share.")
    best_epoch: int | None = Field(None, description="The epoch with the least validation loss, counted from 1.")
    epochs: int | None = Field(None, description="Epochs that were finished.")
    duration: float | None = Field(None, description="Time of the finished epochs, in seconds.")


class Annotations(Payload):
    """What people have written to a run."""

    tags: tuple[Tag, ...] = Field((), max_length=MAX_TAGS, description="Tags, in alphabetical order.")
    note: Note = Field("", description="A note in words.")


class RunSummary(Payload):
    """One training, without what people have written to it."""

    version: int = Field(VERSION, description="Version of the summary's format.")
    operation_id: str = Field(description="The operation that trained it.")
    name: str = Field(description="The name that it was filed under.")
    strategy: str = Field(description="The strategy's own name; empty where the strategy cannot be read.")
    kind: RunKind = Field(description="A training, the folds of one, a fold, or a trial.")
    status: State = Field(description="The operation's state.")
    created_at: _Instant = Field(description="When it was asked for.")
    symbols: tuple[str, ...] = Field(description="Symbols of its bars.")
    timeframes: tuple[str, ...] = Field(description="Timeframes of its bars; samples end on those of the first.")
    start_date: date | None = Field(None, description="First day of its bars, if one was named.")
    end_date: date | None = Field(None, description="Last day of its bars, if one was named.")
    whole: str | None = Field(None, description="The operation that it is a part of.")
    fold: int | None = Field(None, description="Its number among the folds, counted from 1.")
    trial: int | None = Field(None, description="Its number in its search, counted from 0.")
    parameters: dict[str, Value] = Field(
        default_factory=dict,
        description="Every setting by its path, defaults included: `training.learning_rate`, `indicators[0].period`; "
        "those of an indicator that declares a name with `as` by that: `fast.period`.",
    )
    indicators: tuple[str, ...] = Field(
        (), description="What stands for `indicators[0]`, `indicators[1]`, … in the names of parameters."
    )
    measures: Measures = Field(default_factory=Measures, description="What came of it.")


class Run(RunSummary, Annotations):
    """One training with its settings, what came of it, and what people have written to it."""


class RunColumn(Payload):
    """One column of a table of runs."""

    name: str = Field(description="Its name in queries.")
    title: str = Field(description="Its heading.")
    is_number: bool = Field(description="Whether it holds numbers, where it holds anything.")


class RunRow(Payload):
    """One run in a table."""

    operation_id: str = Field(description="The operation that trained it.")
    values: tuple[Value, ...] = Field(description="One value for each column; null where the run has none.")


class RunTable(Payload):
    """Runs in the order that was asked for."""

    columns: tuple[RunColumn, ...] = Field(description="Those asked for; or the usual ones and those that differ.")
    rows: tuple[RunRow, ...] = Field(description="The runs from `offset` on, at most `limit`.")
    total: int = Field(description="How many runs match.")
    unread: int = Field(0, description="Runs that are still being read: many of an earlier version, after an update.")
    names: tuple[str, ...] = Field(description="Every column that a query may name.")
