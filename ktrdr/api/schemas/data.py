"""Stored bars, what is known of them, and the sources that they come from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ktrdr.api.schemas.base import Day, Request
from ktrdr.payloads.fields import BarInstant


class DataLoad(Request):
    symbol: str
    timeframe: str
    start_date: Day | None = None
    end_date: Day | None = None
    provider: str = "auto"
    replace: bool = Field(
        False, strict=True, description="Drop what is stored of the series and start it anew from this load."
    )
    clip: bool = Field(
        False,
        strict=True,
        description="Where the provider's history begins later than start_date, load from there; else that is refused.",
    )


VerdictWord = Literal["sound", "doubtful", "faulty"]


class SeriesQuality(BaseModel):
    """What the last check of a series found, in a line."""

    verdict: VerdictWord
    score: float = Field(ge=0, le=100)
    coverage: float = Field(ge=0, le=1, description="Share of the bars expected by the calendar that are present.")
    longest_gap: int = Field(description="Most expected bars in a row that are missing.")
    faults: int = Field(description="Kinds of fault; notes are none.")
    calendar: str


class Series(BaseModel):
    """One stored series of bars."""

    symbol: str
    timeframe: str
    rows: int
    first: BarInstant
    last: BarInstant
    provider: str
    size_bytes: int
    quality: SeriesQuality | None = Field(None, description="Null where these bars have not been checked.")


class SeriesCalendar(BaseModel):
    name: str
    why: str
    is_guess: bool


class SeriesFault(BaseModel):
    """One kind of fault; a note is none, but something to know."""

    kind: str
    severity: Literal["error", "warning", "note"]
    count: int
    message: str
    instants: list[BarInstant] = Field(description="The first few that show it.")
    bars: int = Field(description="Bars that it makes doubtful or wrong.")


class SeriesGap(BaseModel):
    """Expected bars in a row that are missing, by the opening instants of the first and the last."""

    first: BarInstant
    last: BarInstant
    bars: int


class Quality(BaseModel):
    """How far the bars of a series can be trusted."""

    symbol: str
    timeframe: str
    verdict: VerdictWord
    score: float = Field(ge=0, le=100)
    coverage: float = Field(ge=0, le=1)
    calendar: SeriesCalendar
    rows: int
    first: BarInstant
    last: BarInstant
    expected: int
    present: int
    missing: int
    faults: list[SeriesFault]
    gap_count: int
    longest_gap: int
    gaps: list[SeriesGap] = Field(description="The longest hundred, in the order of time.")


class Resample(Request):
    to: str = Field(description="The longer timeframe.", max_length=64)
    calendar: str | None = Field(None, max_length=64, description="By default what symbol and bars speak for.")
    replace: bool = Field(False, strict=True, description="Drop what is stored of the longer series.")


class Resampled(BaseModel):
    """A series made of another one's bars."""

    symbol: str
    timeframe: str
    source: str = Field(description="The timeframe that it was made of.")
    provider: str
    calendar: str
    rows_new: int
    rows_changed: int
    rows_total: int
    first: BarInstant
    last: BarInstant
    note: str


class SeriesList(BaseModel):
    series: list[Series]


class ProviderInfo(BaseModel):
    """What a source of bars can serve."""

    name: str
    timeframes: list[str]
    history_days: dict[str, int] = Field(
        description="How far back from today, by timeframe; one that is not named has no limit."
    )
    adjusted: Literal["splits and dividends", "splits", "no", "unknown"]
    symbols: str


class ProviderList(BaseModel):
    providers: list[ProviderInfo]


class Bars(BaseModel):
    """Bars of one series, oldest first; `total` counts the rows in range before `limit`."""

    symbol: str
    timeframe: str
    total: int
    bars: list[dict[str, Any]]
