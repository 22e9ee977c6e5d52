"""The default source: Yahoo where it can be reached, else the sample, and it says which; of a stored series its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from ktrdr.errors import ProviderError, ProviderUnreachable
from ktrdr.market.provider import Fetched, Provider
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.providers.yahoo import HOST, YahooProvider

PATIENCE_S = 3.0


def yahoo_is_reachable() -> bool:
    """Whether a TCP connection to Yahoo, or to the proxy on the way there, opens within PATIENCE_S."""
    proxy = urlsplit(getproxies().get("https", ""))
    address = (proxy.hostname, proxy.port or 80) if proxy.hostname else (HOST, 443)
    opened = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=PATIENCE_S).close()
        except OSError:
            return
        opened.set()

    # Name resolution obeys no timeout, so it waits in a thread of its own that may be left behind.
    attempt = threading.Thread(target=connect, name="yahoo-probe", daemon=True)
    attempt.start()
    attempt.join(PATIENCE_S)
    return opened.is_set()


@dataclass(frozen=True, slots=True)
class AutoProvider:
    """Asks `first`; when it cannot be reached or fails, `fallback`, where there is one, serves what it has."""

    first: Provider = field(default_factory=YahooProvider)
    fallback: Provider | None = field(default_factory=SampleProvider)
    first_is_reachable: Callable[[], bool] = yahoo_is_reachable
    name: ClassVar[str] = "auto"

    def fetch(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, on_rows: Callable[[int], None]
    ) -> Fetched:
        try:
            if not self.first_is_reachable():
                raise ProviderUnreachable(f"{self.first.name} cannot be reached")
            return self.first.fetch(symbol, timeframe, start, end, on_rows)
        except ProviderError as failure:
            if self.fallback is None:
                raise self._loyal(failure, symbol, timeframe) from failure
            return self._fall_back(self.fallback, failure, symbol, timeframe, start, end, on_rows)

    def _loyal(self, failure: ProviderError, symbol: str, timeframe: str) -> ProviderError:
        own = self.first.name
        return type(failure)(
            f"{failure.detail}; {symbol} {timeframe} is stored from {own}, so no other provider was asked",
            hint="try other dates or another time; or start the series anew with: --provider NAME --replace",
            symbol=symbol,
            timeframe=timeframe,
        )

    def _fall_back(
        self,
        fallback: Provider,
        failure: ProviderError,
        symbol: str,
        timeframe: str,
        start: date | None,
        end: date | None,
        on_rows: Callable[[int], None],
    ) -> Fetched:
        try:
            served = fallback.fetch(symbol, timeframe, start, end, on_rows)
        except ProviderError as lacking:
            raise type(failure)(
                f"{failure.detail}, and {lacking.detail}",
                hint="try again when there is a network; choose another source with --provider (sample, synthetic); "
                f"or import a file with: ktrdr data import FILE {symbol} {timeframe}",
                symbol=symbol,
                timeframe=timeframe,
            ) from failure
        note = f"{failure.detail}; served by {served.provider} instead: {served.note}"
        return Fetched(served.frame, served.provider, note)
