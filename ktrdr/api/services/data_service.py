"""DataService: stored bars, and the operations that load more of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import date
from pathlib import Path, PurePath

from ktrdr.api.schemas.data import Bar, Bars, DataLoad, ProviderInfo, ProviderList, Removed, Series, SeriesList
from ktrdr.api.services.uploads import receive
from ktrdr.errors import ConflictError, InputError, SeriesNotFound
from ktrdr.jobs.data_load import upload_in
from ktrdr.jobs.service import JobService
from ktrdr.market.bars import check_range, check_symbol
from ktrdr.market.calendars import check_naming
from ktrdr.market.files.reading import check_reading
from ktrdr.market.files.table import SUFFIXES
from ktrdr.market.provider import Capabilities, check_able
from ktrdr.market.providers import Sources, all_capabilities, create_provider, provider_for
from ktrdr.market.providers.ccxt import CcxtProvider
from ktrdr.market.quality.stored import verdict_of
from ktrdr.market.series_file import SeriesInfo
from ktrdr.market.store import BarStore, check_provider
from ktrdr.operations.operation import Operation
from ktrdr.payloads.data import QualitySummary
from ktrdr.payloads.files import FileReading
from ktrdr.payloads.jobs import DataLoadJob
from ktrdr.timeframe import Timeframe


class DataService:
    def __init__(
        self,
        jobs: JobService,
        store: BarStore,
        *,
        uploads: Path,
        sources: Sources,
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._uploads = uploads
        self._sources = sources
        jobs.resume_with("data_load", self._resume)

    async def providers(self, name: str = "") -> ProviderList:
        """All, or the one that is named. Raises InputError."""
        if not name:
            found = await asyncio.to_thread(all_capabilities)
        else:
            found = {name: await asyncio.to_thread(lambda: create_provider(name, self._sources).capabilities)}
        return ProviderList(providers=[_provider(name, able) for name, able in found.items()])

    async def list(self) -> SeriesList:
        return SeriesList(series=await asyncio.to_thread(_all_series, self._store))

    async def read(self, symbol: str, timeframe: str, start: date | None, end: date | None, limit: int) -> Bars:
        """The last `limit` bars in range. Raises InputError, SeriesNotFound, StorageError."""
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        return await asyncio.to_thread(self._read, symbol, timeframe, start, end, limit)

    def _read(self, symbol: str, timeframe: Timeframe, start: date | None, end: date | None, limit: int) -> Bars:
        frame = self._store.read(symbol, timeframe, start, end)
        bars = [Bar.model_validate(row) for row in frame.tail(limit).iter_rows(named=True)]
        return Bars(symbol=symbol, timeframe=timeframe, total=frame.height, bars=bars)

    async def remove(self, symbol: str, timeframe: str | None = None) -> Removed:
        """Remove one series of a symbol, or all. Raises SeriesNotFound, and ConflictError while one is in use."""
        symbol = check_symbol(symbol)
        every = (Timeframe.parse(timeframe),) if timeframe else await asyncio.to_thread(self._store.timeframes, symbol)
        if not every:
            raise SeriesNotFound(f"no bars of {symbol} are stored", hint="see what is with: ktrdr data list")
        for each in every:
            await self._jobs.check_unused(symbol, each)
        removed = [await asyncio.to_thread(self._store.remove, symbol, each) for each in every]
        return Removed(symbol=symbol, timeframes=list(every), rows=sum(series.rows for series in removed))

    async def start_load(self, request: DataLoad, idempotency_key: str | None = None) -> Operation:
        """Raises InputError, and ProviderConflict when other bars are stored that are not to be replaced."""
        check_range(request.start_date, request.end_date)
        symbol, timeframe = check_symbol(request.symbol), Timeframe.parse(request.timeframe)
        calendar = await asyncio.to_thread(check_naming, request.calendar)
        stored = None if request.replace else await asyncio.to_thread(self._store.find, symbol, timeframe)
        provider = await asyncio.to_thread(provider_for, request.provider, stored, self._sources)
        # What ccxt's exchanges can do takes seconds to find out, which the load itself does.
        if not request.clip and not isinstance(provider, CcxtProvider):
            check_able(provider.capabilities, timeframe, request.start_date, request.end_date)
        job = DataLoadJob(
            symbol=symbol,
            timeframe=timeframe,
            provider=request.provider,
            start=request.start_date,
            end=request.end_date,
            replace=request.replace,
            clip=request.clip,
            calendar=calendar,
        )
        return await self._jobs.start(job, idempotency_key=idempotency_key)

    async def start_import(
        self,
        symbol: str,
        timeframe: str,
        filename: str,
        chunks: AsyncIterator[bytes],
        reading: FileReading,
        idempotency_key: str | None = None,
        *,
        replace: bool = False,
        calendar: str = "",
    ) -> Operation:
        """Take the uploaded file into the operation's folder, and load from it."""
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        check_reading(reading)
        calendar = await asyncio.to_thread(check_naming, calendar)
        suffix = PurePath(filename).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(
                f"only {' and '.join(SUFFIXES)} files can be imported; this one is {filename!r}",
                hint="export the bars to CSV with the columns timestamp, open, high, low, close, volume",
            )
        if not replace and (stored := await asyncio.to_thread(self._store.find, symbol, timeframe)):
            check_provider(stored, suffix[1:])
        upload = self._uploads / f"{uuid.uuid4().hex}{suffix}"
        try:
            content_sha256 = await receive(upload, chunks)
            job = DataLoadJob(
                symbol=symbol,
                timeframe=timeframe,
                provider=suffix[1:],
                filename=PurePath(filename).name,
                content_sha256=content_sha256,
                replace=replace,
                reading=reading,
                calendar=calendar,
            )
            return await self._jobs.start(job, idempotency_key=idempotency_key, prepare=_move_in(upload, suffix))
        finally:
            upload.unlink(missing_ok=True)

    async def _resume(self, parent: Operation, job: DataLoadJob) -> DataLoadJob:
        """The same load again: it asks for what is still missing. Raises ConflictError for a file's."""
        if job.filename:
            raise ConflictError(
                f"the file of operation {parent.operation_id} is not kept",
                hint=f"send it again with: ktrdr data import FILE {job.symbol} {job.timeframe}",
            )
        stored = None if job.replace else await asyncio.to_thread(self._store.find, job.symbol, job.timeframe)
        await asyncio.to_thread(provider_for, job.provider, stored, self._sources)
        return job


def _move_in(upload: Path, suffix: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        path = upload_in(folder, f"upload{suffix}")
        path.parent.mkdir()
        upload.replace(path)

    return prepare


def _provider(name: str, able: Capabilities) -> ProviderInfo:
    return ProviderInfo(
        name=name,
        timeframes=list(able.timeframes),
        history_days={timeframe: reach.days for timeframe, reach in able.history.items()},
        adjusted=able.adjusted,
        symbols=able.symbols,
    )


def _all_series(store: BarStore) -> list[Series]:
    return [_series(info, verdict_of(store, info)) for info in store.list()]


def _series(info: SeriesInfo, quality: QualitySummary | None) -> Series:
    return Series(
        symbol=info.symbol,
        timeframe=info.timeframe,
        rows=info.rows,
        first=info.first,
        last=info.last,
        provider=info.provider,
        size_bytes=info.size_bytes,
        quality=quality,
    )
