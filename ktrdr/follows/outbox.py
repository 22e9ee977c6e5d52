"""Delivers a follow's signals at least once, in their order, over kills and restarts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ktrdr.errors import KtrdrError
from ktrdr.follows.append_only import AppendOnlyFile, read_lines
from ktrdr.follows.chain import StoredRow
from ktrdr.follows.receivers import Receiver
from ktrdr.payloads.follows import Delivery, PredictionRow, Signal

FILE = "deliveries.jsonl"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0


@dataclass(slots=True)
class _Queue:
    """What one receiver has not yet.

    begins_after: id of the signal after which it begins; "" for the first one, None while it is new
    delivered: ids of what it has
    failures: attempts that failed one after another
    again_at: when it is tried again, on the monotonic clock
    """

    receiver: Receiver
    begins_after: str | None = None
    has_begun: bool = False
    delivered: set[str] = field(default_factory=set)
    waiting: deque[Signal] = field(default_factory=deque)
    failures: int = 0
    again_at: float = 0.0

    def see(self, signal_id: str, signal: Signal | None) -> None:
        """Take in a row that was there before; it has a signal unless it is late."""
        if self.has_begun and signal and signal_id not in self.delivered:
            self.waiting.append(signal)
        self.has_begun = self.has_begun or signal_id == self.begins_after

    def fail(self) -> None:
        self.failures += 1
        self.again_at = time.monotonic() + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (self.failures - 1))


class Outbox:
    """The signals of one follow and who gets them; `folder` is that of its chain, whose lock this process holds.

    A receiver begins with the first signal after it was named first, and each signal is sent until the receiver has
    taken it once. Where a kill comes between that and its record, it is sent again. Late rows are no signals.
    A receiver that fails is tried again after 1, 2, 4 … 300 seconds; meanwhile the others get theirs.
    """

    def __init__(
        self,
        folder: Path,
        receivers: Iterable[Receiver],
        signal_of: Callable[[StoredRow], Signal],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._file = AppendOnlyFile(folder / FILE)
        self._queues = {receiver.key: _Queue(receiver) for receiver in receivers}
        self._signal_of = signal_of
        self._on_trouble = on_trouble
        self._last = ""

    def __enter__(self) -> Self:
        """Raises StorageError."""
        if self._queues:
            self._file.__enter__()
            self._read_deliveries()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def see(self, stored: StoredRow) -> None:
        """Take in a row that is there already, in the order of the chain."""
        if isinstance(stored.row, PredictionRow):
            self._last = stored.row.signal_id
            for queue in self._queues.values():
                queue.see(self._last, None if stored.row.late else self._signal_of(stored))

    def begin(self) -> None:
        """Let new receivers begin with the rows after those that are there. Raises StorageError."""
        for queue in self._queues.values():
            if not queue.has_begun:
                queue.has_begun = True
                self._record(queue, "begins", self._last)

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Take in new rows."""
        signals = [self._signal_of(each) for each in rows if isinstance(each.row, PredictionRow) and not each.row.late]
        for queue in self._queues.values():
            queue.waiting.extend(signals)

    def deliver(self) -> None:
        """Send what waits to all receivers that are not to be left alone yet. Raises StorageError."""
        for queue in self._queues.values():
            if time.monotonic() >= queue.again_at:
                self._drain(queue)

    @property
    def pause_s(self) -> float | None:
        """Seconds until a receiver is to be tried again; None where nothing waits."""
        times = [queue.again_at for queue in self._queues.values() if queue.waiting]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _drain(self, queue: _Queue) -> None:
        while queue.waiting:
            try:
                queue.receiver.send(queue.waiting[0])
            except KtrdrError as error:
                queue.fail()
                self._on_trouble(f"signal {queue.waiting[0].id} is not delivered: {error.detail}; it is sent again")
                return
            queue.failures = 0
            self._record(queue, "delivered", queue.waiting.popleft().id)

    def _record(self, queue: _Queue, event: Literal["begins", "delivered"], signal_id: str) -> None:
        line = Delivery(receiver=queue.receiver.key, event=event, signal_id=signal_id, at=datetime.now(UTC))
        self._file.append([line.model_dump_json().encode()])

    def _read_deliveries(self) -> None:
        for line in read_lines(self._file.path):
            delivery = Delivery.model_validate_json(line)
            if (queue := self._queues.get(delivery.receiver)) is None:
                continue
            if delivery.event == "delivered":
                queue.delivered.add(delivery.signal_id)
            else:
                queue.begins_after, queue.has_begun = delivery.signal_id, not delivery.signal_id
