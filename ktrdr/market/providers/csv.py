"""Bars out of one file that the user has: CSV text or Parquet."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo, available_timezones

import polars as pl

from ktrdr.errors import BarsError, InputError, nearest
from ktrdr.market.bars import SCHEMA, check_bars, check_range, check_spacing, check_symbol, conform, in_range
from ktrdr.market.days import TradingDays, are_dates, trading_days, written_zone
from ktrdr.market.provider import Capabilities, Page, Pages, Wait
from ktrdr.timeframe import Timeframe

SUFFIXES = (".csv", ".parquet")

_ACCEPTED = "give a .csv file with a header, or a .parquet file, with timestamp, open, high, low, close, volume"
_HAS_ZONE = r"\d{2}:\d{2}\S* ?(Z|UTC|[+-]\d{2}:?\d{2})\s*$"


@dataclass(frozen=True, slots=True)
class FileProvider:
    """`filename` is what the user calls the file, when it was stored under another name on its way here.

    `columns` names the file's columns that go by other names there, `{"close": "Last"}`; `timezone` is that of its
    times without a zone.
    """

    path: Path
    filename: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    timezone: str = ""
    capabilities: ClassVar[Capabilities] = Capabilities(
        source="file", timeframes=tuple(Timeframe), adjusted="unknown", symbols="whatever the file holds", whole=True
    )

    @property
    def name(self) -> str:
        return Path(self._called).suffix.lower().removeprefix(".") or "file"

    @property
    def _called(self) -> str:
        return self.filename or self.path.name

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        _, until = check_range(start, end)
        try:
            table = self._mapped(read_table(self._content(), self._called))
            bars, clock = check_bars(conform(table)), None
            check_spacing(bars, timeframe)
            if timeframe.is_by_date:
                found = self._trading_days(table, bars["timestamp"], symbol, timeframe)
                bars, clock = check_bars(bars.with_columns(timestamp=found.dates), timeframe), found.clock
        except BarsError as error:
            raise BarsError(f"{self._called}: {error.detail}", hint=error.hint, **error.context) from error
        frame = in_range(bars, start, end)
        if frame.is_empty():
            raise InputError(f"{self._called} has no bar in {start or 'the beginning'} to {end or 'the end'}")
        yield Page(frame, self.name, until or datetime.now(UTC), f"imported from {self._called}", clock)

    def _trading_days(self, table: pl.DataFrame, instants: pl.Series, symbol: str, timeframe: Timeframe) -> TradingDays:
        names = [
            name for name in table.columns if name.strip().strip("<>").lower() in ("timestamp", "datetime", "date")
        ]
        texts = table[names[0]] if names else pl.Series([], dtype=pl.Null)
        if texts.dtype != pl.String:
            return trading_days(instants, symbol, timeframe, dates=texts.dtype == pl.Date, zone=self.timezone)
        zone = self.timezone or written_zone(texts)
        return trading_days(instants, symbol, timeframe, dates=are_dates(texts), zone=zone)

    def _mapped(self, table: pl.DataFrame) -> pl.DataFrame:
        check_columns(self.columns)
        for ours, theirs in self.columns.items():
            if theirs in table.columns:
                continue
            similar = nearest(theirs, table.columns)
            raise InputError(
                f"{self._called} has no column {theirs!r} to take {ours} from",
                hint=f"did you mean {similar!r}?" if similar else f"it has {', '.join(table.columns[:20])}",
            )
        # A column that is taken under another name may stand beside one of that name, which is then not meant.
        dropped = [name for name in table.columns if name.strip().lower() in self.columns]
        taken = {ours: table[theirs] for ours, theirs in self.columns.items()}
        table = table.drop({*dropped, *self.columns.values()}).with_columns(**taken)
        return _in_zone(table, self.timezone) if self.timezone else table

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self._called} cannot be read: {error.strerror}", hint="check the path") from error


def check_columns(columns: Mapping[str, str]) -> None:
    """Raises InputError unless each key is a column of bars."""
    for ours in columns:
        if ours not in SCHEMA:
            similar = nearest(ours, SCHEMA)
            raise InputError(
                f"column {ours[:64]!r} is not one of {', '.join(SCHEMA)}",
                hint=f"did you mean {similar!r}?" if similar else "write it as close=Last: ours, then the file's",
            )


def check_timezone(name: str) -> str:
    """Raises InputError unless it is the name of a time zone, or empty."""
    if not name or name in available_timezones():
        return name
    similar = nearest(name, available_timezones())
    raise InputError(
        f"{name[:64]!r} is not a time zone",
        hint=f"did you mean {similar!r}?" if similar else "name it as America/New_York or UTC",
    )


def _in_zone(table: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """The table with those of its times that have no zone as they are meant, in UTC."""
    zone = str(ZoneInfo(check_timezone(timezone)))
    named = {name.strip().strip("<>").lower(): name for name in table.columns}
    if {"date", "time"} <= named.keys() and not {"timestamp", "datetime"} & named.keys():
        parts = [pl.col(named[part]).cast(pl.String) for part in ("date", "time")]
        table = table.with_columns(pl.concat_str(parts, separator="T").alias("timestamp")).drop(
            named["date"], named["time"]
        )
        column = "timestamp"
    else:
        column = next((named[name] for name in ("timestamp", "datetime", "date", "time") if name in named), "")
    if not column:
        return table
    kind = table.schema[column]
    if kind == pl.String:
        is_epoch = pl.col(column).str.strip_chars().cast(pl.Int64, strict=False).is_not_null()
        zoned = pl.col(column).str.contains(_HAS_ZONE) | is_epoch
    elif isinstance(kind, pl.Datetime) and kind.time_zone is None:
        zoned = pl.lit(False)
    else:
        return table
    return _shifted(table, column, zoned, zone)


def _shifted(table: pl.DataFrame, column: str, zoned: pl.Expr, zone: str) -> pl.DataFrame:
    probe = {name: pl.lit(1.0) for name in SCHEMA if name != "timestamp"}
    stamps = conform(table.select(pl.col(column).alias("timestamp"), **probe))["timestamp"]
    read = table.with_columns(stamps.alias("_instant"), zoned.alias("_zoned"))
    wall = pl.col("_instant").dt.replace_time_zone(None)
    # An hour that comes twice, when summer time ends, is the earlier one where it comes first.
    which = pl.when(pl.col("_instant").is_first_distinct()).then(pl.lit("earliest")).otherwise(pl.lit("latest"))
    local = wall.dt.replace_time_zone(zone, ambiguous=which, non_existent="null").dt.convert_time_zone("UTC")
    moved = read.with_columns(pl.when("_zoned").then("_instant").otherwise(local).alias("_moved"))
    lost = moved.with_row_index("_row", offset=1).filter(pl.col("_moved").is_null() & pl.col("_instant").is_not_null())
    if len(lost):
        rows = ", ".join(map(str, lost["_row"].head(5)))
        raise BarsError(
            f"{len(lost)} times do not exist in {zone}, where summer time begins (rows {rows})",
            hint="the times may be of another zone: --timezone UTC",
        )
    return table.with_columns(moved["_moved"].alias(column))


def read_table(content: bytes, filename: str) -> pl.DataFrame:
    """The file's columns as they are; CSV columns stay text, so that a bad value can be shown with its row."""
    suffix = Path(filename).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{filename} is neither .csv nor .parquet", hint=_ACCEPTED)
    if not content.strip():
        raise InputError(f"{filename} is empty", hint=_ACCEPTED)
    frame = _read_parquet(content, filename) if suffix == ".parquet" else _read_csv(content, filename)
    if frame.is_empty():
        raise BarsError("there are no rows of data", hint=_ACCEPTED)
    return frame


