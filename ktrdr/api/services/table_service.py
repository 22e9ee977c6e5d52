"""TableService: stored tables, whose rows say when they were known."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator
from pathlib import Path, PurePath

from ktrdr.api.schemas.tables import TableImport, TableList, TableRow, TableRows
from ktrdr.api.services.uploads import receive
from ktrdr.market.files.size import check_size
from ktrdr.market.tables.known_rows import KNOWN_AT, PERIOD, SYMBOL
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.tables import TableInfo


class TableService:
    def __init__(self, store: TableStore, *, uploads: Path, max_rows: int) -> None:
        self._store = store
        self._uploads = uploads
        self._max_rows = max_rows

    async def list(self) -> TableList:
        """Raises StorageError."""
        return TableList(tables=list(await asyncio.to_thread(self._store.list)))

    async def read(self, name: str, limit: int) -> TableRows:
        """Its newest `limit` rows. Raises InputError, TableNotFound, StorageError."""
        return await asyncio.to_thread(self._read, name, limit)

    def _read(self, name: str, limit: int) -> TableRows:
        table = self._store.read(name)
        rows = [
            TableRow(
                known_at=row[KNOWN_AT],
                period=row[PERIOD],
                symbol=row.get(SYMBOL),
                values=[None if math.isnan(row[column]) else row[column] for column in table.columns],
            )
            for row in table.frame.tail(limit).iter_rows(named=True)
        ]
        return TableRows(table=table.info, rows=rows)

    async def import_file(self, name: str, chunks: AsyncIterator[bytes], query: TableImport) -> TableInfo:
        """Raises InputError, ConflictError, StorageError."""
        filename = PurePath(query.filename).name
        upload = self._uploads / f"{uuid.uuid4().hex}{PurePath(filename).suffix.lower()}"
        try:
            await receive(upload, chunks)
            return await asyncio.to_thread(self._import, name, upload, filename, query)
        finally:
            upload.unlink(missing_ok=True)

    def _import(self, name: str, upload: Path, filename: str, query: TableImport) -> TableInfo:
        content = upload.read_bytes()
        check_size(content, filename, self._max_rows)
        return self._store.import_file(name, content, filename, query.reading, replace=query.replace)

    async def remove(self, name: str) -> TableInfo:
        """Raises InputError, TableNotFound, StorageError."""
        return await asyncio.to_thread(self._store.remove, name)
