"""Which part of a numeric date is the day: certain where a value or the order of the rows says so, else refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from ktrdr.errors import InputError
from ktrdr.timeframe import Timeframe

DATE_PARTS = ("year", "month", "day")
ORDERS = {"YMD": ("a", "b", "c"), "DMY": ("c", "b", "a"), "MDY": ("c", "a", "b")}
_WORDS = {"YMD": "year{0}month{0}day", "DMY": "day{0}month{0}year", "MDY": "month{0}day{0}year"}
_HINT = "say which it is: --date-format DMY (day first) or --date-format MDY (month first)"
# Neighbouring days of a market lie this close together, but for few holidays.
_NEAR = timedelta(days=4)
_ROWS_FOR_SEQUENCE = 3
_LAST_CENTURY = 69


@dataclass(frozen=True, slots=True)
class Order:
    """parts: of which group year, month and day come; words: the order for people."""

    parts: tuple[str, str, str]
    words: str = ""


def decide(groups: pl.DataFrame, timeframe: Timeframe | None, date_format: str, texts: pl.Series) -> Order:
    """The order of all dates whose groups are a, b and c, with a mark between them.

    Raises InputError where the dates contradict each other, or fit several orders.
    """
    dates = groups.with_columns(text=texts).filter(pl.col("a").is_not_null() & (pl.col("a").str.len_chars() < 4))
    if dates.is_empty():
        return Order(ORDERS["YMD"])
    mark = str(dates["mark"][0])
    if date_format in ORDERS:
        return _order(date_format, mark)
    # Nobody writes months first with dots between.
    names = ["DMY"] if (dates["mark"] == ".").all() and (dates["c"].str.len_chars() == 4).all() else _fitting(dates)
    if len(names) > 1:
        names = [name for name in names if _is_sequence(_days(dates, name), timeframe)] or names
    if len(names) == 1:
        return _order(names[0], mark)
    raise _contradiction(dates) if not names else _ambiguous(dates, names)


def ordered(groups: pl.DataFrame, order: tuple[str, str, str]) -> pl.DataFrame:
    """The groups with year, month and day; dates that begin with four digits are always year, month, day."""
    is_iso = pl.col("a").str.len_chars() == 4
    picked = {
        part: pl.when(is_iso).then(iso).otherwise(group)
        for part, iso, group in zip(DATE_PARTS, ORDERS["YMD"], order, strict=True)
    }
    return groups.with_columns(**picked).with_columns(year=with_century(pl.col("year")))


def with_century(year: pl.Expr) -> pl.Expr:
    """Years of two digits as strptime reads them: 69 to 99 are of the last century."""
    century = pl.when(year.cast(pl.Int32, strict=False) < _LAST_CENTURY).then(pl.lit("20")).otherwise(pl.lit("19"))
    return pl.when(year.str.len_chars() == 2).then(century + year).otherwise(year)


def _order(name: str, mark: str) -> Order:
    return Order(ORDERS[name], f"times as {_WORDS[name].format(mark)}")


def _fitting(dates: pl.DataFrame) -> list[str]:
    names = list(ORDERS) if (dates["a"].str.len_chars() == 2).all() else ["DMY", "MDY"]
    readable = {name: _days(dates, name) for name in names}
    most = max(days.count() for days in readable.values())
    # A value that is no date in any order is for others to complain of.
    return [name for name, days in readable.items() if days.count() == most and _reads_all(days, readable)]


def _reads_all(days: pl.Series, others: dict[str, pl.Series]) -> bool:
    return not any((days.is_null() & other.is_not_null()).any() for other in others.values())


def _days(dates: pl.DataFrame, name: str) -> pl.Series:
    parts = ordered(dates, ORDERS[name]).select(pl.concat_str(*DATE_PARTS, separator="-")).to_series()
    return parts.str.to_date("%Y-%m-%d", strict=False)


def _is_sequence(days: pl.Series, timeframe: Timeframe | None) -> bool:
    """Whether the days follow each other as those of bars do, in either direction."""
    distinct = days.drop_nulls().rle().struct.field("value")
    steps = distinct.diff().drop_nulls()
    if len(distinct) < _ROWS_FOR_SEQUENCE or not ((steps > timedelta(0)).all() or (steps < timedelta(0)).all()):
        return False
    near = max(_NEAR, 2 * timeframe.length if timeframe else _NEAR)
    median = steps.abs().median()
    return isinstance(median, timedelta) and median <= near


def _contradiction(dates: pl.DataFrame) -> InputError:
    first, second = (pl.col(name).cast(pl.Int32, strict=False) for name in ("a", "b"))
    day_first, month_first = (dates.filter(part > 12)["text"] for part in (first, second))
    shown = (
        f"{day_first[0]!r} and {month_first[0]!r}" if len(day_first) and len(month_first) else repr(dates["text"][0])
    )
    return InputError(
        f"the dates contradict each other: {shown} cannot both be read in one order of day and month",
        hint="export the file again with dates as 2024-01-31; or leave the wrong ones out: --date-format DMY "
        "--bad-rows drop",
    )


def _ambiguous(dates: pl.DataFrame, names: list[str]) -> InputError:
    readings = [_days(dates, name) for name in names]
    row = int((readings[0] != readings[1]).fill_null(True).arg_max() or 0)
    text, days = dates["text"][row], [reading[row] for reading in readings]
    meant = " or ".join(f"{day:%-d %B %Y}" for day in days if day)
    return InputError(f"{text!r} may be {meant}, and no other row of the file decides it", hint=_HINT)
