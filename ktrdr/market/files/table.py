"""The columns of a file as they are: texts of a CSV file, values of a Parquet file, each row with its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ktrdr.errors import BarsError, InputError
from ktrdr.formatting import counted
from ktrdr.market.files.layout import Layout, detect
from ktrdr.market.files.names import split_pair
from ktrdr.market.files.text import ACCEPTED, check_quotes, decode, shorten
from ktrdr.payloads.files import FileDialect

SUFFIXES = (".csv", ".parquet")
PLACE = "place"
"""Name of the column with the number of each row: its line in a text, its row in a Parquet file, both from 1."""

_INDEX = "__index_level_0__"


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns, named by their positions from "1" on, and PLACE.

    names: the file's names of the columns, empty where one has none; None where the file has no header
    symbols: of each column the symbol that the header names for it; empty without such a header
    layout: how the file was read, for people
    text: the whole text; empty for Parquet
    surplus: places of rows with more fields than there are columns
    """

    frame: pl.DataFrame
    names: tuple[str, ...] | None
    symbols: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()
    text: str = ""
    surplus: tuple[int, ...] = ()
    is_loose: bool = False

    @property
    def place(self) -> str:
        return "line" if self.text else "row"

    @property
    def width(self) -> int:
        return self.frame.width - 1

    def column(self, position: int) -> pl.Series:
        return self.frame[str(position)]

    def line(self, place: int) -> str:
        """The text of a line; empty for Parquet."""
        return self.text.split("\n", place)[place - 1] if self.text else ""

    def with_frame(self, frame: pl.DataFrame) -> Table:
        return replace(self, frame=frame)


def read_table(content: bytes, filename: str, dialect: FileDialect, names: Sequence[str] = ()) -> Table:
    """names: of the columns of a file without a header, where a preset knows them. Raises InputError."""
    suffix = Path(filename).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{filename} is neither .csv nor .parquet", hint=ACCEPTED)
    if not content.strip():
        raise InputError(f"{filename} is empty", hint=ACCEPTED)
    table = _read_parquet(content, filename) if suffix == ".parquet" else _read_csv(content, filename, dialect, names)
    if table.frame.is_empty():
        raise BarsError("there are no rows of data", hint=ACCEPTED)
    return table


def _read_parquet(content: bytes, filename: str) -> Table:
    if not content.startswith(b"PAR1"):
        raise InputError(f"{filename} is not a Parquet file", hint=ACCEPTED)
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"{filename} is damaged: {error}", hint="export it again") from error
    return table_of(frame)


def table_of(frame: pl.DataFrame) -> Table:
    pairs = [split_pair("" if name == _INDEX else name) for name in frame.columns]
    symbols = tuple(symbol for _, symbol in pairs)
    numbered = frame.rename(dict(zip(frame.columns, _positions(frame.width), strict=True)))
    return Table(
        numbered.with_row_index(PLACE, offset=1),
        tuple(name for name, _ in pairs),
        symbols if any(symbols) else (),
        ("Parquet",),
    )


def _positions(width: int) -> list[str]:
    return [str(position) for position in range(1, width + 1)]


def _read_csv(content: bytes, filename: str, dialect: FileDialect, names: Sequence[str]) -> Table:
    text, encoding = decode(content, filename, dialect.encoding)
    check_quotes(text)
    if len(text.split("\n", dialect.skip)) <= dialect.skip:
        raise InputError(f"{filename} has no line after the {dialect.skip} that are skipped", hint="check --skip")
    layout = detect(text, dialect, names)
    frame, surplus = _rows(text, layout)
    _check_last(frame, layout)
    words = [layout.words]
    if encoding:
        words.append(encoding.upper())
    if layout.left_out:
        words.append(f"{counted(layout.left_out, 'line')} above the header left out")
    pairs = [split_pair(name) for name in layout.names or ()]
    symbols = layout.symbols or (tuple(symbol for _, symbol in pairs) if any(symbol for _, symbol in pairs) else ())
    header = tuple(name for name, _ in pairs) or None
    return Table(frame, header, symbols, tuple(words), text, surplus, is_loose=layout.delimiter == ";")


def _rows(text: str, layout: Layout) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """The data below the header, without blank lines and comments, and where rows have too many fields."""
    body = _below(text, layout.first_line)
    positions = _positions(layout.width)
    try:
        frame = _parse(body, positions, layout)
        surplus: tuple[int, ...] = ()
    except pl.exceptions.PolarsError:
        frame, surplus = _parse_ragged(body, positions, layout)
    return _without_void(frame, layout.names), surplus


def _without_void(frame: pl.DataFrame, names: Sequence[str] | None) -> pl.DataFrame:
    """Without lines that hold nothing, a comment, or the header once more."""
    first = pl.col("1")
    is_void = first.str.starts_with("#").fill_null(False)
    if frame["1"].null_count():
        is_void |= pl.all_horizontal(pl.exclude(PLACE).is_null())
    if names and len(names) > 1:
        is_void |= ((first == names[0]) & (pl.col("2") == names[1])).fill_null(False)
    return frame.filter(~is_void)


def _check_last(frame: pl.DataFrame, layout: Layout) -> None:
    """Raises BarsError where a last column has values and no name: the header may lack another one's name as well."""
    if layout.names is None or layout.names[-1] or not (values := frame[str(layout.width)].is_not_null()).any():
        return
    raise BarsError(
        f"line {frame[PLACE].filter(values)[0]}: more fields than the {layout.width - 1} names of the header",
        hint="name all columns in the first line; or skip it, with --skip 1 --no-header, and say what they are: "
        "--column timestamp=1",
    )


def _below(text: str, line: int) -> str:
    start = 0
    for _ in range(line - 1):
        end = text.find("\n", start)
        if end < 0:
            return ""
        start = end + 1
    return text[start:]


def _parse(body: str, positions: list[str], layout: Layout) -> pl.DataFrame:
    if layout.delimiter == " ":
        raise pl.exceptions.ComputeError("several spaces may stand between two columns")
    header = layout.delimiter.join(positions)
    frame = pl.read_csv(io.BytesIO(f"{header}\n{body}".encode()), separator=layout.delimiter, infer_schema=False)
    return frame.with_row_index(PLACE, offset=layout.first_line)


def _parse_ragged(body: str, positions: list[str], layout: Layout) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """Line by line, where some lines have more fields than there are columns."""
    width = len(positions)
    rows, surplus = [], []
    reader = csv.reader(io.StringIO(body), delimiter=layout.delimiter, skipinitialspace=layout.delimiter == " ")
    for row in reader:
        fields = [field.strip() or None for field in row]
        place = layout.first_line + reader.line_num - 1
        if any(fields[width:]):
            surplus.append(place)
        rows.append((place, *fields[:width], *[None] * (width - len(fields))))
    schema = {PLACE: pl.UInt32(), **dict.fromkeys(positions, pl.String())}
    return pl.DataFrame(rows, schema=schema, orient="row"), tuple(surplus)


def described(table: Table, place: int) -> str:
    """A row for an error message: `line 7, '2024-01-02,10,…'`."""
    line = table.line(place)
    return f"{table.place} {place}" + (f", {shorten(line)}" if line else "")
