"""The least time between two requests to one provider, kept by all processes of this machine together."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ktrdr.market.provider import Wait

if sys.platform != "win32":
    import fcntl


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
        if sys.platform == "win32":
            return self.pause_s
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            now = time.monotonic()
            turn = max(now, _number(file.read()))
            if turn > now + 60 * max(1.0, self.pause_s):  # of the clock before the machine was started anew
                turn = now
            file.truncate(0)
            file.write(repr(turn + self.pause_s))
        return turn - now


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
