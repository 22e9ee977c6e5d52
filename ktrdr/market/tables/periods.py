"""Periods that rows of a table are about: months, quarters, years, and days that begin or end something."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ktrdr.market.files.times import read_times

_MONTH, _QUARTER, _YEAR = r"^(\d{4})-(\d{2})$", r"^(\d{4})[- ]?[Qq]([1-4])$", r"^(\d{4})$"
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Periods:
    """Instants [us, UTC] by row: the one that names the period, and the one at which it is over at the earliest.

    A month, a quarter or a year is over when the next begins. Of a day nothing says whether it begins a period or ends
    one; the first days of months begin them where all are such days, which are over when the table's next one begins.
    """

    names: pl.Series
    ends: pl.Series


def read_periods(values: pl.Series, date_format: str) -> Periods:
    """Null where a value cannot be read. Raises InputError where day and month cannot be told apart."""
    texts = values.cast(pl.String).str.strip_chars()
    for pattern, months in ((_MONTH, 1), (_QUARTER, 3), (_YEAR, 12)):
        if texts.str.contains(pattern).all():
            year = texts.str.extract(pattern, 1)
            number = texts.str.extract(pattern, 2).cast(pl.Int64).fill_null(1)
            month = (number - 1) * months + 1
            starts = (year + "-" + month.cast(pl.String).str.zfill(2) + "-01").str.to_date("%Y-%m-%d", strict=False)
            return Periods(starts.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), _later(starts, f"{months}mo"))
    times = read_times(values, None, date_format)
    ahead = times.offset_us.fill_null(0).cast(pl.Duration("us"))
    names = (times.wall - ahead).dt.replace_time_zone("UTC").cast(_INSTANT)
    return Periods(names, _ends(names))


def _ends(names: pl.Series) -> pl.Series:
    following = names.drop_nulls().unique().sort()
    if not len(following) or (following.dt.day() != 1).any():
        return names
    ends = pl.DataFrame({"name": following, "end": following.shift(-1)})
    return (
        pl.DataFrame({"name": names}).join(ends, on="name", how="left", maintain_order="left")["end"].fill_null(names)
    )


def _later(starts: pl.Series, by: str) -> pl.Series:
    return starts.cast(pl.Datetime("us")).dt.offset_by(by).dt.replace_time_zone("UTC")
