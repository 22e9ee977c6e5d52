"""DataService: stored bars, and the operations that load more of them."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path, PurePath
from typing import Any

from ktrdr.api.schemas import Bars, DataLoad, Series, SeriesList
from ktrdr.api.services.data_job import upload_in
from ktrdr.api.services.data_progress_bridge import DataProgressBridge
from ktrdr.errors import InputError, StorageError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.market.bars import check_range, check_symbol, check_timeframe
from ktrdr.market.providers import provider_for
from ktrdr.market.providers.csv import SUFFIXES
from ktrdr.market.series_file import SeriesInfo
from ktrdr.market.store import BarStore, check_provider
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService

LANE = "data"


class DataService:
    def __init__(
        self, operations: OperationsService, dispatcher: Dispatcher, store: BarStore, *, uploads: Path, bars: Path
    ) -> None:
        self._operations = operations
        self._dispatcher = dispatcher
        self._store = store
        self._uploads = uploads
        self._bars = bars

    async def list(self) -> SeriesList:
        stored = await asyncio.to_thread(self._store.list)
        return SeriesList(series=[_series(info) for info in stored])

    async def read(self, symbol: str, timeframe: str, start: date | None, end: date | None, limit: int) -> Bars:
        """The last `limit` bars in range. Raises InputError, SeriesNotFound, StorageError."""
        symbol, timeframe = check_symbol(symbol), check_timeframe(timeframe)
        frame = await asyncio.to_thread(self._store.read, symbol, timeframe, start, end)
        shown = frame.tail(limit).with_columns(
            timestamp=frame.tail(limit)["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        return Bars(symbol=symbol, timeframe=timeframe, total=frame.height, bars=shown.to_dicts())

    async def start_load(self, request: DataLoad, idempotency_key: str | None = None) -> Operation:
        """Raises InputError, and ProviderConflict when other bars are stored that are not to be replaced."""
        check_range(request.start_date, request.end_date)
        symbol, timeframe = check_symbol(request.symbol), check_timeframe(request.timeframe)
        stored = None if request.replace else await asyncio.to_thread(self._store.find, symbol, timeframe)
        provider_for(request.provider, stored)
        return await self._start(
            symbol,
            timeframe,
            request.provider,
            replace=request.replace,
            start=request.start_date.isoformat() if request.start_date else None,
            end=request.end_date.isoformat() if request.end_date else None,
            idempotency_key=idempotency_key,
        )

    async def start_import(
        self,
        symbol: str,
        timeframe: str,
        filename: str,
        chunks: AsyncIterator[bytes],
        idempotency_key: str | None = None,
        *,
        replace: bool = False,
    ) -> Operation:
        """Take the uploaded file into the operation's folder, and load from it."""
        symbol, timeframe = check_symbol(symbol), check_timeframe(timeframe)
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
            content_sha256 = await _receive(upload, chunks)
            return await self._start(
                symbol,
                timeframe,
                suffix[1:],
                filename=PurePath(filename).name,
                content_sha256=content_sha256,
                upload=upload,
                replace=replace,
                idempotency_key=idempotency_key,
            )
        finally:
            upload.unlink(missing_ok=True)

    async def _start(
        self,
        symbol: str,
        timeframe: str,
        provider: str,
        *,
        upload: Path | None = None,
        idempotency_key: str | None,
        **details: Any,
    ) -> Operation:
        series = {"symbol": symbol, "timeframe": timeframe, "provider": provider}
        operation, is_new = await self._operations.create_operation(
            "DATA_LOAD",
            metadata={"symbols": [symbol], "timeframes": [timeframe], "provider": provider},
            payload={"lane": LANE, "bars": str(self._bars), **series, **details},
            idempotency_key=idempotency_key,
        )
        if not is_new:
            return operation
        source = details.get("filename") or provider

        def prepare(folder: Path) -> None:
            DataProgressBridge.create_for(folder / "bridge", f"{symbol} {timeframe}", source)
            if upload:
                kept = upload_in(folder, source)
                kept.parent.mkdir()
                upload.replace(kept)

        return await self._dispatcher.launch(operation, prepare, announce=lambda: None)


async def _receive(path: Path, chunks: AsyncIterator[bytes]) -> str:
    """Keep what comes in; its SHA-256."""
    content = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)
                content.update(chunk)
    except OSError as error:
        raise StorageError(
            f"the upload cannot be kept in {path.parent}: {error.strerror}", hint="make room there"
        ) from error
    return content.hexdigest()


def _series(info: SeriesInfo) -> Series:
    return Series(
        symbol=info.symbol,
        timeframe=info.timeframe,
        rows=info.rows,
        first=info.first,
        last=info.last,
        provider=info.provider,
        size_bytes=info.size_bytes,
    )