def _read_parquet(content: bytes, filename: str) -> pl.DataFrame:
    if not content.startswith(b"PAR1"):
        raise InputError(f"{filename} is not a Parquet file", hint=_ACCEPTED)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{filename} is damaged: {error}", hint="export it again") from error


def _read_csv(content: bytes, filename: str) -> pl.DataFrame:
    text = _text(content, filename)
    separator = _separator(text)
    try:
        return pl.read_csv(io.StringIO(text), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise BarsError(_ragged_rows(text, separator) or f"it is not a table: {error}", hint=_ACCEPTED) from error


def _text(content: bytes, filename: str) -> str:
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{filename} is not UTF-8 text (byte {error.start})", hint=_ACCEPTED) from error
    if "\0" in text:
        raise InputError(f"{filename} is a binary file, not CSV text", hint=_ACCEPTED)
    if text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<?xml", "{", "[")):
        raise InputError(f"{filename} is a web page or JSON, not CSV", hint=_ACCEPTED)
    return text


def _separator(text: str) -> str:
    header = text.lstrip("\n").partition("\n")[0]
    return max(",;\t|", key=header.count)


def _ragged_rows(text: str, separator: str) -> str:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except csv.Error:
        return ""
    width = len(rows[0])
    ragged = [number for number, row in enumerate(rows[1:], start=1) if len(row) > width]
    if not ragged:
        return ""
    listed = ", ".join(map(str, ragged[:5])) + (", …" if len(ragged) > 5 else "")
    return f"more fields than the header's {width} in rows {listed} (row 1 is the first row of data, below the header)"
