"""Dates and times of day in words and figures, value by value: ISO 8601 and what people and programs write instead."""

from __future__ import annotations

import re

import polars as pl

from ktrdr.market.files.date_order import DATE_PARTS, decide, ordered, with_century
from ktrdr.timeframe import Timeframe

EXCEL = "excel"
WALL = pl.Datetime("us")

# A time of day with colons or without, a fraction, AM or PM, and a zone.
_CLOCK = (
    r"(?:[T ,_]+(?P<hour>\d{1,2})"
    r"(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"|(?P<minute2>\d{2})(?P<second2>\d{2})?(?:\.\d{1,9})?)?"
    r" ?(?:(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r" ?(?P<zone>[Zz]|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|UTC|GMT)?$"
)
_DATES = (
    r"^(?P<a>\d{1,4})(?P<mark>[-/.])(?P<b>\d{1,2})[-/.](?P<c>\d{1,4})",
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    r"^(?P<day>\d{1,2})[- /.]?(?P<month>[A-Za-z]{3,9})[-,. /]+(?P<year>\d{4}|\d{2})",
    r"^(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})",
    r"^(?P<year>\d{4})[- /](?P<month>[A-Za-z]{3,9})[- /](?P<day>\d{1,2})",
)
_WEEKDAY = r"^(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
_MINUTE_US = 60_000_000


def read(values: pl.Series, timeframe: Timeframe | None, date_format: str) -> tuple[pl.DataFrame, str]:
    """Columns wall, offset_us and is_date, null where a value cannot be read; and the order of day and month in words.

    Raises InputError where day and month cannot be told apart.
    """
    text = values.str.replace_all(r"\s+", " ").str.replace(_WEEKDAY, "")
    numeric, *others = (_parts(text, date) for date in _DATES)
    order = decide(numeric, timeframe, date_format, values)
    frames = [_moments(ordered(numeric, order.parts)), *(_moments(_with_month_numbers(parts)) for parts in others)]
    columns = {
        name: pl.select(pl.coalesce(frame[name] for frame in frames)).to_series() for name in ("wall", "offset_us")
    }
    is_date = pl.select(pl.coalesce(pl.when(f["wall"].is_not_null()).then(f["is_date"]) for f in frames)).to_series()
    return pl.DataFrame({**columns, "is_date": is_date}), order.words


def offset_us(zone: str) -> int:
    """How far a clock with this suffix, such as `+0100` or `Z`, is ahead of UTC [us]."""
    match = _OFFSET.fullmatch(zone)
    if match is None:
        return 0
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return (-minutes if match[1] == "-" else minutes) * _MINUTE_US


def _parts(text: pl.Series, date: str) -> pl.DataFrame:
    """The groups of one way to write dates, as texts; null in the rows that are written otherwise."""
    groups = text.str.extract_groups(date + _CLOCK).struct.unnest()
    return groups.with_columns(minute=pl.coalesce("minute", "minute2"), second=pl.coalesce("second", "second2")).drop(
        "minute2", "second2"
    )


def _with_month_numbers(parts: pl.DataFrame) -> pl.DataFrame:
    """Months by their English names as numbers."""
    numbers = {name: str(number) for number, name in enumerate(_MONTHS, start=1)}
    named = pl.col("month").str.to_lowercase().str.head(3).replace(numbers)
    month = pl.when(pl.col("month").str.contains("[A-Za-z]")).then(named).otherwise("month")
    return parts.with_columns(month=month, year=with_century(pl.col("year")))


def _moments(parts: pl.DataFrame) -> pl.DataFrame:
    hour = pl.col("hour").cast(pl.Int32, strict=False)
    shift = {"a": pl.when(hour == 12).then(0).otherwise(hour), "p": pl.when(hour < 12).then(hour + 12).otherwise(hour)}
    half = pl.col("half").str.to_lowercase()
    full_hour = pl.when(half == "a").then(shift["a"]).when(half == "p").then(shift["p"]).otherwise(hour).fill_null(0)
    # 24:00 is the midnight at the end of a day.
    is_end = (full_hour == 24) & (pl.col("minute").fill_null("0").cast(pl.Int32) == 0) & half.is_null()
    written = pl.concat_str(
        *DATE_PARTS,
        pl.when(is_end).then(0).otherwise(full_hour),
        pl.col("minute").fill_null("0"),
        pl.concat_str(pl.col("second").fill_null("0"), pl.lit("."), pl.col("fraction").fill_null("0")),
        separator=" ",
    )
    wall = written.str.to_datetime("%Y %m %d %H %M %S%.f", time_unit="us", strict=False)
    # An hour of the day by itself, as in "2024-01-02 9", tells nothing without AM or PM.
    is_clear = pl.col("minute").is_not_null() | pl.col("hour").is_null() | half.is_not_null()
    return parts.select(
        wall=pl.when(is_clear).then(wall + pl.duration(days=is_end.cast(pl.Int32).fill_null(0))),
        offset_us=pl.col("zone").replace_strict(_offsets(parts["zone"]), default=None, return_dtype=pl.Int64),
        is_date=pl.col("hour").is_null(),
    )


def _offsets(zones: pl.Series) -> dict[str, int]:
    return {zone: offset_us(zone) for zone in zones.unique().drop_nulls()}
