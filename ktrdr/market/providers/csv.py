"""Bars out of one file that the user has: CSV text or Parquet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

import polars as pl

from ktrdr.errors import InputError
from ktrdr.market.bars import check_bars, check_range, check_spacing, check_symbol, in_range
from ktrdr.market.days import DayClock, trading_days
from ktrdr.market.files.reader import FileBars, Request, read_bars
from ktrdr.market.files.size import MAX_ROWS, check_size
from ktrdr.market.provider import Capabilities, Page, Pages, Wait, notes
from ktrdr.payloads.files import FileReading
from ktrdr.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class FileProvider:
    """One file, read whole.

    filename: what the user calls the file, when it was stored under another name on its way here
    reading: what the user says about how it is written
    calendar: the one that is named for the symbol, None where none is
    max_rows: a larger file is refused before it is read
    """

    path: Path
    filename: str = ""
    reading: FileReading = field(default_factory=FileReading)
    calendar: str | None = None
    max_rows: int = MAX_ROWS
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
        request = Request(symbol, timeframe, self.reading, self.calendar)
        content = self._content()
        check_size(content, self._called, self.max_rows)
        read = read_bars(content, self._called, request)
        bars, clock = self._checked(read, symbol, timeframe)
        frame = in_range(bars, start, end)
        if frame.is_empty():
            raise InputError(f"{self._called} has no bar in {start or 'the beginning'} to {end or 'the end'}")
        note = notes([f"imported from {self._called}", read.layout, read.note])
        yield Page(frame, self.name, until or datetime.now(UTC), note, clock=clock)

    def _checked(self, read: FileBars, symbol: str, timeframe: Timeframe) -> tuple[pl.DataFrame, DayClock | None]:
        """The bars at their timestamps, and how their days open. Raises BarsError."""
        try:
            check_spacing(read.frame, timeframe)
            if not timeframe.is_by_date:
                return check_bars(read.frame), None
            stamps, dates = read.frame["timestamp"], read.are_dates
            found = trading_days(stamps, symbol, timeframe, dates=dates, zone=read.zone, calendar=self.calendar)
            return check_bars(read.frame.with_columns(timestamp=found.dates), timeframe), found.clock
        except InputError as error:
            hint = notes([error.hint, read.closing.note if read.closing else ""])
            raise type(error)(f"{self._called}: {error.detail}", hint=hint, **error.context) from error

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self._called} cannot be read: {error.strerror}", hint="check the path") from error
