"""The format and the destinations of log lines.

    2025-01-23 10:00:00.123 INFO Created operation op_training_20250123_abc123 (type=TRAINING) [req-1f]

The id in brackets is that of the request or operation that caused the line.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from pathlib import Path

from ktrdr.errors import StorageError

on_behalf_of: ContextVar[str] = ContextVar("on_behalf_of", default="")

_MEGABYTE = 1024 * 1024
_CONTROL_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), 127) if code != ord("\t")}


class LineFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # Control characters are escaped, so that a message cannot forge further log lines.
        line = super().formatMessage(record).translate(_CONTROL_ESCAPES)
        source = on_behalf_of.get()
        return f"{line} [{source}]" if source else line


def configure(log_file: Path, level: str, *, rotates: bool) -> None:
    """Log to standard error and to `log_file`.

    Only one of the processes that share a file may rotate it; the others follow. Raises StorageError.
    """
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        to_file: logging.Handler = (
            RotatingFileHandler(log_file, maxBytes=20 * _MEGABYTE, backupCount=5, encoding="utf-8")
            if rotates
            else WatchedFileHandler(log_file, encoding="utf-8")
        )
    except OSError as error:
        raise StorageError(
            f"the log file {log_file} cannot be written: {error.strerror}",
            hint="fix the permissions of KTRDR_HOME, or choose another folder with it",
        ) from error
    handlers = [logging.StreamHandler(), to_file]
    for handler in handlers:
        handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("ktrdr").setLevel(level)
    # The reader of standard error may end before this process does.
    logging.raiseExceptions = False
