"""What a training would meet: samples, balance, parameters, memory, time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.errors import TrainingDataError
from ktrdr.payloads.data import CalendarChoice
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import Results

PartName = Literal["train", "validation", "test"]


class MissingBars(Payload):
    """A hole in the bars of one symbol."""

    after: BarInstant = Field(description="Opening of the last bar before it.")
    before: BarInstant = Field(description="Opening of the first bar after it.")
    bars: int = Field(description="Bars that the calendar expects in it.")


class SymbolSamples(Payload):
    """What became of one symbol's bars."""

    symbol: str = Field(description="The symbol.")
    bars: int = Field(description="Its bars of the shortest timeframe.")
    warmup_rows: int = Field(description="Bars before its features have values.")
    train_samples: int = Field(description="Samples to train on.")
    validation_samples: int = Field(description="Samples to validate on.")
    test_samples: int = Field(description="Samples of the test part.")
    purged_samples: int = Field(description="Samples in no part, because their labels reach over a border.")
    unlabelled_rows: int = Field(description="Bars whose label nothing settles yet.")
    first: BarInstant = Field(description="Opening of its first bar.")
    last: BarInstant = Field(description="Opening of its last bar.")
    border: BarInstant | None = Field(
        description="Opening of the first validation sample's last bar; null without validation samples."
    )
    calendar: CalendarChoice | None = Field(
        None, description="By which holes are found and years are counted; null in results of 0.1.0."
    )
    holes: tuple[MissingBars, ...] = Field((), description="Holes in its bars.")


class PartReport(Payload):
    """The samples of one part of the training."""

    part: PartName = Field(description="The part.")
    samples: int = Field(description="Number of samples.")
    first: BarInstant = Field(description="Opening of the first sample's last bar.")
    last: BarInstant = Field(description="Opening of the last sample's last bar.")
    shares: dict[str, float] = Field(description="Share of each class; of numbers, those above 0 and not.")
    resolution: float = Field(
        description="Lead over a baseline in accuracy, or in a regression correlation with the outcome, that so many "
        "samples show with 80 % power."
    )
    resolution_in: Literal["accuracy", "correlation"] = Field(
        "accuracy", description="What the resolution is a size of."
    )
    effective_samples: int | None = Field(
        None, description="Independent samples that would show as much; null in results of 0.1.0."
    )


class LeftOutSymbol(Payload):
    """A symbol that has no part in a fold, or not in all of the fold's parts."""

    symbol: str = Field(description="The symbol.")
    parts: tuple[PartName, ...] = Field(description="The parts that hold no sample of it.")
    first: BarInstant = Field(description="Opening of its first bar.")
    last: BarInstant = Field(description="Opening of its last bar.")
    reason: str = Field(description="Why, in words.")


class FoldWarning(Payload):
    """What makes the result of a fold weak."""

    about: str = Field(description="The same for the same thing in other folds.")
    text: str = Field(description="The warning in words.")


class FoldReport(Payload):
    """What one fold has to train on."""

    fold: int = Field(description="Number of the fold, counted from 1.")
    parts: tuple[PartReport, ...] = Field(description="Its parts; none where it cannot be trained.")
    left_out: tuple[LeftOutSymbol, ...] = Field(description="Symbols that it leaves out.")
    epoch_seconds: float | None = Field(description="Time of an epoch, in seconds; null where it was not measured.")
    total_seconds: float | None = Field(
        description="Time of all epochs and of what they need once, in seconds; null where it was not measured."
    )
    errors: tuple[str, ...] = Field(description="What makes it hopeless.")
    warnings: tuple[FoldWarning, ...] = Field(description="What makes its result weak.")


class PreflightReport(Payload):
    """What there is to train on, and what it takes.

    Of a training in folds symbols, parts and the time of an epoch are those of the first fold that can be trained.
    """

    symbols: tuple[SymbolSamples, ...] = Field(description="What became of each symbol's bars.")
    left_out: tuple[LeftOutSymbol, ...] = Field((), description="Symbols that are left out.")
    parts: tuple[PartReport, ...] = Field(description="Samples and balance of each part.")
    features: int = Field(description="Features of each bar.")
    window: int = Field(description="Bars of a sample.")
    parameters: int = Field(description="Parameters of the model; 0 where that is not known before.")
    parameters_per_sample: float = Field(
        description="Parameters for each training sample, in the fold with the fewest of them."
    )
    peak_memory_bytes: int = Field(description="Memory that the training will take at most, in bytes.")
    available_memory_bytes: int = Field(description="Memory that is free for it, in bytes.")
    epoch_seconds: float | None = Field(description="Time of an epoch, in seconds; null where it was not measured.")
    total_seconds: float | None = Field(
        description="Time of all epochs of all folds, in seconds; null where it was not measured."
    )
    folds: int = Field(1, description="Folds of the training.")
    by_fold: tuple[FoldReport, ...] = Field((), description="What each fold has to train on.")
    errors: tuple[str, ...] = Field(description="What makes the training hopeless.")
    warnings: tuple[str, ...] = Field(description="What makes its result weak.")

    def check(self) -> None:
        """Raises TrainingDataError when the training is hopeless."""
        if self.errors:
            raise TrainingDataError(
                "; ".join(self.errors),
                hint="load a longer range, or choose other labels or another split; see: ktrdr models train --dry-run",
                preflight=self.model_dump(mode="json"),
            )


class PreflightResults(PreflightReport, Results):
    """Results of a preflight."""

    kind: Literal["preflight"] = Field("preflight", description="The kind of results.")
