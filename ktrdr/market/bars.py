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

_ROWS_NAMED = 5
# Bars closer together than half a timeframe, as far as they are strays; and how many bars tell of their spacing.
_STRAYS, _STRAY_SHARE = 1, 0.01
_ENOUGH = 5
_DAY_US = 86_400_000_000
_ROWS_COUNTED = "row 1 is the first row of data, the header is not counted"


def check_symbol(symbol: str) -> str:
    """The symbol in capitals. Raises InputError for one that cannot be stored or typed."""
    plain = unicodedata.normalize("NFC", symbol.upper())
    if _is_symbol(plain):
        return plain
    hyphenated = plain.replace("/", "-")
    raise InputError(
        f"symbol {symbol[:64]!r} is not allowed: 1 to 32 letters, digits or . - _ ^ = & ! : + $ @ with no dot in front",
        hint=f"write the slash as a hyphen: {hyphenated}"
        if _is_symbol(hyphenated)
        else "for example AAPL, BTC-USD, ^GSPC or M&M.NS",
        symbol=symbol[:64],
    )


def _is_symbol(text: str) -> bool:
    """Letters of other alphabets with capitals are left out, because they look like Latin ones."""
    has_alike = any(not sign.isascii() and sign.lower() != sign for sign in text)
    return not has_alike and re.fullmatch(r"[\w^=$@-][\w.^=&!:+$@-]{0,31}", text) is not None


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
    faults = find_faults(numbered)
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


def fingerprint(frame: pl.DataFrame) -> str:
    """SHA-256 of the bars' content, the same wherever and however they were stored; further instants count."""
    digest = hashlib.sha256()
    for name in (*SCHEMA, *(name for name in frame.columns if name not in SCHEMA)):
        digest.update(name.encode())
        digest.update(frame[name].to_physical().to_numpy().tobytes())
    return digest.hexdigest()


def shown_faults(faults: Iterable[RowFault]) -> str:
    return f"{'; '.join(map(str, faults))} ({_ROWS_COUNTED})"


def _raise_if_any(faults: Iterable[RowFault]) -> None:
    found = list(faults)
    if found:
        raise BarsError(
            shown_faults(found),
            hint="correct or remove these rows and try again; nothing was stored",
            faults=[asdict(fault) for fault in found],
        )


def _is_sound(frame: pl.DataFrame, *, is_by_date: bool) -> bool:
    """Whether nothing is wrong at first sight, which for most frames is all there is to it; large ones need not wait.

    False says nothing: prices that differ by rounding alone are for `find_faults` to look at.
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


def find_faults(numbered: pl.DataFrame) -> list[RowFault]:
    """Every kind of fault of rows in SCHEMA, which a column `row` numbers."""
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
