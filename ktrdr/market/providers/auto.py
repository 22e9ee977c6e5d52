"""The default source: Yahoo where it can be reached, else the sample, and it says which; of a stored series its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from ktrdr.errors import NoBars, ProviderError, ProviderUnreachable
from ktrdr.market.provider import Capabilities, Pages, Provider, Wait, check_able
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.providers.yahoo import HOST, YahooProvider

PATIENCE_S = 3.0


def yahoo_is_reachable(url: str = "") -> bool:
    """Whether a TCP connection to Yahoo, or to what stands on the way there, opens within PATIENCE_S."""
    way = urlsplit(url or getproxies().get("https", ""))
    address = (way.hostname, way.port or 80) if way.hostname else (HOST, 443)
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

    @property
    def capabilities(self) -> Capabilities:
        return self.first.capabilities

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        pages = self.first.pages(symbol, timeframe, start, end, wait)
        try:
            check_able(self.capabilities, timeframe, start, end)
            if not self.first_is_reachable():
                raise ProviderUnreachable(f"{self.first.name} cannot be reached")
            opening = next(pages, None)
        except ProviderError as failure:
            if isinstance(failure, NoBars) and self.fallback is None:
                raise
            if self.fallback is None:
                raise self._loyal(failure, symbol, timeframe) from failure
            yield from self._fall_back(self.fallback, failure, symbol, timeframe, start, end, wait)
            return
        if opening:
            yield opening
            yield from pages

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
        wait: Wait,
    ) -> Pages:
        served = fallback.pages(symbol, timeframe, start, end, wait)
        try:
            opening = next(served)
        except ProviderError as lacking:
            raise type(failure)(
                f"{failure.detail}, and {lacking.detail}",
                hint="try again when there is a network; choose another source with --provider (sample, synthetic); "
                f"or import a file with: ktrdr data import FILE {symbol} {timeframe}",
                symbol=symbol,
                timeframe=timeframe,
            ) from failure
        for page in chain([opening], served):
            yield replace(page, note=f"{failure.detail}; served by {page.provider} instead: {page.note}")
