"""The format and the destinations of log lines.

    2025-01-23 10:00:00.123 INFO Created operation op_training_20250123_abc123 (type=TRAINING) [req-1f]

The id in brackets is that of the request or operation that caused the line.
"""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from ktrdr.errors import StorageError, bounded
from ktrdr.masking import masked
from ktrdr.terminal import escaped

on_behalf_of: ContextVar[str] = ContextVar("on_behalf_of", default="")

_MEGABYTE = 1024 * 1024
_LONGEST = 20_000
"""Characters of one message, and of one stack trace: an error of a library may quote a whole file."""


class LogFile(RotatingFileHandler):
    """A log file that is opened anew when somebody has removed or rotated it.

    An error while writing it, or a folder that is gone, stops nobody's work.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if not self._is_in_place():
                self._reopen()
        except OSError:
            self.handleError(record)
            return
        super().emit(record)

    def _is_in_place(self) -> bool:
        try:
            present = os.stat(self.baseFilename)
        except FileNotFoundError:
            return False
        return self.stream is not None and os.path.samestat(os.fstat(self.stream.fileno()), present)

    def _reopen(self) -> None:
        folder = Path(self.baseFilename).parent
        if folder.parent.exists():  # a home that was removed must not come back as a folder of logs
            folder.mkdir(exist_ok=True)
        self.close()
        self.stream = self._open()


class LineFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # Control characters are escaped, so that a message cannot forge further log lines.
        line = _shown(super().formatMessage(record), keep="\t")
        source = on_behalf_of.get()
        return f"{line} [{source}]" if source else line

    def formatException(self, ei: Any) -> str:
        return _shown(super().formatException(ei), keep="\n\t")


def _shown(text: str, keep: str) -> str:
    return escaped(bounded(masked(text), _LONGEST), keep)


def configure(log_file: Path, level: str, *, rotates: bool) -> None:
    """Log to standard error and to `log_file`.

    Only one of the processes that share a file may rotate it; the others follow. Raises StorageError.
    """
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        # A limit of zero is none.
        max_bytes = 20 * _MEGABYTE if rotates else 0
        to_file = LogFile(log_file, maxBytes=max_bytes, backupCount=5, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"the log file {log_file} cannot be written: {error.strerror}",
            hint="fix the permissions of KTRDR_HOME, or choose another folder with it",
        ) from error
    handlers: list[logging.Handler] = [logging.StreamHandler(), to_file]
    for handler in handlers:
        handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("ktrdr").setLevel(level)
    # The reader of standard error may end before this process does.
    logging.raiseExceptions = False
