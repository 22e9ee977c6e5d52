"""The one schema of bars, and the checks that every series passes before it is stored."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from math import inf
from urllib.parse import unquote

import polars as pl

from ktrdr.errors import BarsError, InputError
from ktrdr.instants import as_instant
from ktrdr.timeframe import Timeframe

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")

# `timestamp` is the bar's opening instant.
SCHEMA: dict[str, pl.DataType] = {
    "timestamp": pl.Datetime("us", "UTC"),
    **{name: pl.Float64() for name in VALUES},
}

# Adjusted prices differ from each other by rounding: high = close may come back as high < close by an ulp.
ROUNDING = 1e-9

_ALIASES = {"datetime": "timestamp", "date": "timestamp", "time": "timestamp", "vol": "volume"}
_ISO_8601 = (
    r"^(\d{4})[-/.](\d{2})[-/.](\d{2})"
    r"(?:[T ]+(\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?)?"
    r" ?(Z|UTC|[+-]\d{2}:?\d{2})?$"
)
_PARTS = ("year", "month", "day", "minute", "second", "zone")
_ROWS_NAMED = 5
# Bars closer together than half a timeframe, as far as they are strays; and how many bars tell of their spacing.
_STRAYS, _STRAY_SHARE = 1, 0.01
_ENOUGH = 5
_DAY_US = 86_400_000_000
_ROWS_COUNTED = "row 1 is the first row of data, the header is not counted"


def check_symbol(symbol: str) -> str:
    """The symbol in capitals. Raises InputError for one that cannot be stored or typed."""
    plain = unicodedata.normalize("NFC", symbol.upper())
    if re.fullmatch(r"[\w^=$@-][\w.^=&!:+$@-]{0,31}", plain):
        return plain
    raise InputError(
        f"symbol {symbol[:64]!r} is not allowed: 1 to 32 letters, digits or . - _ ^ = & ! : + $ @ with no dot in front",
        hint=f"write the slash as a hyphen: {plain.replace('/', '-')[:64]}"
        if "/" in plain
        else "for example AAPL, BTC-USD, ^GSPC or M&M.NS",
        symbol=symbol[:64],
    )


def folder_name(symbol: str) -> str:
    """The name of a symbol's folder; signs that some file systems refuse are written as %26 and the like."""
    return re.sub(r"[^\w.^=-]", lambda sign: f"%{ord(sign[0]):02X}", check_symbol(symbol))


def symbol_of(folder: str) -> str:
    """The symbol whose folder has this name."""
    return unquote(folder)


def check_range(start: date | None, end: date | None) -> tuple[datetime | None, datetime | None]:
    """The range as instants [from, until), both dates inclusive; a datetime `end` includes its own instant."""
    since, until = None if start is None else as_instant(start), _instant_after(end)
    if since is not None and until is not None and since >= until:
        raise InputError(
            f"start {start} lies after end {end}",
            hint="give the earlier date as the start",
            start=str(start),
            end=str(end),
        )
    return since, until


def in_range(frame: pl.DataFrame, start: date | None, end: date | None) -> pl.DataFrame:
    return frame.filter(range_filter(*check_range(start, end)))


def range_filter(since: datetime | None, until: datetime | None) -> pl.Expr:
    condition = pl.lit(True)
    if since is not None:
        condition &= pl.col("timestamp") >= since
    if until is not None:
        condition &= pl.col("timestamp") < until
    return condition


def _instant_after(day: date | None) -> datetime | None:
    if day is None:
        return None
    first = as_instant(day)
    step = timedelta(microseconds=1) if isinstance(day, datetime) else timedelta(days=1)
    return first + step if first <= datetime.max.replace(tzinfo=UTC) - step else None


@dataclass(frozen=True, slots=True)
class RowFault:
    """One kind of fault: how many rows have it, and the first few of them."""

    message: str
    count: int
    rows: tuple[int, ...]

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.rows)) + (", …" if self.count > len(self.rows) else "")
        return f"{self.message} in {self.count} {'row' if self.count == 1 else 'rows'} ({listed})"


