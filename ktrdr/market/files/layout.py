"""How the lines of a text make a table: what separates the columns, where the header is, and where the data begin."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ktrdr.errors import InputError
from ktrdr.market.files.names import CLOCKS, SYMBOL_LABELS, TIMES, fold, is_known
from ktrdr.payloads.files import FileDialect

_SAMPLE_LINES = 200
_DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma", " ": "space"}
_WORDS = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|", r"\t": "\t"}
_LEAST_COLUMNS = 4
_MOST = 0.6
_COMMENTS = ("#", "//", "%")
_TIME = re.compile(
    r"\d{4}[-/.]\d|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}[-/ ]?[A-Za-z]{3}|([A-Za-z]{3,9}\.?,? ){1,2}\d{1,2},? \d{4}"
    r"|-?\d{5,20}(\.\d+)?([eE]\+\d+)?$|\d{8}[T ]"
)
# Beyond it the expressions take quadratic time.
_LONGEST_FIELD = 100
_NUMBER = re.compile(r"[$€£¥]?\s?[-+]?[\d.,' \u00a0\u202f]*\d[\d.,]*([eE][-+]?\d+)?[KMB%]?\s?[€]?$")


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of a text table.

    delimiter: the one character between columns
    first_line: the line of the first row of data, counted from 1
    width: columns of the data
    names: the header's names, padded to the width with empty ones; None without a header
    symbols: of each column the symbol that a second line of the header names; empty without one
    left_out: lines above the header that are no part of the table, comments aside
    """

    delimiter: str
    first_line: int
    width: int
    names: tuple[str, ...] | None
    symbols: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def words(self) -> str:
        return f"{_DELIMITERS.get(self.delimiter, repr(self.delimiter))}-separated"


def parse_delimiter(text: str) -> str:
    """Raises InputError unless it is one character, or the word for one, or empty."""
    delimiter = _WORDS.get(text, text)
    if len(delimiter) > 1 or delimiter in ('"', "\n", "\r") or delimiter.isalnum():
        raise InputError(f"delimiter {text!r} cannot separate columns", hint="give one character, or `tab`, or `space`")
    return delimiter


def detect(text: str, dialect: FileDialect, names: Sequence[str] = ()) -> Layout:
    """The layout of a text; what the dialect says is not looked for.

    names: of the columns, where a preset knows them and the file has no header
    """
    lines = text.split("\n", dialect.skip + _SAMPLE_LINES)[: dialect.skip + _SAMPLE_LINES]
    sample = lines[dialect.skip :]
    delimiter = parse_delimiter(dialect.delimiter)
    if sample and (excel := re.fullmatch(r'"?sep=(.)"?', sample[0].strip(), re.IGNORECASE)):
        delimiter, sample[0] = delimiter or excel[1], ""
    delimiter = delimiter or _delimiter(sample)
    rows = [split(line, delimiter) for line in sample]
    begin = _begin(rows, sample)
    if dialect.no_header or names:
        begin = next((place for place, line in enumerate(sample) if line.strip()), 0) if dialect.no_header else begin
        first = begin or 0
        width = _width(rows[first:])
        return Layout(delimiter, dialect.skip + first + 1, width, tuple(names[:width]) or None)
    return _with_header(sample, rows, delimiter, begin, dialect.skip)


def _with_header(sample: list[str], rows: list[list[str]], delimiter: str, begin: int | None, skip: int) -> Layout:
    if begin is None:
        # Nothing looks like data: the first line may at least say what the columns are.
        first = next((place for place, line in enumerate(sample) if not _is_void(line)), 0)
        return Layout(delimiter, skip + first + 2, len(rows[first]), tuple(rows[first]))
    width = _width(rows[begin:])
    above = [place for place in range(begin) if not _is_void(sample[place])]
    header = [place for place in above if len(rows[place]) >= max(width - 1, 2)]
    commented = [split(line.lstrip("#/% "), delimiter) for line in sample[:begin] if line.startswith(_COMMENTS)]
    known = [row for row in commented if sum(map(is_known, row)) >= _LEAST_COLUMNS]
    if not header and not known:
        return Layout(delimiter, skip + begin + 1, width, None, left_out=len(above))
    names, symbols = _names([rows[place] for place in header] or known[-1:], width)
    return Layout(delimiter, skip + begin + 1, max(width, len(names)), names, symbols, len(above) - len(header))


