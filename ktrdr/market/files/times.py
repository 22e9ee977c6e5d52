"""Times of bars out of the many ways in which files write them, each value by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from ktrdr.market.files import epochs, written
from ktrdr.market.files.written import WALL, offset_us
from ktrdr.timeframe import Timeframe

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?P<gap>[T ])\d\d:\d\d(?P<second>:\d\d(?P<fraction>\.\d{1,9})?)?)?(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
_HOUR_US = 3_600_000_000
_CLOCK_CODES = ("%H", "%I", "%T", "%R", "%k", "%l", "%X", "%c")


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a file's rows, as they are written.

    wall: date and time of day without a zone [us]; null where a value cannot be read
    offset_us: how far that clock is ahead of UTC [us]; null where the file does not say
    is_date: whether no time of day is written
    layout: how they were read, for people; empty where nothing had to be decided
    """

    wall: pl.Series
    offset_us: pl.Series
    is_date: pl.Series
    layout: str = ""

    @property
    def has_zone(self) -> pl.Series:
        return self.offset_us.is_not_null()

    @property
    def common_offset(self) -> str:
        """The zone of an offset from UTC in whole hours that all times have; else an empty text."""
        offsets = self.offset_us.unique()
        hours, rest = divmod(offsets[0] or 0, _HOUR_US) if len(offsets) == 1 else (0, 0)
        # Names of this kind count hours to the west.
        return f"Etc/GMT{-hours:+}" if hours and not rest and -12 <= hours <= 14 else ""


def read_times(values: pl.Series, timeframe: Timeframe | None = None, date_format: str = "") -> Times:
    """Read a column of times of any type.

    date_format: DMY, MDY or YMD, `excel`, or a pattern of strptime; empty to detect the layout

    Raises InputError where day and month cannot be told apart.
    """
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
    if values.dtype.is_integer() and "%" in date_format:
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        return _read_texts(values.str.strip_chars(), timeframe, date_format)
    if values.dtype.is_numeric():
        return _read_numbers(values.cast(pl.Float64, strict=False), date_format)
    return _read_typed(values)


def _read_typed(values: pl.Series) -> Times:
    """Dates and datetimes, as Parquet has them; other types cannot be read."""
    kind = values.dtype
    if kind != pl.Date and not isinstance(kind, pl.Datetime):
        return _same_for_all(pl.Series([None] * len(values), dtype=WALL), None, is_date=False)
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        return _same_for_all(values.cast(WALL), None, is_date=kind == pl.Date)
    wall = values.dt.replace_time_zone(None)
    ahead = (wall - values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)).dt.total_microseconds()
    return Times(wall.cast(WALL), ahead, pl.repeat(False, len(values), eager=True))


def _read_numbers(values: pl.Series, date_format: str) -> Times:
    counted = epochs.read(values, is_excel=date_format == written.EXCEL)
    return Times(counted["wall"], counted["offset_us"], counted["is_date"], epochs.layout(values, date_format))


def _read_texts(text: pl.Series, timeframe: Timeframe | None, date_format: str) -> Times:
    if "%" in date_format:
        return _read_pattern(text, date_format)
    if not date_format and (read := _read_iso(text)) is not None:
        return read
    numbers = text.cast(pl.Float64, strict=False)
    counted = _read_numbers(numbers, date_format)
    if numbers.null_count() == text.null_count():
        return counted
    rest = pl.select(pl.when(numbers.is_null()).then(text)).to_series()
    frame, layout = written.read(rest, timeframe, date_format)
    wall, offset, is_date = (getattr(counted, name).fill_null(frame[name]) for name in ("wall", "offset_us", "is_date"))
    return Times(wall, offset, is_date, "; ".join(filter(None, (counted.layout, layout))))


def _read_pattern(text: pl.Series, pattern: str) -> Times:
    """By a pattern that the user gives; with a zone in it, the times come as UTC."""
    has_clock = any(code in pattern for code in _CLOCK_CODES)
    moments = (text if has_clock else text + " 00:00").str.to_datetime(
        pattern if has_clock else f"{pattern} %H:%M", time_unit="us", strict=False
    )
    offset = 0 if "%z" in pattern else None
    return _same_for_all(
        moments.dt.replace_time_zone(None), offset, is_date=not has_clock, layout=f"times as {pattern}"
    )


def _read_iso(text: pl.Series) -> Times | None:
    """All values at once, where they are ISO 8601 and written as the first one is; else None."""
    match = _ISO.fullmatch(next((value for value in text.head(100) if value), ""))
    if match is None:
        return None
    zone = match["zone"] or ""
    pattern = "%Y-%m-%d"
    if match["gap"]:
        pattern += f"{match['gap']}%H:%M"
    if match["second"]:
        pattern += ":%S"
    if match["fraction"]:
        pattern += "%.f"
    # Polars takes no format without a time for one with it.
    wall = (text if match["gap"] else text.str.strip_suffix(zone) + " 00:00" + zone).str.to_datetime(
        pattern + ("" if match["gap"] else " %H:%M") + zone, time_unit="us", strict=False
    )
    if wall.null_count() > text.null_count():
        return None
    return _same_for_all(wall, offset_us(zone) if zone else None, is_date=not match["gap"])


def _same_for_all(wall: pl.Series, offset: int | None, *, is_date: bool, layout: str = "") -> Times:
    return Times(
        wall,
        pl.repeat(offset, len(wall), dtype=pl.Int64, eager=True),
        pl.repeat(is_date, len(wall), dtype=pl.Boolean, eager=True),
        layout,
    )