def check_bars(frame: pl.DataFrame, timeframe: Timeframe | None = None) -> pl.DataFrame:
    """The frame itself when it follows SCHEMA and every row is right; given a timeframe, its timestamps fit that too.

    Raises:
        BarsError: every kind of fault at once, with row numbers counted from 1.
    """
    if frame.schema != pl.Schema(SCHEMA):
        raise BarsError(
            f"bars must have the columns {', '.join(SCHEMA)} of the types in the schema; "
            f"these have {', '.join(f'{name} ({kind})' for name, kind in frame.schema.items())}"
        )
    if _is_sound(frame, is_by_date=timeframe is not None and timeframe.is_by_date):
        return frame
    numbered = frame.with_row_index("row", offset=1)
    off = _fault(numbered, "timestamp is not 00:00 UTC", pl.col("timestamp") != pl.col("timestamp").dt.truncate("1d"))
    faults = _faults(numbered)
    if off and timeframe and timeframe.is_by_date:
        faults.append(off)
    _raise_if_any(faults)
    return frame


def check_spacing(frame: pl.DataFrame, timeframe: Timeframe) -> None:
    """Raises BarsError when the bars, in their order, are closer together than those of the timeframe, or far apart.

    A stray bar between the others is let through. So are the short steps where a bar ends with its session.
    """
    steps, length = frame["timestamp"].diff().drop_nulls(), timeframe.length
    closest = steps.min()
    if not isinstance(closest, timedelta):
        return
    if closest >= length:
        _check_far(frame, closest, timeframe)
        return
    spacing = steps.median()
    # A day has 23 hours when summer time begins.
    shortest = length - timedelta(hours=1) if timeframe.is_by_date else length
    if isinstance(spacing, timedelta) and spacing < shortest:
        raise _not_of(spacing, timeframe, f"bars {_length(spacing)} apart")
    close = (steps <= length / 2).arg_true()
    if len(close) > max(_STRAYS, _STRAY_SHARE * len(steps)):
        rows = ", ".join(_row(frame, int(row) + 1) for row in close.head(2))
        raise _not_of(closest, timeframe, f"{len(close):,} bars {_length(closest)} or so after the one before ({rows})")


def _check_far(frame: pl.DataFrame, closest: timedelta, timeframe: Timeframe) -> None:
    """Bars none of which is followed by one of the timeframe's length are those of a longer one."""
    longer = next((each for each in Timeframe if each.length > timeframe.length), None)
    least = longer.length if longer else 4 * timeframe.length
    if len(frame) >= _ENOUGH and closest >= least:
        raise _not_of(
            closest, timeframe, f"bars at least {_length(closest)} apart ({_row(frame, 0)}, {_row(frame, 1)})"
        )


def _not_of(spacing: timedelta, timeframe: Timeframe, which: str) -> BarsError:
    fitting = [each for each in Timeframe if each.length <= spacing]
    return BarsError(
        f"{which}, which are not {timeframe} bars",
        hint=f"import such bars as {fitting[-1]}" if fitting else f"the shortest timeframe is {Timeframe.MINUTE_1}",
        timeframe=timeframe,
    )


def _length(spacing: timedelta) -> str:
    return str(spacing).removesuffix(", 0:00:00")


def _row(frame: pl.DataFrame, row: int) -> str:
    return f"row {row + 1}: {frame['timestamp'][row]:%Y-%m-%d %H:%M}"


