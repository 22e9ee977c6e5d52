"""A reader of a bridge that opens the file when somebody reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ktrdr.operations.bridge import ProgressBridge


class LazyProgressBridge:
    """Reads as `ProgressBridge` does, and raises BridgeFileError where that would, also while opening.

    An operation that waits holds no open file; a file that could not be opened is opened by the next read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: ProgressBridge | None = None

    @property
    def _metrics_history(self) -> Sequence[dict[str, Any]]:
        return self._open()._metrics_history

    def get_status(self) -> dict[str, Any]:
        return self._open().get_status()

    def _salvaged_records(self) -> list[dict[str, Any]]:
        return self._opened._salvaged_records() if self._opened else []

    def close(self) -> None:
        if self._opened:
            self._opened.close()

    def _open(self) -> ProgressBridge:
        self._opened = self._opened or ProgressBridge(self.path)
        return self._opened
