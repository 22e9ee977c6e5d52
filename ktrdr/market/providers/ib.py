"""Interactive Brokers, through a running TWS or Gateway and the library ib_async."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from ktrdr.errors import InputError, KtrdrError, NoBars, ProviderError, ProviderUnreachable
from ktrdr.instants import as_instant
from ktrdr.market.bars import PRICES, SCHEMA, check_bars, check_range, check_symbol, conform, range_filter
from ktrdr.market.days import by_trading_date
from ktrdr.market.provider import Capabilities, Page, Pages, Wait, check_able, closed_by
from ktrdr.market.providers.retry import TransientError, with_retries
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ib_async import IB, BarData, Contract

# Bar size, then how much of it one request may ask for, in IB's words and as a length.
_REQUESTS: dict[Timeframe, tuple[str, str, timedelta]] = {
    Timeframe.MINUTE_1: ("1 min", "1 D", timedelta(days=1)),
    Timeframe.MINUTE_3: ("3 mins", "1 W", timedelta(weeks=1)),
    Timeframe.MINUTE_5: ("5 mins", "1 W", timedelta(weeks=1)),
    Timeframe.MINUTE_15: ("15 mins", "1 W", timedelta(weeks=1)),
    Timeframe.MINUTE_30: ("30 mins", "1 M", timedelta(days=28)),
    Timeframe.HOUR_1: ("1 hour", "1 M", timedelta(days=28)),
    Timeframe.HOUR_2: ("2 hours", "1 M", timedelta(days=28)),
    Timeframe.HOUR_4: ("4 hours", "1 M", timedelta(days=28)),
    Timeframe.HOUR_8: ("8 hours", "1 M", timedelta(days=28)),
    Timeframe.DAY: ("1 day", "1 Y", timedelta(days=365)),
    Timeframe.WEEK: ("1 week", "1 Y", timedelta(days=364)),
}
_PAIR = re.compile(r"([A-Z]{3})\.([A-Z]{3})")
_CONNECT_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 25.0

# https://interactivebrokers.github.io/tws-api/message_codes.html
_NO_CONTRACT = 200
_HISTORY_FAULT = 162
_PACING = re.compile("pacing violation", re.IGNORECASE)
_NOTHING_THERE = re.compile("returned no data|no historical data", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IbProvider:
    """`host` and `port` are those of TWS (7497 paper, 7496 live) or Gateway (4002 paper, 4001 live)."""

    host: str = "127.0.0.1"
    port: int = 7497
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: ClassVar[str] = "ib"
    capabilities: ClassVar[Capabilities] = Capabilities(
        source="ib",
        timeframes=tuple(_REQUESTS),
        adjusted="splits",
        readjusts=True,
        pause_s=0.5,
        symbols="US stocks and funds by ticker: AAPL; currency pairs with a dot: EUR.USD",
    )

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        symbol = check_symbol(symbol)
        timeframe = check_able(self.capabilities, timeframe, start, end)
        since, until = check_range(start, end)
        contract = _contract(symbol)
        with asyncio.Runner() as runner, self._connection(runner) as ib, _provider_errors(symbol, timeframe):
            if not runner.run(ib.qualifyContractsAsync(contract)):
                raise ProviderError(
                    f"ib knows no {symbol}", hint="write stocks as AAPL and currency pairs as EUR.USD", symbol=symbol
                )
            until = min(until or self.now(), self.now())
            since = since or runner.run(self._head(ib, contract))
            yield from self._walk(ib, runner, contract, symbol, timeframe, since, until, wait)

    @contextmanager
    def _connection(self, runner: asyncio.Runner) -> Iterator[IB]:
        from ib_async import IB, StartupFetchNONE

        logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # what it would log is raised
        ib = IB()
        ib.RaiseRequestErrors = True
        # Two with the same number would put each other out.
        client_id = 1000 + os.getpid() % 30_000
        try:
            runner.run(
                ib.connectAsync(
                    self.host, self.port, client_id, _CONNECT_TIMEOUT_S, readonly=True, fetchFields=StartupFetchNONE
                )
            )
        except (OSError, TimeoutError) as error:
            raise ProviderUnreachable(
                f"no TWS or IB Gateway answers at {self.host}:{self.port}: {error or 'it is silent'}",
                hint="start one, let it accept API clients (Configure, API, Settings), and set KTRDR_IB_HOST and "
                "KTRDR_IB_PORT to where it listens",
                host=self.host,
                port=self.port,
            ) from error
        try:
            yield ib
        finally:
            ib.disconnect()

    async def _head(self, ib: IB, contract: Contract) -> datetime:
        """Where the history begins."""
        head = await ib.reqHeadTimeStampAsync(contract, _what(contract), useRTH=False, formatDate=2)
        if not isinstance(head, datetime):
            raise NoBars(f"ib has no history of {contract.symbol}", hint="say where to begin: --start-date")
        return head if head.tzinfo else head.replace(tzinfo=UTC)

    def _walk(
        self,
        ib: IB,
        runner: asyncio.Runner,
        contract: Contract,
        symbol: str,
        timeframe: Timeframe,
        since: datetime,
        until: datetime,
        wait: Wait,
    ) -> Pages:
        size, duration, length = _REQUESTS[timeframe]
        position, rows = since, 0
        while position < until:
            through = min(position + length, until)

            def ask(through: datetime = through) -> Sequence[BarData]:
                # Its own timeout answers with no bars, as if there were none.
                answer = ib.reqHistoricalDataAsync(
                    contract,
                    through,
                    duration,
                    size,
                    _what(contract),
                    useRTH=_has_sessions(contract),
                    formatDate=2,
                    timeout=0,
                )
                try:
                    with _provider_errors(symbol, timeframe):
                        return runner.run(asyncio.wait_for(answer, _ANSWER_TIMEOUT_S))
                except NoBars:
                    return []

            frame = to_frame(with_retries(ask, wait), timeframe)
            wanted, clock = frame.filter(range_filter(position, through), closed_by(self.now(), timeframe)), None
            if timeframe.is_by_date:
                wanted, clock = by_trading_date(wanted, symbol, timeframe)
            rows += len(wanted)
            yield Page(wanted, self.name, through, _note(contract), clock)
            position = through
        if not rows:
            raise NoBars(
                f"ib has no closed {timeframe} bars of {symbol} in {since:%Y-%m-%d} to {until:%Y-%m-%d}",
                hint="check the dates",
                symbol=symbol,
                timeframe=timeframe,
            )


def to_frame(bars: Sequence[BarData], timeframe: Timeframe) -> pl.DataFrame:
    """IB's bars in the schema. Days come as dates, shorter bars as instants; a volume of -1 is none."""
    rows = [bar for bar in bars if bar.close > 0]
    columns: dict[str, Any] = {name: [float(getattr(bar, name)) for bar in rows] for name in PRICES}
    columns["volume"] = [max(0.0, float(bar.volume)) for bar in rows]
    stamps = pl.Series("timestamp", [as_instant(bar.date) for bar in rows], dtype=SCHEMA["timestamp"])
    frame = pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)
    if timeframe is Timeframe.WEEK:
        # IB files a week under its last day.
        frame = frame.with_columns(pl.col("timestamp").dt.truncate("1w"))
    return check_bars(conform(frame.unique("timestamp", keep="last").sort("timestamp")))


