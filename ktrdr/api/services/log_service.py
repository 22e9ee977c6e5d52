"""LogService: the lines of the log that tell of one operation."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ktrdr.api.schemas.system import LogLines
from ktrdr.errors import StorageError

# One answer looks through so much of the file, which takes some milliseconds.
_WINDOW_BYTES = 2 * 1024 * 1024


class LogService:
    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file

    async def lines_of(self, operation_id: str, cursor: int | None, limit: int) -> LogLines:
        """From `cursor` on, or the newest; of a file rotated since, from its beginning. Raises StorageError."""
        return await asyncio.to_thread(self._read, operation_id.encode(), cursor, limit)

    def _read(self, operation_id: bytes, cursor: int | None, limit: int) -> LogLines:
        try:
            with self._log_file.open("rb") as file:
                size = file.seek(0, 2)
                start = max(0, size - _WINDOW_BYTES) if cursor is None else cursor if cursor <= size else 0
                file.seek(start)
                text = file.read(_WINDOW_BYTES)
        except FileNotFoundError:
            return LogLines(lines=[], new_cursor=0)
        except OSError as error:
            raise StorageError(f"the log file cannot be read: {error.strerror}") from error
        whole = text[: text.rfind(b"\n") + 1]
        lines = [line.decode("utf-8", "replace") for line in whole.splitlines() if operation_id in line]
        return LogLines(lines=lines[-limit:], new_cursor=start + len(whole))
