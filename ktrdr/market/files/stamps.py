"""The column, or the two columns, that tell when each bar of a file is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from zoneinfo import available_timezones

import polars as pl

from ktrdr.errors import BarsError
from ktrdr.market.files.columns import Columns
from ktrdr.market.files.names import says_utc
from ktrdr.market.files.table import Table
from ktrdr.market.files.times import Times, read_times
from ktrdr.market.files.zones import check_timezone
from ktrdr.payloads.files import FileDialect
from ktrdr.timeframe import Timeframe

_HAS_CLOCK = r"\d:\d|T\d|\d{8,} ?\d{4}"
_CLOCK = r"^\s*\d{1,2}:\d{1,2}|^\s*\d{3,6}(\.0)?\s*$"
_ZONE_NAME = re.compile(r"[ \[]([A-Za-z]+/[A-Za-z_/+-]+\d*)\]?$")


@dataclass(frozen=True, slots=True)
class Stamps:
    """When the rows of a file are.

    times: as they are read
    texts: as they stand in the file
    zone: of the times that have none; empty where all have one, or none is known
    named_zone: that of the user or of the file, whether or not the times have one
    """

    times: Times
    texts: pl.Series
    zone: str
    named_zone: str

    @property
    def written_zone(self) -> str:
        """The zone in which the dates are written: the named one, or one offset of whole hours that all have."""
        return self.named_zone or self.times.common_offset


def read_stamps(table: Table, columns: Columns, timeframe: Timeframe, dialect: FileDialect) -> Stamps:
    """Raises InputError where the times have several meanings."""
    zone = check_timezone(dialect.timezone)
    texts = _texts(table, columns, timeframe, dialect.date_format)
    own = _own_zone(texts)
    if own:
        zone, texts = own, texts.str.replace(_ZONE_NAME.pattern, "")
    date_format = "" if columns.clock is not None and "%" in dialect.date_format else dialect.date_format
    times = read_times(texts, timeframe, date_format)
    if table.names and says_utc(table.names[columns.timestamp - 1]):
        times = replace(times, offset_us=times.offset_us.fill_null(0))
    return Stamps(times, texts, "" if times.has_zone.all() else zone, zone)


def _texts(table: Table, columns: Columns, timeframe: Timeframe, date_format: str) -> pl.Series:
    dates = table.column(columns.timestamp)
    if columns.clock is None:
        _check_not_clock(dates)
        return dates
    clock = table.column(columns.clock)
    dated = _dates_as_text(dates, date_format)
    if (dates.dtype.is_temporal() and isinstance(dates.dtype, pl.Datetime)) or dated.str.contains(_HAS_CLOCK).any():
        return dates
    clocks = clock.cast(pl.String).str.strip_chars()
    if not clocks.str.contains(_CLOCK).any():
        return dates
    # Dates of daily bars stand beside a clock that shows nothing.
    shows_nothing = clocks.drop_nulls().str.contains(r"^0+(:0+)*(\.0+)?$").all()
    if timeframe.is_by_date and shows_nothing and dates.dtype == pl.String:
        return dated
    return dated.str.strip_chars() + " " + _with_colons(clocks)


def _dates_as_text(dates: pl.Series, date_format: str) -> pl.Series:
    if dates.dtype == pl.String and "%" in date_format:
        return dates.str.strip_chars().str.to_date(date_format, strict=False).cast(pl.String)
    return dates.cast(pl.String).str.strip_suffix(".0")


def _with_colons(clocks: pl.Series) -> pl.Series:
    """`930`, `0930` and `93000` as `09:30` and `09:30:00`; what has colons stays."""
    digits = clocks.str.strip_suffix(".0")
    longest = digits.str.len_chars().max()
    width = 4 if isinstance(longest, int) and longest <= 4 else 6
    groups = digits.str.zfill(width).str.replace(r"^(\d\d)(\d\d)(\d\d)?$", "$1:$2:$3").str.strip_suffix(":")
    return pl.select(pl.when(digits.str.contains(r"^\d+$")).then(groups).otherwise(clocks)).to_series()


def _check_not_clock(texts: pl.Series) -> None:
    if texts.dtype == pl.String and len(texts) and texts.drop_nulls().str.contains(r"^\d{1,2}:\d{2}(:\d{2})?$").all():
        raise BarsError(
            f"the times are times of day without a date, such as {texts[0]!r}",
            hint="say which column has the date: --column timestamp=NAME",
        )


def _own_zone(texts: pl.Series) -> str:
    """The one zone that all texts end with, as in `20240102 09:30:00 US/Eastern`; empty where there is none."""
    if texts.dtype != pl.String or not len(texts) or (match := _ZONE_NAME.search(str(texts[0]))) is None:
        return ""
    zone = match[1]
    alike = texts.drop_nulls().str.contains(zone, literal=True).all()
    return zone if alike and zone in available_timezones() else ""