def _contract(symbol: str) -> Contract:
    try:
        from ib_async import Forex, Stock
    except ImportError as error:
        raise ProviderError("ib_async cannot be imported", hint="install it with: pip install ib_async") from error
    if pair := _PAIR.fullmatch(symbol):
        return Forex("".join(pair.groups()))
    if not re.fullmatch(r"[A-Z0-9]+([ .-][A-Z])?", symbol):
        raise InputError(f"ib has no symbol such as {symbol}", hint="write stocks as AAPL, currency pairs as EUR.USD")
    return Stock(symbol.replace("-", " ").replace(".", " "), "SMART", "USD")


def _has_sessions(contract: Contract) -> bool:
    return contract.secType == "STK"


def _what(contract: Contract) -> str:
    return "TRADES" if _has_sessions(contract) else "MIDPOINT"


def _note(contract: Contract) -> str:
    if _has_sessions(contract):
        return "regular sessions, prices adjusted for splits, not for dividends"
    return "midpoints between bid and ask; they have no volume"


@contextmanager
def _provider_errors(symbol: str, timeframe: str) -> Iterator[None]:
    from ib_async.wrapper import RequestError

    asked = {"symbol": symbol, "timeframe": timeframe}
    try:
        yield
    except (KtrdrError, TransientError):
        raise
    except RequestError as error:
        raise refusal(error.code, error.message, symbol, timeframe) from error
    except (OSError, TimeoutError) as error:
        detail = f"TWS does not answer any more: {error or 'it is silent'}"
        raise TransientError(ProviderUnreachable(detail, hint="try again", **asked)) from error


def refusal(code: int, message: str, symbol: str, timeframe: str) -> ProviderError | TransientError:
    """What IB's error codes mean for a load."""
    told, asked = f"{' '.join(message.split())} (code {code})", {"symbol": symbol, "timeframe": timeframe}
    if code == _NO_CONTRACT:
        return ProviderError(f"ib knows no {symbol}: {told}", hint="write stocks as AAPL, pairs as EUR.USD", **asked)
    if _PACING.search(message):
        return TransientError(
            ProviderError(f"ib refuses for now: {told}", hint="try again in ten minutes", **asked), refused=True
        )
    if code == _HISTORY_FAULT and _NOTHING_THERE.search(message):
        return NoBars(f"ib has no {timeframe} bars of {symbol} there: {told}", hint="check the dates", **asked)
    return ProviderError(f"ib refuses {symbol} {timeframe}: {told}", hint="see the message in TWS", **asked)
