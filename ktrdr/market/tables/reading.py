"""The rows of a table's file: when each was known, what period and symbol it is about, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from ktrdr.errors import InputError, nearest
from ktrdr.formatting import counted
from ktrdr.market.bars import check_symbol
from ktrdr.market.files.numbers import Marks, is_empty, read_numbers
from ktrdr.market.files.table import PLACE, Table, described, read_table
from ktrdr.market.files.times import Times, read_times
from ktrdr.market.files.zones import check_timezone
from ktrdr.market.tables.known_rows import KEYS, KNOWN_AT, PERIOD, SYMBOL
from ktrdr.market.tables.periods import read_periods
from ktrdr.market.tables.stored_table import keys_of
from ktrdr.payloads.files import FileDialect
from ktrdr.payloads.tables import TableReading

_PERIODS = ("period", "date", "month", "quarter", "year", "observation_date", "reference_date", "time", "timestamp")
_SYMBOLS = ("symbol", "ticker", "instrument")
_LONGEST_NAME = 64
_ANYWHERE = "the end of its day anywhere on earth (12:00 UTC of the next)"


@dataclass(frozen=True, slots=True)
class FileRows:
    """Rows out of a file, by their keys and in their order.

    layout: how the file was read, in one sentence
    warnings: what looks wrong in it
    """

    frame: pl.DataFrame
    layout: str
    warnings: tuple[str, ...] = field(default=())


def read_rows(content: bytes, filename: str, reading: TableReading) -> FileRows:
    """Read a file whole. Raises InputError for what cannot be right or has several meanings, with its place."""
    try:
        return _read(content, filename, reading)
    except InputError as error:
        if error.detail.startswith(filename):
            raise
        raise type(error)(f"{filename}: {error.detail}", hint=error.hint, **error.context) from error


def _read(content: bytes, filename: str, reading: TableReading) -> FileRows:
    shared = FileDialect.model_fields.keys() & reading.model_fields_set
    table = read_table(content, filename, FileDialect(**{name: getattr(reading, name) for name in shared}))
    columns = _Columns.of(table, reading)
    known, known_words = _known_at(table, columns.known_at, reading)
    periods, ends, period_words = _periods(table, columns, known, reading)
    numbers, left_out = _numbers(table, columns, reading)
    keys = {KNOWN_AT: known, PERIOD: periods}
    if columns.symbol:
        keys[SYMBOL] = _symbols(table, columns.symbol)
    frame = pl.DataFrame({PLACE: table.frame[PLACE], **keys, **numbers})
    words = [*table.layout, known_words, period_words, left_out]
    return FileRows(
        _distinct(frame, table).sort(KNOWN_AT, PERIOD),
        f"read as: {', '.join(filter(None, words))}",
        tuple(_early(table, known, ends)),
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """Positions of the columns, from 1; None for a period that is the instant at which it was known, and no symbol."""

    known_at: int
    period: int | None
    symbol: int | None
    values: tuple[int, ...]

    @classmethod
    def of(cls, table: Table, reading: TableReading) -> _Columns:
        names = table.names or ()
        if not names:
            raise InputError("the file has no header", hint="name its columns in the first line")
        known_at = _position(names, reading.known_at)
        period = _position(names, reading.period_column) if reading.period_column else _find(names, _PERIODS, known_at)
        symbol = _position(names, reading.symbol_column) if reading.symbol_column else _find(names, _SYMBOLS, known_at)
        keys = {known_at, period, symbol}
        return cls(known_at, period, symbol, tuple(each for each in range(1, len(names) + 1) if each not in keys))


def _position(names: Sequence[str], name: str) -> int:
    if name in names:
        return names.index(name) + 1
    similar = nearest(name, names)
    raise InputError(
        f"there is no column {name!r}",
        hint=f"did you mean {similar!r}?" if similar else f"it has {', '.join(filter(None, names[:20]))}",
    )


def _find(names: Sequence[str], known: Sequence[str], other: int) -> int | None:
    folded = [name.strip().casefold().replace(" ", "_") for name in names]
    return next((folded.index(name) + 1 for name in known if name in folded and folded.index(name) + 1 != other), None)


def _known_at(table: Table, place: int, reading: TableReading) -> tuple[pl.Series, str]:
    """[rows], the instants since which rows are known, never too early: a date counts from the end of its day on."""
    times, zone = read_times(table.column(place), None, reading.date_format), check_timezone(reading.timezone)
    _check_all_there(table, place, times)
    if times.is_date.any() and not times.is_date.all():
        raise InputError(
            f"some values of {reading.known_at} have a time of day and others none: "
            f"{described(table, _first(table, times.is_date))}",
            hint="write all of them in one way",
        )
    if times.is_date.all():
        days = times.wall.dt.offset_by("1d")
        if not zone:
            return days.dt.offset_by("12h").dt.replace_time_zone("UTC"), f"known at {_ANYWHERE}"
        return _localized(table, days, zone), f"known at the end of the day in {zone}"
    is_naive = ~times.has_zone
    if is_naive.any() and not zone:
        raise InputError(
            f"{described(table, _first(table, is_naive))}: this time of {reading.known_at} has no zone",
            hint="say which it is: --timezone America/New_York",
        )
    stated = (times.wall - times.offset_us.fill_null(0).cast(pl.Duration("us"))).dt.replace_time_zone("UTC")
    if not is_naive.any():
        return stated, ""
    local = _localized(table, times.wall, zone)
    return pl.select(pl.when(is_naive).then(local).otherwise(stated)).to_series(), f"times of {zone}"


def _localized(table: Table, wall: pl.Series, zone: str) -> pl.Series:
    """Of a time that a clock shows twice the later one is taken."""
    found = wall.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null").dt.convert_time_zone("UTC")
    if found.null_count():
        place = _first(table, found.is_null())
        raise InputError(f"{described(table, place)}: this time does not exist in {zone}, where summer time begins")
    return found


def _check_all_there(table: Table, place: int, times: Times) -> None:
    missing = times.wall.is_null()
    if missing.any():
        name = (table.names or ())[place - 1]
        raise InputError(
            f"{described(table, _first(table, missing))}: {name} is missing or no time "
            f"({counted(int(missing.sum()), 'such row')})",
            hint="a row without the time since which it is known cannot be used: complete it, or leave it out",
        )


def _first(table: Table, flags: pl.Series) -> int:
    return int(table.frame[PLACE].filter(flags)[0])


def _periods(
    table: Table, columns: _Columns, known: pl.Series, reading: TableReading
) -> tuple[pl.Series, pl.Series, str]:
    if columns.period is None:
        return known, known, "each row a period of its own"
    periods = read_periods(table.column(columns.period), reading.date_format)
    name = (table.names or ())[columns.period - 1]
    missing = periods.names.is_null()
    if missing.any():
        raise InputError(
            f"{described(table, _first(table, missing))}: {name} is no period",
            hint="write it as 2024-03-31, 2024-03, 2024Q1 or 2024, or name another one with --period-column",
        )
    return periods.names, periods.ends, f"periods by {name}"


def _symbols(table: Table, place: int) -> pl.Series:
    texts = table.column(place).cast(pl.String)
    if texts.null_count():
        raise InputError(f"{described(table, _first(table, texts.is_null()))}: the symbol is missing")
    return texts.replace_strict({text: check_symbol(text) for text in texts.unique()}, return_dtype=pl.String)


def _numbers(table: Table, columns: _Columns, reading: TableReading) -> tuple[dict[str, pl.Series], str]:
    """The columns of numbers by name, NaN where a cell is empty; and which others were left out, in words."""
    names = table.names or ()
    texts = {names[place - 1].strip(): table.column(place) for place in columns.values}
    _check_names(list(texts), len(columns.values))
    read = read_numbers(texts, Marks(reading.decimal, reading.thousands), is_loose=table.is_loose).values
    numbers: dict[str, pl.Series] = {}
    for name, values in read.items():
        is_void = is_empty(texts[name])
        is_lost = values.is_null() & ~is_void | values.is_infinite().fill_null(False)
        if is_lost.any() and not values.is_finite().any():
            continue
        if is_lost.any():
            raise InputError(
                f"{described(table, _first(table, is_lost))}: {name} is no number",
                hint="leave the cell empty where nothing is known",
            )
        numbers[name] = values.fill_null(float("nan"))
    if not numbers:
        raise InputError("it has no column of numbers", hint="beside the time since which a row is known")
    left_out = [name for name in read if name not in numbers]
    return numbers, f"without {', '.join(left_out)}, which have no numbers" if left_out else ""


def _check_names(names: Sequence[str], count: int) -> None:
    for name in names:
        if not name or len(name) > _LONGEST_NAME or not name.isprintable() or name in KEYS:
            raise InputError(
                f"a column cannot be called {name[:_LONGEST_NAME]!r}",
                hint=f"give it another name, of 1 to {_LONGEST_NAME} letters and none of {', '.join(KEYS)}",
            )
    if len(names) < count:
        raise InputError("two columns have the same name", hint="give each a name of its own")


def _distinct(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Without the same row once more. Raises InputError where a period has two values that were known at one time."""
    rows = frame.unique([name for name in frame.columns if name != PLACE], keep="first", maintain_order=True)
    again = ~rows.select(keys_of(rows)).is_unique() if len(rows) else pl.Series([], dtype=pl.Boolean)
    if again.any():
        first, second = rows.filter(again).sort(keys_of(rows))[PLACE].head(2)
        raise InputError(
            f"{described(table, first)} and {described(table, second)} are two rows of one period that were known at "
            "the same time",
            hint="leave one out, or name the column that tells them apart with --period-column or --symbol-column",
        )
    return rows.drop(PLACE)


def _early(table: Table, known: pl.Series, ends: pl.Series) -> list[str]:
    is_early = known < ends
    if not is_early.any():
        return []
    count, place = int(is_early.sum()), _first(table, is_early)
    return [
        f"{counted(count, 'row')} of {len(known):,} were known before their period was over, the first in "
        f"{described(table, place)}: what is known so early is a forecast, or its time is wrong"
    ]