def _begin(rows: Sequence[Sequence[str]], sample: Sequence[str]) -> int | None:
    """Where the data begin: below a header with what is no further name, else where a row looks like a bar."""
    header = next((place for place, row in enumerate(rows) if _is_header(row, sample[place])), None)
    if header is None:
        return next((place for place, row in enumerate(rows) if is_data(row, sample[place])), None)
    below = range(header + 1, len(rows))
    return next((place for place in below if _is_below_header(rows[place], sample[place])), None)


def _is_header(row: Sequence[str], line: str) -> bool:
    return not line.startswith(_COMMENTS) and sum(map(is_known, row)) >= _LEAST_COLUMNS


def _is_below_header(row: Sequence[str], line: str) -> bool:
    """Whether a line below the names is data and not another line of names, such as those of units or symbols."""
    if _is_void(line) or (row[0] and is_known(row[0]) and len(row[0]) > 1) or _is_header(row, line):
        return False
    return any(_is_time(field) or _is_number(field) for field in row)


def split(line: str, delimiter: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return line.split(delimiter)


def is_data(row: Sequence[str], line: str = "") -> bool:
    """Whether a row has a time and numbers, and not the names of columns."""
    if line.startswith(_COMMENTS) or (row and is_known(row[0]) and len(row[0]) > 1) or sum(map(is_known, row)) > 2:
        return False
    times = [field for field in row if _is_time(field)]
    others = [field for field in row if field and not _is_time(field)]
    return bool(times) and (not others or any(map(_is_number, others)) or len(times) > 2)


def _is_time(field: str) -> bool:
    return len(field) <= _LONGEST_FIELD and _TIME.match(field) is not None


def _is_number(field: str) -> bool:
    return len(field) <= _LONGEST_FIELD and _NUMBER.match(field) is not None


def _delimiter(sample: Sequence[str]) -> str:
    lines = [line for line in sample if not _is_void(line)]
    for delimiter in _DELIMITERS:
        counts = Counter(len(split(line, delimiter)) for line in lines)
        width, often = counts.most_common(1)[0] if counts else (0, 0)
        if width >= _LEAST_COLUMNS and often >= _MOST * len(lines):
            return delimiter
    header = next(iter(lines), "")
    return max(",;\t|", key=header.count)


def _is_void(line: str) -> bool:
    return not line.strip() or line.startswith(_COMMENTS)


def _width(rows: Sequence[Sequence[str]]) -> int:
    counts = Counter(len(row) for row in rows if len(row) > 1)
    return counts.most_common(1)[0][0] if counts else max(map(len, rows), default=1)


def _names(header: Sequence[Sequence[str]], width: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of each column its name, out of all lines of a header, and its symbol where one of them names symbols."""
    padded = [_padded(row, width) for row in header]
    symbols: tuple[str, ...] = next(
        (tuple(row[1:]) for row in padded if row[0].casefold() in SYMBOL_LABELS and len(padded) > 1), ()
    )
    names = max(padded, key=lambda row: sum(map(is_known, row)))
    # The name of the index stands in a line by itself in pandas' tables.
    lone = next((row[0] for row in padded if row[0] and not any(row[1:])), "")
    first = lone or ("" if symbols and len(padded) > 1 else names[0])
    return (first, *names[1:]), ("", *symbols) if symbols else ()


def _padded(row: Sequence[str], width: int) -> list[str]:
    """A row of a header that is one short lacks the name of the index, or of what a comma at the end makes a column."""
    if len(row) == width - 1 and not _has_time(row):
        return ["", *row]
    return [*row, *[""] * (width - len(row))]


def _has_time(row: Sequence[str]) -> bool:
    return any(fold(name) in TIMES or fold(name) in CLOCKS for name in row)
