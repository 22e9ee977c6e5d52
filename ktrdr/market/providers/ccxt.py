"""Any exchange that the library ccxt knows, by its name: `ccxt:binance`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from ktrdr.errors import BarsError, InputError, KtrdrError, NoBars, ProviderError, ProviderUnreachable, nearest
from ktrdr.market.bars import SCHEMA, VALUES, check_bars, check_range, check_symbol, conform, range_filter
from ktrdr.market.days import by_trading_date
from ktrdr.market.provider import Capabilities, Page, Pages, Wait, check_able, closed_by
from ktrdr.market.providers.retry import TransientError, with_retries
from ktrdr.market.sessions import ALWAYS
from ktrdr.timeframe import Timeframe

PREFIX = "ccxt:"
SYMBOLS = "the exchange's own pairs, written with a hyphen: BTC-USDT for BTC/USDT"

_DEFAULT_PAGE_ROWS = 500
# Before there was an exchange: those that can tell where a market's history begins answer from there.
_DAWN = datetime(2010, 1, 1, tzinfo=UTC)
_TIMEOUT_MS = 15_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def exchanges() -> list[str]:
    """All that ccxt knows, found without importing it, which takes seconds."""
    spec = find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0])
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


@dataclass(frozen=True, slots=True)
class CcxtProvider:
    """`options` go to ccxt's exchange as they are: other URLs, a proxy, a key; `now` tells which bar is still open."""

    exchange: str
    options: Mapping[str, Any] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        known = exchanges()
        if self.exchange in known:
            return
        similar = nearest(self.exchange, known)
        example = f"{PREFIX}{similar or 'binance'}"
        raise InputError(
            f"ccxt knows no exchange {self.exchange[:64]!r}" if self.exchange else "ccxt needs the name of an exchange",
            hint=f"did you mean {example}?" if similar else f"write it as {example}; it knows {len(known)} of them",
        )

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.exchange}"

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities(self._client())

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        since, until = check_range(start, end)
        client = self._client()
        check_able(_capabilities(client), timeframe, start, end)
        until = min(until or self.now(), self.now())
        with _provider_errors(self.name, symbol):
            market = with_retries(lambda: self._market(client, symbol), wait)
        rows = 0
        for page in self._walk(client, market, symbol, timeframe, since, until, wait):
            rows += len(page.frame)
            yield page
        if not rows:
            raise NoBars(
                f"{self.name} has no closed {timeframe} bars of {symbol} in {start or 'the beginning'} to "
                f"{end or 'now'}",
                hint="check the dates" if start else "say where to begin: --start-date",
                symbol=symbol,
                timeframe=timeframe,
            )

    def _client(self) -> Any:
        try:
            import ccxt
        except ImportError as error:
            raise ProviderError("ccxt cannot be imported", hint="install it with: pip install ccxt") from error
        return getattr(ccxt, self.exchange)(
            {"enableRateLimit": True, "enableLastJsonResponse": True, "timeout": _TIMEOUT_MS, **self.options}
        )

    def _market(self, client: Any, symbol: str) -> str:
        """The exchange's name of it. Raises ProviderError with the nearest it has."""
        with _provider_errors(self.name, symbol):
            markets = client.load_markets()
            if not markets:
                raise _Unreadable(_shown(client))
        by_ours: dict[str, str] = {}
        for theirs in markets:
            # Of BTC/USDT and its perpetual BTC/USDT:USDT the first is the shorter one.
            by_ours.setdefault(_ours(theirs), theirs)
            by_ours.setdefault(theirs.replace("/", "-").upper(), theirs)
            by_ours.setdefault(str(markets[theirs].get("id", "")).upper(), theirs)
        if symbol in by_ours:
            return by_ours[symbol]
        similar = nearest(symbol, by_ours)
        raise ProviderError(
            f"{self.name} has no market {symbol}",
            hint=f"did you mean {_ours(by_ours[similar])}?" if similar else "write pairs as BTC-USDT",
            symbol=symbol,
        )

    def _walk(
        self,
        client: Any,
        market: str,
        symbol: str,
        timeframe: Timeframe,
        since: datetime | None,
        until: datetime,
        wait: Wait,
    ) -> Pages:
        limit, step = _page_rows(client), timeframe.length
        # A day may open on the date before its own.
        ahead = timedelta(days=1) if timeframe.is_by_date and since else timedelta(0)
        position, is_first = (since or _DAWN) - ahead, True
        while position < until:
            frame = with_retries(
                lambda position=position: self._rows(client, market, symbol, timeframe, position, limit),  # type: ignore[misc]
                wait,
            )
            if len(frame):
                following = frame["timestamp"][-1].astimezone(UTC) + step
            elif since is None and is_first:
                return
            else:
                # Some answer with what lies within `limit` bars from there, which may be none.
                following = position + limit * step
            wanted, clock = frame.filter(range_filter(position, until), closed_by(self.now(), timeframe)), None
            if timeframe.is_by_date:
                wanted, clock = by_trading_date(wanted, symbol, timeframe, ALWAYS)
            note = f"prices as {self.exchange} traded them"
            yield Page(wanted.filter(range_filter(since, until)), self.name, min(following, until), note, clock)
            position, is_first = max(following, position + step), False

    def _rows(
        self, client: Any, market: str, symbol: str, timeframe: Timeframe, since: datetime, limit: int
    ) -> pl.DataFrame:
        with _provider_errors(self.name, symbol):
            answer = client.fetch_ohlcv(market, timeframe, since=round((since - _EPOCH) / _MILLISECOND), limit=limit)
            # It takes what is no JSON, or no table, for a table without rows.
            if not answer and not _is_container(client.last_json_response):
                raise _Unreadable(_shown(client))
            rows = [row for row in answer if row[0] is not None]
            columns = {name: [row[place] for row in rows] for place, name in enumerate(SCHEMA)}
            table = pl.DataFrame(columns, schema={"timestamp": pl.Int64(), **dict.fromkeys(VALUES, pl.Float64())})
            stamps = (pl.col("timestamp") * 1000).cast(SCHEMA["timestamp"])
            # Minutes without a trade come as rows without prices from some.
            frame = table.with_columns(stamps, pl.col("volume").fill_null(0.0)).drop_nulls()
            return check_bars(conform(frame.unique("timestamp", keep="last").sort("timestamp")))


