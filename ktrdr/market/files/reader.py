"""The bars of a file: read as it is written, checked against what the user says of it, told how it was read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import polars as pl

from ktrdr.errors import BarsError, InputError
from ktrdr.formatting import counted
from ktrdr.market.bad_rows import mend
from ktrdr.market.bars import PRICES, SCHEMA, VALUES, check_bars
from ktrdr.market.files import faults
from ktrdr.market.files.closing_stamps import ClosingStamps, find_closing_stamps, to_opening
from ktrdr.market.files.columns import Columns, find_columns
from ktrdr.market.files.names import fold
from ktrdr.market.files.numbers import Marks, Numbers, is_empty, read_numbers
from ktrdr.market.files.presets import with_preset
from ktrdr.market.files.stamps import Stamps, read_stamps
from ktrdr.market.files.symbols import rows_of_symbol, symbol_of_header
from ktrdr.market.files.table import PLACE, Table, described, read_table
from ktrdr.market.files.volume import with_volume
from ktrdr.market.files.zones import to_instants
from ktrdr.market.provider import notes
from ktrdr.payloads.files import FileReading
from ktrdr.timeframe import Timeframe

_PLAIN_NAMES = (*VALUES, "vol")


@dataclass(frozen=True, slots=True)
class Request:
    """What a file is read for, what the user says about it, and the calendar that is named for the symbol."""

    symbol: str
    timeframe: Timeframe
    reading: FileReading
    calendar: str | None = None


@dataclass(frozen=True, slots=True)
class FileBars:
    """Bars out of a file, oldest first.

    frame: bars in the schema, whose timestamps are the instants that the file says
    are_dates: which of the stamps are dates without a time of day
    zone: the time zone in which the file is written, or that the user names; empty where neither is known
    layout: how the file was read, in one sentence
    note: what was left out or changed, in words
    closing: the sign that the bars are stamped at their close, where there is one
    """

    frame: pl.DataFrame
    are_dates: pl.Series
    zone: str
    layout: str
    note: str
    closing: ClosingStamps | None


def read_bars(content: bytes, filename: str, request: Request) -> FileBars:
    """Read a file whole.

    Raises:
        InputError: the file, or what the user says of it, cannot be right, or has several meanings.
        BarsError: rows cannot be right, and are not to be left out.
    """
    try:
        return _read(content, filename, request)
    except InputError as error:
        if error.detail.startswith(filename):
            raise
        comma = "," if error.detail.startswith(("line ", "row ")) else ":"
        raise type(error)(f"{filename}{comma} {error.detail}", hint=error.hint, **error.context) from error


def _read(content: bytes, filename: str, request: Request) -> FileBars:
    reading, names = with_preset(request.reading)
    table = read_table(content, filename, reading, names)
    header_symbol = symbol_of_header(table, request.symbol, reading.only)
    columns = find_columns(table, reading.columns, header_symbol, request.timeframe)
    table = rows_of_symbol(table, columns, request.symbol, reading.only)
    rows = _Rows.of(table, columns, replace(request, reading=reading))
    for step in (_without_footer, _oldest_first, _checked_zones, _with_instants, _right):
        rows = step(rows)
    return rows.bars()


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a file on their way to bars.

    stamps: their times as they are written
    frame: PLACE, the bars' columns, and `wall`, `offset_us` and `is_date` of their times
    """

    request: Request
    table: Table
    columns: Columns
    stamps: Stamps
    numbers: Numbers
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    layout: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, table: Table, columns: Columns, request: Request) -> _Rows:
        reading = request.reading
        stamps = read_stamps(table, columns, request.timeframe, reading)
        columns, volume_words = with_volume(table, columns)
        texts = {name: table.column(place) for name, place in columns.values.items()}
        numbers = read_numbers(texts, Marks(reading.decimal, reading.thousands), is_loose=table.is_loose)
        times = stamps.times
        frame = pl.DataFrame(
            {
                PLACE: table.frame[PLACE],
                "wall": times.wall,
                "offset_us": times.offset_us,
                "is_date": times.is_date,
                **numbers.values,
            }
        )
        if "volume" not in numbers.values:
            frame = frame.with_columns(volume=pl.lit(0.0))
        return cls(request, table, columns, stamps, numbers, frame, (volume_words,) if volume_words else ())

    def with_frame(self, frame: pl.DataFrame, note: str = "", layout: str = "") -> _Rows:
        return replace(
            self,
            frame=frame,
            notes=(*self.notes, note) if note else self.notes,
            layout=(*self.layout, layout) if layout else self.layout,
        )

    def texts(self) -> pl.DataFrame:
        """The cells of the rows as they stand in the file."""
        sources = {name: self.table.column(place) for name, place in self.columns.values.items()}
        every = pl.DataFrame({PLACE: self.table.frame[PLACE], "timestamp": self.stamps.texts, **sources})
        if "volume" not in every.columns:
            every = every.with_columns(volume=pl.lit(None, pl.String))
        return self.frame.select(PLACE).join(every, on=PLACE, how="left", maintain_order="left")

    def bars(self) -> FileBars:
        closing, request = None, self.request
        if request.reading.stamp == "open":
            closing = find_closing_stamps(self.frame["timestamp"], request.symbol, request.timeframe, request.calendar)
        words = [*self.table.layout, self.columns.layout, *_named_otherwise(self.table, self.columns)]
        words += [self.stamps.times.layout, self._zone_words(), self.numbers.layout, *self.layout]
        return FileBars(
            frame=self.frame.select(*SCHEMA),
            are_dates=self.frame["is_date"],
            zone=self.stamps.written_zone,
            layout=f"read as: {', '.join(filter(None, words))}",
            note=notes([*self.notes, closing.note if closing else ""]),
            closing=closing,
        )

    def _zone_words(self) -> str:
        if self.frame["is_date"].all():
            return ""
        return self.stamps.zone or "UTC"


