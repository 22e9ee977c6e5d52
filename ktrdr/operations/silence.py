"""How long workers have been silent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any


class SilenceWatch:
    """Measures by a monotonic clock since when a worker's report has been the same, so that setting the clock makes
    no worker silent. After a restart of the server, silence counts from then on."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Mapping[str, Any], float]] = {}

    def observe(self, operation_id: str, report: Mapping[str, Any]) -> float:
        """The seconds since a report other than this one was seen."""
        now = time.monotonic()
        before, since = self._seen.get(operation_id, (None, now))
        if before != report:
            since = now
        self._seen[operation_id] = (dict(report), since)
        return now - since

    def forget(self, operation_id: str) -> None:
        self._seen.pop(operation_id, None)
