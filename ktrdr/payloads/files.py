"""How a file with bars is to be read, where the file alone does not tell."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from ktrdr.payloads.payload import Payload


class FileDialect(Payload):
    """What a user says about a file; whatever is left empty is detected, or refused where it is uncertain."""

    model_config = ConfigDict(extra="forbid")

    format: str = Field("", max_length=64, description="A known vendor's layout, such as `metatrader4`.")
    timezone: str = Field(
        "", description="Time zone of times that have none in the file, such as America/New_York; default: UTC."
    )
    date_format: str = Field(
        "",
        max_length=64,
        description="`DMY`, `MDY` or `YMD` for the order of day, month and year; `excel` for serial dates; "
        "or a pattern such as `%d/%m/%Y %H:%M`.",
    )
    decimal: Literal["", ".", ","] = Field("", description="The decimal mark.")
    thousands: Literal["", ".", ",", "'", " "] = Field("", description="The mark between groups of three digits.")
    no_header: bool = Field(False, description="The first line is already a bar.")
    skip: int = Field(0, ge=0, description="Lines at the top that do not belong to the table.")
    delimiter: str = Field("", max_length=5, description="What separates the columns: one character, `tab` or `space`.")
    encoding: str = Field("", max_length=32, description="Of the text, such as cp1252; default: UTF-8, or by its BOM.")
    only: str = Field("", max_length=32, description="Take the rows of this symbol from a file that holds several.")
    stamp: Literal["open", "close"] = Field("open", description="Whether times are those of opening or of closing.")
    bad_rows: Literal["refuse", "drop"] = Field(
        "refuse", description="`drop` leaves rows out that cannot be right, and says how many."
    )


class FileReading(FileDialect):
    """A dialect with the file's own names of columns."""

    columns: dict[str, str] = Field(
        default_factory=dict,
        description="The file's name, or position counted from 1, of each column that has another name there.",
    )
