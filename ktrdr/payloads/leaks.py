"""What the leak gate and an audit found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import Results


class LabelControls(Payload):
    """Whether a single feature knows the label, measured by rank correlation from 0 to 1."""

    samples: int = Field(description="Samples that were compared.")
    strongest_column: str | None = Field(description="The feature that knows most; null where there were too few.")
    strongest_score: float | None = Field(description="How much it knows.")
    strongest_score_shuffled: float | None = Field(description="How much any seems to know of shuffled labels.")
    void: tuple[str, ...] = Field(description="Symbols with too few samples to tell.")


class LeakChecks(Payload):
    """What was made again of histories that end earlier, and compared."""

    symbols: int = Field(description="Symbols of the training.")
    inspected_symbols: int = Field(description="Those of them whose features were inspected.")
    bars: int = Field(description="Bars of all symbols.")
    columns: int = Field(description="Features.")
    instants: int = Field(description="Instants at which histories were cut off.")
    instants_with_open_bars: int = Field(description="Those at which a bar of a longer timeframe was open.")
    histories: int = Field(description="Histories that features were made of again.")
    rows_compared: int = Field(description="Rows of features that were compared.")
    labels: int = Field(description="Labels that were made again.")
    samples: int = Field(description="Samples whose place in the split was checked.")
    scalers: int = Field(description="Scalers that were fitted again.")
    label_controls: LabelControls = Field(description="Whether a feature knows the label.")


class LeakGateReport(Payload):
    """What was inspected, and what came of it."""

    passed: bool = Field(description="Whether nothing knows its future.")
    verdict: str = Field(description="The outcome in words.")
    checks: LeakChecks = Field(description="What was made again and compared.")
    seconds: float = Field(description="Wall time of the inspection, in seconds.")


class FoundLeak(Payload):
    """One value that depends on what was not known then."""

    kind: str = Field(description="How the training gets to know its future.")
    symbol: str = Field(description="The symbol, or several with commas between.")
    column: str = Field(description="The feature; empty where it is none.")
    instant: BarInstant = Field(description="When the value was used.")
    whole: float | None = Field(description="The value made of the whole history; null where there was none.")
    known: float | None = Field(description="The value made of what was known then; null where there was none.")
    message: str = Field(description="The leak in words.")


class AuditReport(LeakGateReport):
    """What an audit of all bars found."""

    complete: bool = Field(description="Whether the audit came to its end.")
    exhaustive: bool = Field(description="Whether every bar was inspected.")
    leaks: tuple[FoundLeak, ...] = Field(description="The first leak of each symbol and feature.")


class AuditResults(AuditReport, Results):
    """Results of an audit."""

    kind: Literal["audit"] = Field("audit", description="The kind of results.")
