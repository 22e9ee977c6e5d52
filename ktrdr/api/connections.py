"""Connections that a client leaves half-open: bounded in time, in number and in the size of their headers."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

_HEADER_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What the connections of a server may take.

    timeout_s: the time in which a request's header must be whole, and the longest silence within its body
    count: how many connections are open at once
    """

    timeout_s: float
    count: int


class BoundedConnection(HttpToolsProtocol):
    """A connection that waits for its client for so long, and only while there is room.

    A new connection beyond the limit takes the place of the one that has been waiting for its client the longest.
    """

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._heard_at = 0.0
        self._header_bytes = 0
        self._is_in_body = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # The loop's clock may stand still for a whole turn (uvloop), and so tell no order.
        self._heard_at = time.monotonic()
        self._start_deadline()
        if len(self.connections) > self._limits.count:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        super().data_received(data)
        if self._is_in_header:
            self._header_bytes += len(data)
            if self._header_bytes > _HEADER_LIMIT_BYTES and not self.transport.is_closing():
                self.send_400_response("The header of the request is too large.")
        else:  # a header has one deadline, however often a piece of it comes; a body has one after each piece
            self._header_bytes = 0
            self._stop_deadline()
        if self._deadline is None and self._is_incomplete:
            self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_body = False
        super().on_message_complete()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _is_in_header(self) -> bool:
        return self._is_idle and not self._is_in_body

    @property
    def _is_incomplete(self) -> bool:
        """Whether the client has not sent its request whole."""
        return self._is_idle or self._is_in_body

    def _make_room(self) -> None:
        """Close the connection that has been waiting the longest for a request, its rest or a reader of the answer."""
        waiting = [each for each in self.connections if isinstance(each, BoundedConnection) and each._is_waiting]
        longest = min(waiting, key=lambda connection: connection._heard_at, default=self)
        logger.debug("A connection is closed in favour of a new one; %d are open", len(self.connections))
        longest.transport.abort()

    @property
    def _is_waiting(self) -> bool:
        return (self._is_incomplete or self.flow.write_paused) and not self.transport.is_closing()

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self._limits.timeout_s, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is the server that does not read
            self._start_deadline()
        elif self._is_incomplete:
            logger.debug("A connection is closed: its request was not whole within %g s", self._limits.timeout_s)
            self.transport.abort()
