"""Stored bars, what is known of them, and the sources that they come from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from ktrdr.api.schemas.base import Day, Request
from ktrdr.errors import InputError
from ktrdr.payloads.data import QualitySummary
from ktrdr.payloads.files import FileDialect, FileReading
from ktrdr.payloads.payload import BarInstant
from ktrdr.timeframe import Timeframe

Calendar = Field(
    "",
    max_length=64,
    description="An exchange such as XNYS, 24/5 for FX or 24/7, named for the symbol once the load has succeeded; "
    "`guess` forgets the one that was; by default it stays.",
)


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
    calendar: str = Calendar


class Import(FileDialect):
    """The query of an import."""

    filename: str = Field(description="The file's name; its ending tells the format.", max_length=255)
    replace: bool = Field(False, description="Drop what is stored of the series and start it anew.")
    column: list[str] = Field(
        default_factory=list,
        description="`close=Last`: the file's column Last, or the column at that position, is close; "
        "may be given several times.",
        max_length=8,
    )
    calendar: str = Calendar

    @property
    def reading(self) -> FileReading:
        """Raises InputError of a column that is not of the form close=Last."""
        dialect = {name: getattr(self, name) for name in FileDialect.model_fields}
        return FileReading(**dialect, columns=dict(map(_parse_column, self.column)))


def _parse_column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours.strip() and equals and theirs.strip()):
        raise InputError(
            f"column {text[:64]!r} is not of the form close=Last",
            hint="ours, then the file's name of it, or its position if it has no name: timestamp=1",
        )
    return ours.strip().lower(), theirs.strip()


class Series(BaseModel):
    """One stored series of bars."""

    symbol: str
    timeframe: Timeframe
    rows: int
    first: BarInstant
    last: BarInstant
    provider: str
    size_bytes: int
    quality: QualitySummary | None = Field(None, description="Null where these bars have not been checked.")


class Resample(Request):
    to: str = Field(description="The longer timeframe.", max_length=64)
    calendar: str | None = Field(None, max_length=64, description="By default what symbol and bars speak for.")
    replace: bool = Field(False, strict=True, description="Drop what is stored of the longer series.")


class SeriesList(BaseModel):
    series: list[Series]


class NamedCalendar(BaseModel):
    """The calendar of a symbol's market."""

    calendar: str | None = Field(
        max_length=64,
        description="An exchange of exchange_calendars, such as XNYS, 24/5 for FX or 24/7; null for a guess by symbol "
        "and bars.",
    )


class Removed(BaseModel):
    """What was removed of a symbol."""

    symbol: str
    timeframes: list[Timeframe]
    rows: int = Field(description="Bars in all.")


class ProviderInfo(BaseModel):
    """What a source of bars can serve."""

    name: str
    timeframes: list[Timeframe]
    history_days: dict[Timeframe, int] = Field(
        description="How far back from today, by timeframe; one that is not named has no limit."
    )
    adjusted: Literal["splits and dividends", "splits", "no", "unknown"]
    symbols: str


class ProviderList(BaseModel):
    providers: list[ProviderInfo]


class Bar(BaseModel):
    """`timestamp` is its opening."""

    timestamp: BarInstant
    open: float
    high: float
    low: float
    close: float
    volume: float


class Bars(BaseModel):
    """Bars of one series, oldest first; `total` counts the rows in range before `limit`."""

    symbol: str
    timeframe: Timeframe
    total: int
    bars: list[Bar]