def conform(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in SCHEMA, row order kept: names folded, dates, texts and epoch numbers made UTC instants.

    Times without a zone are taken as UTC. Other columns are dropped.

    Raises:
        BarsError: a column is missing, or values cannot be read (all rows named, other faults listed beside).
    """
    if frame.schema == pl.Schema(SCHEMA):
        return frame
    named = _named(frame)
    stamps = _instants(named["timestamp"])
    casted = named.select(stamps.alias("timestamp"), *(_numbers(named[name]) for name in VALUES))
    lost = {name: named[name].is_not_null() & casted[name].is_null() for name in SCHEMA}
    unreadable = [fault for name, mask in lost.items() if (fault := _unreadable(name, named[name], mask))]
    if unreadable:
        readable = casted.with_row_index("row", offset=1).filter(~pl.DataFrame(lost).max_horizontal())
        _raise_if_any([*unreadable, *_faults(readable)])
    return casted


def fingerprint(frame: pl.DataFrame) -> str:
    """SHA-256 of the bars' content, the same wherever and however they were stored; further instants count."""
    digest = hashlib.sha256()
    for name in (*SCHEMA, *(name for name in frame.columns if name not in SCHEMA)):
        digest.update(name.encode())
        digest.update(frame[name].to_physical().to_numpy().tobytes())
    return digest.hexdigest()


def _raise_if_any(faults: Iterable[RowFault]) -> None:
    found = list(faults)
    if found:
        raise BarsError(
            f"{'; '.join(map(str, found))} ({_ROWS_COUNTED})",
            hint="correct or remove these rows and try again; nothing was stored",
            faults=[asdict(fault) for fault in found],
        )


def _is_sound(frame: pl.DataFrame, *, is_by_date: bool) -> bool:
    """Whether nothing is wrong at first sight, which for most frames is all there is to it; large ones need not wait.

    False says nothing: prices that differ by rounding alone are for `_faults` to look at.
    """
    if frame.is_empty() or any(column.null_count() for column in frame):
        return frame.is_empty()
    stamps = frame["timestamp"].to_physical().to_numpy()
    open_, high, low, close, volume = (frame[name].to_numpy() for name in VALUES)
    # Where one of the two is no number, nothing is in order.
    pairs = ((high, open_), (high, close), (open_, low), (close, low), (stamps[1:], stamps[:-1] + 1))
    return (
        all((upper >= lower).all() for upper, lower in pairs)
        and 0 < low.min() <= high.max() < inf
        and 0 <= volume.min() <= volume.max() < inf
        and not (is_by_date and (stamps % _DAY_US).any())
    )


def _faults(numbered: pl.DataFrame) -> list[RowFault]:
    candidates = [_fault(numbered, "timestamp is missing", pl.col("timestamp").is_null())]
    for name in VALUES:
        value = pl.col(name)
        candidates += [
            _fault(numbered, f"{name} is missing or not a number", value.is_null() | value.is_nan()),
            _fault(numbered, f"{name} is infinite", value.is_infinite()),
        ]
    candidates += [
        *(_fault(numbered, f"{name} is zero or negative", _finite(name) & (pl.col(name) <= 0)) for name in PRICES),
        _fault(numbered, "volume is negative", _finite("volume") & (pl.col("volume") < 0)),
    ]
    whole = numbered.filter(pl.all_horizontal(_finite(name) for name in PRICES))
    slack = ROUNDING * pl.col("high").abs()
    highest, lowest = pl.max_horizontal("open", "low", "close"), pl.min_horizontal("open", "close")
    candidates += [
        _fault(whole, "high is below open, low or close", pl.col("high") < highest - slack),
        _fault(whole, "low is above open or close", pl.col("low") > lowest + slack),
    ]
    dated = numbered.filter(pl.col("timestamp").is_not_null())
    candidates += [
        _fault(dated, "timestamp was seen before", ~pl.col("timestamp").is_first_distinct()),
        _fault(dated, "timestamp is earlier than the row before", pl.col("timestamp").diff() < timedelta(0)),
    ]
    return [fault for fault in candidates if fault]


def _finite(name: str) -> pl.Expr:
    return pl.col(name).is_finite().fill_null(False)


def _fault(numbered: pl.DataFrame, message: str, condition: pl.Expr) -> RowFault | None:
    rows = numbered.filter(condition)["row"]
    return RowFault(message, len(rows), tuple(rows.head(_ROWS_NAMED))) if len(rows) else None


def _unreadable(name: str, original: pl.Series, lost: pl.Series) -> RowFault | None:
    rows = lost.arg_true()
    if not len(rows):
        return None
    example = str(original[rows[0]])[:40]
    what = "an ISO 8601 time (2023-01-31 or 2023-01-31T14:30:00Z)" if name == "timestamp" else "a number"
    return RowFault(f"{name} {example!r} is not {what}", len(rows), tuple((rows.head(_ROWS_NAMED) + 1).to_list()))


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """The schema's columns under the schema's names, with the types they came in."""
    found: dict[str, str] = {}
    for column in frame.columns:
        folded = column.strip().strip("<>").lower()
        if folded in found:
            raise BarsError(f"the columns {found[folded]!r} and {column!r} mean the same", columns=frame.columns)
        found[folded] = column
    if {"date", "time"} <= found.keys() and not {"timestamp", "datetime"} & found.keys():
        joined = pl.concat_str([pl.col(found[part]).cast(pl.String) for part in ("date", "time")], separator="T")
        frame = frame.with_columns(joined.alias(found["date"]))
    for alias, name in _ALIASES.items():
        if alias in found:
            found.setdefault(name, found[alias])
    missing = [name for name in SCHEMA if name not in found]
    if missing:
        raise BarsError(
            f"no column {', '.join(missing)}; the columns found are {', '.join(frame.columns[:20]) or 'none'}",
            hint=f"the columns needed are {', '.join(SCHEMA)}, in any order and case",
            missing=missing,
            columns=frame.columns[:20],
        )
    return frame.select(pl.col(found[name]).alias(name) for name in SCHEMA)


def _numbers(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        values = values.str.strip_chars()
    return values.cast(pl.Float64, strict=False)


def _instants(values: pl.Series) -> pl.Series:
    utc = SCHEMA["timestamp"]
    if values.dtype == pl.String:
        return _instants_of_text(values)
    if values.dtype.is_numeric():
        return _instants_of_numbers(values)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(values.dtype, pl.Datetime):
        zoned = values.dt.convert_time_zone("UTC") if values.dtype.time_zone else values.dt.replace_time_zone("UTC")
        return zoned.cast(utc)
    return pl.Series(values.name, [None] * len(values), dtype=utc)


def _instants_of_text(values: pl.Series) -> pl.Series:
    """Year-first texts only: 01/02/2023 is January to some and February to others."""
    text = values.str.strip_chars()
    numbers = text.cast(pl.Int64, strict=False)
    if len(text) and numbers.null_count() == text.null_count():
        return _instants_of_numbers(numbers)
    parts = text.str.extract_groups(_ISO_8601).struct.unnest().rename(dict(zip("123456", _PARTS, strict=True)))
    iso = parts.select(
        pl.concat_str(
            *_PARTS[:3],
            pl.col("minute").fill_null("00:00"),
            pl.col("second").fill_null(":00"),
            pl.col("zone").fill_null("Z").replace({"Z": "+00:00", "UTC": "+00:00"}),
            separator=" ",
        )
    ).to_series()
    return iso.str.to_datetime("%Y %m %d %H:%M :%S%.f %z", time_unit="us", time_zone="UTC", strict=False)


def _instants_of_numbers(values: pl.Series) -> pl.Series:
    """Epoch seconds, ms, µs or ns by their size; eight digits that are a date are one."""
    days = values.cast(pl.String).str.strip_suffix(".0").str.to_date("%Y%m%d", strict=False)
    if days.null_count() == values.null_count() and days.is_between(date(1900, 1, 1), date(2200, 1, 1)).all():
        return _instants(days)
    whole = values.cast(pl.Float64)
    largest = whole.abs().max()
    if not isinstance(largest, float) or largest >= 1e20:
        return pl.Series(values.name, [None] * len(values), dtype=SCHEMA["timestamp"])
    to_us = next(factor for limit, factor in ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (1e20, 1e-3)) if largest < limit)
    return (whole * to_us).round().cast(pl.Int64, strict=False).cast(SCHEMA["timestamp"])
