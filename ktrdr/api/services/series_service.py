"""SeriesService: what is known of a stored series, what is made of it, and what leaves with it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from ktrdr.api.schemas.data import NamedCalendar, Resample
from ktrdr.errors import SeriesNotFound, StorageError
from ktrdr.market.bars import check_symbol
from ktrdr.market.calendars import check_usable
from ktrdr.market.closings import without_instants
from ktrdr.market.quality.chart import draw
from ktrdr.market.quality.stored import check_stored, inspect_stored
from ktrdr.market.resample import resample
from ktrdr.market.store import BarStore
from ktrdr.payloads.data import QualityReport, Resampled
from ktrdr.timeframe import Timeframe

Format = Literal["csv", "parquet"]

_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Exported:
    filename: str
    chunks: Iterator[bytes]


class SeriesService:
    def __init__(self, store: BarStore) -> None:
        self._store = store

    async def quality(self, symbol: str, timeframe: str, calendar: str | None) -> QualityReport:
        """Raises InputError, SeriesNotFound, StorageError."""
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        return await asyncio.to_thread(inspect_stored, self._store, symbol, timeframe, calendar)

    async def name_calendar(self, symbol: str, request: NamedCalendar) -> NamedCalendar:
        """Name the calendar of a symbol and check its series by it. Raises InputError, SeriesNotFound, StorageError."""
        symbol = check_symbol(symbol)
        timeframes = await asyncio.to_thread(self._store.timeframes, symbol)
        if not timeframes:
            raise SeriesNotFound(f"no bars of {symbol} are stored", hint="see what is with: ktrdr data list")
        name = None if request.calendar is None else await asyncio.to_thread(check_usable, request.calendar)
        await asyncio.to_thread(self._store.set_calendar, symbol, name)
        for timeframe in timeframes:
            with suppress(StorageError):  # of a damaged series, which its next reader hears of
                await asyncio.to_thread(check_stored, self._store, symbol, timeframe)
        return NamedCalendar(calendar=name)

    async def quality_chart(self, symbol: str, timeframe: str, calendar: str | None) -> bytes:
        """A PNG. Raises InputError, SeriesNotFound, StorageError."""
        return await asyncio.to_thread(self._draw, check_symbol(symbol), Timeframe.parse(timeframe), calendar)

    async def resample(self, symbol: str, timeframe: str, request: Resample) -> Resampled:
        """Raises InputError, SeriesNotFound, ProviderConflict, StorageError."""
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        return await asyncio.to_thread(self._resample, symbol, timeframe, request)

    async def export(self, symbol: str, timeframe: str, kind: Format, start: date | None, end: date | None) -> Exported:
        """The bars in range as a file. Raises InputError, SeriesNotFound, StorageError."""
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        stored = await asyncio.to_thread(self._store.read_stored, symbol, timeframe, start, end)
        frame = without_instants(stored.frame)
        return Exported(f"{symbol}_{timeframe}.{kind}", _csv(frame) if kind == "csv" else _parquet(frame))

    def _draw(self, symbol: str, timeframe: str, calendar: str | None) -> bytes:
        report = inspect_stored(self._store, symbol, timeframe, calendar)
        return draw(report, self._store.read(symbol, timeframe))

    def _resample(self, symbol: str, timeframe: Timeframe, request: Resample) -> Resampled:
        stored = self._store.read_stored(symbol, timeframe)
        made = resample(stored.frame, symbol, timeframe, request.to, request.calendar, stored.calendar)
        provider, target = f"resampled from {timeframe} ({stored.provider})", Timeframe.parse(request.to)
        clock = stored.clock if timeframe.is_by_date else None
        merged = self._store.merge(symbol, target, made.frame, provider, replace=request.replace, clock=clock)
        if request.calendar:
            self._store.set_calendar(symbol, made.calendar.name)
        check_stored(self._store, symbol, target)
        return Resampled(
            symbol=symbol,
            timeframe=target,
            source=timeframe,
            provider=provider,
            calendar=made.calendar.name,
            rows_new=merged.rows_new,
            rows_changed=merged.rows_changed,
            rows_total=merged.rows_total,
            first=merged.first,
            last=merged.last,
            note="; ".join(filter(None, (made.note, merged.note))),
        )


def _csv(frame: pl.DataFrame) -> Iterator[bytes]:
    for begin in range(0, len(frame), _ROWS_AT_ONCE):
        rows = frame.slice(begin, _ROWS_AT_ONCE)
        yield rows.write_csv(include_header=begin == 0, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ").encode()


def _parquet(frame: pl.DataFrame) -> Iterator[bytes]:
    content = io.BytesIO()
    frame.write_parquet(content)
    yield content.getvalue()
