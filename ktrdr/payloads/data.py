"""What is known of stored bars, and what came of loading them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import Results
from ktrdr.timeframe import Timeframe

Severity = Literal["error", "warning", "note"]
Verdict = Literal["sound", "doubtful", "faulty"]

GUESS = "guess"
"""In place of a calendar's name: the one that was named for the symbol is forgotten."""


class CalendarChoice(Payload):
    """The calendar of a series, and why it is this one."""

    name: str = Field(description="An exchange such as XNYS, 24/5 for FX, or 24/7.")
    why: str = Field(description="Why this one was chosen.")
    is_guess: bool = Field(description="Whether nobody named it.")

    def __str__(self) -> str:
        return f"{self.name} ({'a guess: ' if self.is_guess else ''}{self.why})"


class QualityFault(Payload):
    """One kind of fault. A note is no fault of the data, but something to know about them."""

    kind: str = Field(description="Stable name of the kind.")
    severity: Severity = Field(description="An error makes bars wrong, a warning doubtful.")
    count: int = Field(description="How often it is there.")
    message: str = Field(description="The fault in words.")
    instants: tuple[BarInstant, ...] = Field(description="The first few bars that show it.")
    bars: int = Field(0, description="Bars that it makes doubtful or wrong; missing bars are not among them.")


class Gap(Payload):
    """Expected bars in a row that are missing."""

    first: BarInstant = Field(description="Opening of the first.")
    last: BarInstant = Field(description="Opening of the last.")
    bars: int = Field(description="How many.")


class QualitySummary(Payload):
    """What the last check of a series found, in a line."""

    verdict: Verdict = Field(description="As in the report.")
    score: float = Field(ge=0, le=100, description="As in the report.")
    coverage: float = Field(ge=0, le=1, description="As in the report.")
    longest_gap: int = Field(description="Most expected bars in a row that are missing.")
    faults: int = Field(description="Kinds of fault; notes are none.")
    calendar: str = Field(description="Name of the calendar.")


class QualityReport(Payload):
    """How far the bars of a series can be trusted."""

    symbol: str = Field(description="The symbol.")
    timeframe: Timeframe = Field(description="The timeframe.")
    verdict: Verdict = Field(description="By the worst fault: an error makes bars faulty, a warning doubtful.")
    score: float = Field(
        ge=0,
        le=100,
        description="100 times coverage times the share of bars that no fault touches, warnings counted half.",
    )
    coverage: float = Field(ge=0, le=1, description="Share of the expected bars that are present.")
    calendar: CalendarChoice = Field(description="What the bars were checked by.")
    rows: int = Field(description="Stored bars.")
    first: BarInstant = Field(description="Opening of the first bar.")
    last: BarInstant = Field(description="Opening of the last bar.")
    expected: int = Field(description="Bars that the calendar expects between the first and the last.")
    present: int = Field(description="Expected bars that are stored.")
    missing: int = Field(description="Expected bars that are not stored.")
    faults: tuple[QualityFault, ...] = Field(description="The worst first.")
    gap_count: int = Field(description="Gaps in all.")
    longest_gap: int = Field(description="Most expected bars in a row that are missing.")
    gaps: tuple[Gap, ...] = Field(description="The longest hundred, in the order of time.")

    @property
    def summary(self) -> QualitySummary:
        return QualitySummary(
            verdict=self.verdict,
            score=self.score,
            coverage=round(self.coverage, 6),
            longest_gap=self.longest_gap,
            faults=sum(fault.severity != "note" for fault in self.faults),
            calendar=self.calendar.name,
        )


class Resampled(Payload):
    """A series made of another one's bars."""

    symbol: str = Field(description="The symbol.")
    timeframe: Timeframe = Field(description="The timeframe.")
    source: Timeframe = Field(description="The timeframe that it was made of.")
    provider: str = Field(description="What the series is filed under.")
    calendar: str = Field(description="Name of the calendar whose sessions the bars follow.")
    rows_new: int = Field(description="Bars that were not stored before.")
    rows_changed: int = Field(description="Stored bars that came again with other values.")
    rows_total: int = Field(description="Bars stored now.")
    first: BarInstant = Field(description="Opening of the first stored bar.")
    last: BarInstant = Field(description="Opening of the last stored bar.")
    note: str = Field(description="What was left out or overwritten, in words.")


class DataLoadResults(Results):
    """Results of a load of bars from a provider or a file.

    Of a load that failed or was cancelled, what came before is stored. `first`, `last` and `quality` are those of the
    whole series, and null where nothing is stored.
    """

    kind: Literal["data_load"] = Field("data_load", description="The kind of results.")
    symbol: str = Field(description="The symbol.")
    timeframe: Timeframe = Field(description="The timeframe.")
    provider: str = Field(description="Who served the bars.")
    note: str = Field("", description="What else is to be known, in words.")
    pages: int = Field(description="Answers of the provider.")
    asked: tuple[tuple[BarInstant | None, BarInstant], ...] = Field(
        description="Ranges that were asked for, from and up to; null for as far back as there are bars."
    )
    rows_fetched: int = Field(description="Bars that came.")
    rows_new: int = Field(description="Those that were not stored before.")
    rows_changed: int = Field(description="Stored bars that came again with other values.")
    largest_change: float = Field(
        description="The largest difference of a price among those, relative to the larger one."
    )
    rows_total: int = Field(description="Bars stored now.")
    first: BarInstant | None = Field(None, description="Opening of the first stored bar.")
    last: BarInstant | None = Field(None, description="Opening of the last stored bar.")
    quality: QualityReport | None = Field(None, description="What a check found; null where none was possible.")