def _named_otherwise(table: Table, columns: Columns) -> list[str]:
    """Which columns were taken from one of another name, such as `close from Last`."""
    if table.names is None:
        return []
    names = {ours: table.names[place - 1] for ours, place in columns.values.items()}
    return [
        f"{ours} from {name or 'a nameless column'}" for ours, name in names.items() if fold(name) not in _PLAIN_NAMES
    ]


def _without_footer(rows: _Rows) -> _Rows:
    """Lines below the table that are words, such as where it was downloaded from."""
    frame, texts = rows.frame, rows.stamps.texts
    if frame["wall"].null_count() == 0 or texts.dtype != pl.String:
        return rows
    is_bar = frame["wall"].is_not_null() | (frame.select(pl.any_horizontal(*PRICES).is_not_null()).to_series())
    last = is_bar.arg_true().max() if is_bar.any() else None
    below = texts[last + 1 :] if isinstance(last, int) else texts[:0]
    # What begins as a date does is a bar that was cut off.
    if not len(below) or below.str.contains(r"^\s*\d[\d./: -]*$").any():
        return rows
    count = f"{counted(len(below), 'line')} below the table left out"
    return rows.with_frame(frame.head(len(frame) - len(below)), layout=count)


def _oldest_first(rows: _Rows) -> _Rows:
    steps = rows.frame["wall"].drop_nulls().diff().drop_nulls().dt.total_microseconds()
    if not len(steps) or (steps < 0).sum() <= (steps > 0).sum():
        return rows
    return rows.with_frame(rows.frame.reverse(), layout="newest first, turned round")


def _checked_zones(rows: _Rows) -> _Rows:
    """Raises BarsError where some times have a zone, or a time of day, and others have none."""
    timed = rows.frame.filter(pl.col("wall").is_not_null())
    has_clock, has_zone = ~timed["is_date"], timed["offset_us"].is_not_null()
    if not rows.request.timeframe.is_by_date or (has_zone & has_clock).any():
        _check_alike(rows, timed, has_clock, "a time of day", "say which bars these are")
    if not rows.request.timeframe.is_by_date and len(timed) and not has_clock.any():
        raise BarsError(
            f"{described(rows.table, timed[PLACE][0])}: the times are dates without a time of day, which are no "
            f"{rows.request.timeframe} bars",
            hint="import it as 1d",
        )
    _check_alike(rows, timed.filter(has_clock), has_zone.filter(has_clock), "a zone", "")
    return rows


