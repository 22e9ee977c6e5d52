"""Tables whose rows say when they were known."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from ktrdr.payloads.payload import BarInstant, Payload

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"


class TableReading(Payload):
    """How the file of a table is to be read."""

    model_config = ConfigDict(extra="forbid")

    known_at: str = Field(min_length=1, max_length=200, description="The column that says since when a row is known.")
    period_column: str = Field(
        "", max_length=200, description="The column that names the period of a row; by default found by its name."
    )
    symbol_column: str = Field(
        "", max_length=200, description="The column that names the symbol of a row; by default found by its name."
    )
    timezone: str = Field("", max_length=64, description="Time zone of dates and of times that have none in the file.")
    date_format: str = Field("", max_length=64, description="`DMY`, `MDY`, `YMD`, or a pattern such as `%d/%m/%Y`.")
    decimal: Literal["", ".", ","] = Field("", description="The decimal mark.")
    thousands: Literal["", ".", ",", "'", " "] = Field("", description="The mark between groups of three digits.")
    skip: int = Field(0, ge=0, description="Lines at the top that do not belong to the table.")
    delimiter: str = Field("", max_length=5, description="What separates the columns: one character, `tab` or `space`.")
    encoding: str = Field("", max_length=32, description="Of the text, such as cp1252; default: UTF-8, or by its BOM.")


class TableInfo(Payload):
    """A stored table: what it holds, and how it was read."""

    name: str = Field(description="What strategies call it.")
    columns: tuple[str, ...] = Field(description="Its columns of numbers.")
    rows: int = Field(description="How many rows.")
    symbols: int = Field(description="How many symbols its rows are about; 0 for a table that is common to all.")
    periods: int = Field(description="Periods, of each symbol by itself.")
    revisions: int = Field(description="Rows that replace an earlier row of the same period.")
    first_period: BarInstant = Field(description="The earliest period.")
    last_period: BarInstant = Field(description="The latest period.")
    first_known: BarInstant = Field(description="Since when its first row was known.")
    last_known: BarInstant = Field(description="Since when its newest row was known.")
    source: str = Field(description="The file that its newest rows came from.")
    layout: str = Field(description="How that file was read.")
    warnings: tuple[str, ...] = Field((), description="What looks wrong in it.")
    sha256: str = Field(description="Of its content.")
    imported_at: BarInstant = Field(description="When its newest rows came.")