_MILLISECOND = timedelta(milliseconds=1)


def _ours(pair: str) -> str:
    return pair.replace("/", "-").replace(":", "-").upper()


def _capabilities(client: Any) -> Capabilities:
    theirs = client.timeframes or {}
    return Capabilities(
        source=f"{PREFIX}{client.id}",
        timeframes=tuple(each for each in Timeframe if each in theirs) if client.has.get("fetchOHLCV") else (),
        adjusted="no",
        symbols=SYMBOLS,
        calendar=ALWAYS,
        pause_s=float(client.rateLimit or 0) / 1000,
    )


def _page_rows(client: Any) -> int:
    about = (client.features or {}).get("spot") or {}
    return int((about.get("fetchOHLCV") or {}).get("limit") or _DEFAULT_PAGE_ROWS)


@contextmanager
def _provider_errors(name: str, symbol: str) -> Iterator[None]:
    try:
        yield
    except BarsError as error:
        detail = f"{name}'s answer for {symbol} holds no right bars: {error.detail}"
        raise TransientError(ProviderError(detail, hint="try again later", symbol=symbol)) from error
    except (KtrdrError, TransientError):
        raise
    except Exception as error:
        # ccxt lets through whatever its parsing of an answer runs into.
        raise _failure(error, name, symbol) from error


def _failure(error: Exception, name: str, symbol: str) -> ProviderError | TransientError:
    import ccxt

    told = _told(error)
    if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
        detail, hint = f"{name} refuses for now: {told}", "wait some minutes and try again"
        return TransientError(ProviderError(detail, hint=hint, symbol=symbol), refused=True)
    if "451 Unavailable" in told:
        return ProviderError(f"{name} does not serve this place: {told}", hint="ask another exchange", symbol=symbol)
    if isinstance(error, ccxt.ExchangeNotAvailable):
        return TransientError(ProviderError(f"{name} fails for now: {told}", hint="try again later", symbol=symbol))
    if isinstance(error, ccxt.NetworkError):
        detail = f"{name} cannot be reached: {told}"
        return TransientError(ProviderUnreachable(detail, hint="check the network and try again", symbol=symbol))
    if isinstance(error, ccxt.BaseError) and not isinstance(error, ccxt.BadResponse):
        return ProviderError(f"{name} refuses {symbol}: {told}", hint="check symbol and dates", symbol=symbol)
    detail = f"{name}'s answer for {symbol} cannot be read: {told}"
    return TransientError(ProviderError(detail, hint="try again later", symbol=symbol))


class _Unreadable(Exception):
    """An answer that ccxt lets pass."""


def _is_container(answer: object) -> bool:
    return isinstance(answer, list) or (isinstance(answer, dict) and bool(answer))


def _shown(client: Any) -> str:
    text = str(client.last_http_response or "")
    return f"it begins with {text[:40]!r}" if text else "it is empty"


def _told(error: Exception) -> str:
    """In one line, without the URL: exchanges answer with whole web pages."""
    words = re.sub(r"^\w+ (GET|POST) \S+ ?", "", " ".join(str(error).split()))
    words = words or " ".join(str(error.__cause__ or "").split()) or type(error).__name__
    return words if len(words) <= 200 else f"{words[:200]}…"