def _check_alike(rows: _Rows, timed: pl.DataFrame, flags: pl.Series, what: str, hint: str) -> None:
    if flags.all() or not flags.any():
        return
    without, having = (timed[PLACE].filter(each)[0] for each in (~flags, flags))
    raise BarsError(
        f"some times have {what} and others none: {faults.named_rows(rows.table, sorted((without, having)))}",
        hint="write all of them in one way; or leave the others out: correct the file and import it again",
    )


def _with_instants(rows: _Rows) -> _Rows:
    frame, request = rows.frame, rows.request
    times = replace(rows.stamps.times, wall=frame["wall"], offset_us=frame["offset_us"], is_date=frame["is_date"])
    instants = to_instants(times, rows.stamps.zone)
    skipped = frame[PLACE].filter(frame["wall"].is_not_null() & instants.is_null())
    if len(skipped):
        raise BarsError(
            f"{described(rows.table, skipped[0])}: this time does not exist in {rows.stamps.zone}, where summer time "
            f"begins ({len(skipped):,} such rows)",
            hint="the times may be of another zone: --timezone UTC",
        )
    if request.reading.stamp == "close":
        # A date names its day, wherever that ends.
        opened = to_opening(instants, request.timeframe)
        instants = pl.select(pl.when(frame["is_date"]).then(instants).otherwise(opened)).to_series()
        return rows.with_frame(
            frame.with_columns(timestamp=instants), layout="stamped at the close, moved to the opening"
        )
    return rows.with_frame(frame.with_columns(timestamp=instants))


def _right(rows: _Rows) -> _Rows:
    """Raises BarsError of rows that cannot be right, unless they are to be left out."""
    filled = rows.frame.with_columns(volume=_filled_volume(rows))
    missing = int(filled["volume"].count()) - int(rows.frame["volume"].count())
    rows = rows.with_frame(filled, f"volume missing in {counted(missing, 'bar')}, taken as 0" if missing else "")
    try:
        if not rows.table.surplus:
            check_bars(rows.frame.select(*SCHEMA))
            return rows
    except BarsError:
        pass
    if rows.request.reading.bad_rows == "refuse":
        faults.refuse(rows.frame, rows.texts(), rows.table)
        return rows
    return _without_bad(rows)


def _filled_volume(rows: _Rows) -> pl.Series:
    """An empty cell among volumes counts as 0; one with a text that is no number stays unread."""
    volume = rows.frame["volume"]
    if not volume.null_count():
        return volume
    is_void = is_empty(rows.texts()["volume"])
    has_price = rows.frame["close"].is_not_null()
    return pl.select(pl.when(volume.is_null() & is_void & has_price).then(0.0).otherwise(volume)).to_series()


def _without_bad(rows: _Rows) -> _Rows:
    lost = faults.unreadable_cells(rows.frame, rows.texts()).max_horizontal()
    is_bad = lost | rows.frame[PLACE].is_in(list(rows.table.surplus)) | rows.frame["timestamp"].is_null()
    readable = rows.frame.filter(~is_bad)
    mended, mending = mend(readable)
    ordered = mended.sort("timestamp", maintain_order=True)
    distinct = ordered.unique("timestamp", keep="first", maintain_order=True)
    if len(distinct) < faults.LEAST_RIGHT * len(rows.frame):
        faults.refuse(rows.frame, rows.texts(), rows.table)
    words = [
        _left_out(rows, is_bad, "that cannot be read"),
        mending.note,
        "" if ordered[PLACE].equals(mended[PLACE]) else "rows put in the order of time",
        _repeated(len(ordered) - len(distinct)),
    ]
    return rows.with_frame(distinct, notes(words))


def _repeated(count: int) -> str:
    return f"{counted(count, 'bar')} with a time seen before left out" if count else ""


def _left_out(rows: _Rows, is_bad: pl.Series, what: str) -> str:
    places = rows.frame[PLACE].filter(is_bad)
    if not len(places):
        return ""
    more = ", …" if len(places) > 5 else ""
    place = rows.table.place + ("" if len(places) == 1 else "s")
    return f"{len(places):,} {place} {what} left out ({', '.join(map(str, places.head(5)))}{more})"
