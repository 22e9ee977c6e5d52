"""A load generator in a process of its own: N keep-alive connections, each asking again as soon as it is answered.

`python -m benchmarks.load HOST PORT PATH CONNECTIONS SECONDS [REQUESTS_PER_SECOND]` prints what it counted as JSON. It
parses no more of an answer than its status and its length, so that its share of a small machine stays small.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

WARM_UP_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw, times in milliseconds."""

    requests: int
    requests_in_all: int
    errors: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Client(asyncio.Protocol):
    """One connection; `pause_s` is the time from one request to the next, 0 for none."""

    def __init__(self, request: bytes, pause_s: float) -> None:
        self._request = request
        self._pause_s = pause_s
        self._received = bytearray()
        self._asked = 0.0
        self.latencies_s: list[float] = []
        self.errors = 0
        self.is_stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods alone
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end_of_head = self._received.find(b"\r\n\r\n")
        if end_of_head < 0:
            return
        start = self._received.index(b"content-length: ") + 16
        length = int(self._received[start : self._received.index(b"\r", start)])
        if len(self._received) < end_of_head + 4 + length:
            return
        now = time.perf_counter()
        self.latencies_s.append(now - self._asked)
        self.errors += not self._received.startswith(b"HTTP/1.1 200")
        self._received.clear()
        if self.is_stopped:
            return
        if self._pause_s:
            asyncio.get_running_loop().call_later(max(0.0, self._asked + self._pause_s - now), self._ask)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.errors += not self.is_stopped

    def close(self) -> None:
        self.is_stopped = True
        self._transport.close()

    def _ask(self) -> None:
        if not self.is_stopped:
            self._asked = time.perf_counter()
            self._transport.write(self._request)


async def put_load(host: str, port: int, path: str, connections: int, seconds: float, per_second: float = 0.0) -> Load:
    """Load from `connections` clients, flat out or each `per_second` times; the first fifth is warm-up."""
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n".encode()
    pause_s = 1 / per_second if per_second else 0.0
    clients = [Client(request, pause_s) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, host, port)  # type: ignore[misc]
    await asyncio.sleep(seconds * WARM_UP_SHARE)
    warming_up = 0
    for client in clients:
        warming_up += len(client.latencies_s)
        client.latencies_s.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds * (1 - WARM_UP_SHARE))
    measured_s = time.perf_counter() - began
    latencies = sorted(latency for client in clients for latency in client.latencies_s)
    for client in clients:
        client.close()
    errors = sum(client.errors for client in clients)
    return _summary(latencies, warming_up, errors, measured_s)


def _summary(latencies_s: list[float], warming_up: int, errors: int, seconds: float) -> Load:
    number = len(latencies_s)

    def percentile(share: float) -> float:
        return 1000 * latencies_s[min(number - 1, int(number * share))] if number else float("nan")

    return Load(
        requests=number,
        requests_in_all=number + warming_up,
        errors=errors,
        seconds=seconds,
        per_second=number / seconds,
        p50_ms=percentile(0.5),
        p99_ms=percentile(0.99),
        max_ms=percentile(1.0),
    )


def main() -> None:
    host, port, path, connections, seconds, *rate = sys.argv[1:]
    load = uvloop.run(put_load(host, int(port), path, int(connections), float(seconds), *map(float, rate)))
    sys.stdout.write(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
