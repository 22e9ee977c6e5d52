"""Bars out of one file that the user has: CSV text or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from ktrdr.errors import BarsError, InputError
from ktrdr.market.bars import check_bars, check_spacing, check_symbol, check_timeframe, conform, in_range
from ktrdr.market.provider import Fetched

SUFFIXES = (".csv", ".parquet")

_ACCEPTED = "give a .csv file with a header, or a .parquet file, with timestamp, open, high, low, close, volume"


@dataclass(frozen=True, slots=True)
class FileProvider:
    """`filename` is what the user calls the file, when it was stored under another name on its way here."""

    path: Path
    filename: str = ""

    @property
    def name(self) -> str:
        return Path(self._called).suffix.lower().removeprefix(".") or "file"

    @property
    def _called(self) -> str:
        return self.filename or self.path.name

    def fetch(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, on_rows: Callable[[int], None]
    ) -> Fetched:
        symbol, timeframe = check_symbol(symbol), check_timeframe(timeframe)
        try:
            table = read_table(self._content(), self._called)
            check_spacing(check_bars(conform(table)), timeframe)
            bars = check_bars(conform(table, timeframe))
        except BarsError as error:
            raise BarsError(f"{self._called}: {error.detail}", hint=error.hint, **error.context) from error
        frame = in_range(bars, start, end)
        if frame.is_empty():
            raise InputError(f"{self._called} has no bar in {start or 'the beginning'} to {end or 'the end'}")
        on_rows(len(frame))
        return Fetched(frame, self.name, f"imported from {self._called}")

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self._called} cannot be read: {error.strerror}", hint="check the path") from error


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
