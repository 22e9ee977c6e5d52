"""The loop of a live follow, and its rehearsal on stored bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from ktrdr.follows.chain import StoredRow
from ktrdr.follows.follower import Follower
from ktrdr.follows.outbox import Outbox
from ktrdr.market.closings import closes_at
from ktrdr.market.sessions import instant

# A provider needs a moment to have a bar that has just closed.
_AFTER_CLOSE = timedelta(seconds=1)
# A bar that is overdue is asked for ten times in its length.
_OVERDUE_SHARE = 10


@dataclass(frozen=True, slots=True)
class Following:
    """A model being followed: who predicts, who is told, and what brings new bars.

    every: longest time between two looks for bars
    refresh: brings new bars into the store
    wait: sleeps so many seconds
    """

    follower: Follower
    outbox: Outbox
    every: timedelta
    refresh: Callable[[], None]
    wait: Callable[[float], None]

    def live(self) -> Iterator[StoredRow]:
        """Rows as they are written and sent, without an end. Raises StorageError where one cannot be written."""
        self.follower.begin(_now(), self.outbox.see)
        self.outbox.begin()
        while True:
            self.refresh()
            yield from self._deliver(self.follower.step(_now(), _now))
            self.wait(self._pause_s(_now()))

    def replay(self) -> Iterator[StoredRow]:
        """The stored bars after the training, and after the last row, as if each arrived now; then it ends.

        Every bar closes at its own instant, so no row is late. It shows what would have been said, and is no evidence.
        """
        self.follower.begin(_now(), self.outbox.see, is_replay=True)
        self.outbox.begin()
        for now in self._closings():
            yield from self._deliver(self.follower.step(now))

    def _deliver(self, rows: list[StoredRow]) -> Iterator[StoredRow]:
        self.outbox.add(rows)
        self.outbox.deliver()
        yield from rows

    def _closings(self) -> Iterator[datetime]:
        """When stored bars of the base timeframe close, each instant once."""
        follower = self.follower
        strategy, trained_until = follower.model.strategy, follower.model.trained_until
        base, instants = strategy.timeframes[0], []
        for symbol in follower.symbols:
            frame = follower.source.read(symbol).bars[base]
            is_later = (frame["timestamp"] > trained_until).to_numpy()
            instants.append(closes_at(frame, base, strategy.calendar)[is_later])
        # A kill may have left the row of one symbol without that of another.
        since = min(follower.last.get(symbol, trained_until) for symbol in follower.symbols)
        return (each for each in map(instant, np.unique(np.concatenate(instants))) if each > since)

    def _pause_s(self, now: datetime) -> float:
        """Until the next bar closes, a receiver is to be tried again, or the time between two looks is over."""
        pauses = [self.every, *(self._until(upcoming, now) for upcoming in self.follower.next_closes.values())]
        seconds = min(pauses).total_seconds()
        return seconds if self.outbox.pause_s is None else min(seconds, self.outbox.pause_s)

    def _until(self, upcoming: datetime, now: datetime) -> timedelta:
        if upcoming + _AFTER_CLOSE > now:
            return upcoming + _AFTER_CLOSE - now
        return self.follower.model.strategy.timeframes[0].length / _OVERDUE_SHARE


def _now() -> datetime:
    return datetime.now(UTC)
