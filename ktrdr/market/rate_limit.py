"""The least time between two requests to one provider, kept by all processes of this machine together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ktrdr.market.provider import Wait


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """`path` holds the instant, on the machine's monotonic clock, from which on the next request may leave."""

    path: Path
    pause_s: float

    def wait(self, sleep: Wait) -> None:
        """Wait for this request's turn."""
        if self.pause_s > 0 and (ahead_s := self._take_turn()) > 0:
            sleep(ahead_s)

    def _take_turn(self) -> float:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            now = time.monotonic()
            turn = max(now, self._next_turn())
            if turn > now + 60 * max(1.0, self.pause_s):  # of the clock before the machine was started anew
                turn = now
            self.path.write_text(repr(turn + self.pause_s), encoding="ascii")
        return turn - now

    def _next_turn(self) -> float:
        try:
            return float(self.path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0.0
