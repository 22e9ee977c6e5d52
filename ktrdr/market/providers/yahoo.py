"""Yahoo Finance through yfinance."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from json import JSONDecodeError
from typing import Any, ClassVar
from urllib.parse import urlsplit

import polars as pl

from ktrdr.errors import BarsError, KtrdrError, NoBars, ProviderError, ProviderUnreachable
from ktrdr.market.bars import PRICES, SCHEMA, check_bars, check_range, check_symbol, in_range
from ktrdr.market.provider import Capabilities, Page, Pages, Wait, check_able, closed_by
from ktrdr.market.providers.retry import TransientError, with_retries
from ktrdr.timeframe import Timeframe

HOST = "query2.finance.yahoo.com"
INTERVALS: dict[Timeframe, str] = {
    Timeframe.MINUTE_1: "1m",
    Timeframe.MINUTE_5: "5m",
    Timeframe.MINUTE_15: "15m",
    Timeframe.MINUTE_30: "30m",
    Timeframe.HOUR_1: "1h",
    Timeframe.DAY: "1d",
    Timeframe.WEEK: "1wk",
}
CHART = "/v8/finance/chart/"

# What Yahoo answers to one request; longer ranges of these come in several.
_PAGE = {
    Timeframe.MINUTE_1: timedelta(days=7),
    Timeframe.MINUTE_5: timedelta(days=30),
    Timeframe.MINUTE_15: timedelta(days=30),
    Timeframe.MINUTE_30: timedelta(days=30),
    Timeframe.HOUR_1: timedelta(days=365),
}
_HISTORY = {
    Timeframe.MINUTE_1: timedelta(days=30),
    **dict.fromkeys((Timeframe.MINUTE_5, Timeframe.MINUTE_15, Timeframe.MINUTE_30), timedelta(days=60)),
    Timeframe.HOUR_1: timedelta(days=730),
}
# Yahoo counts its limits from the instant at which it reads the request.
_MARGIN = timedelta(minutes=10)
_ADJUSTED = "prices adjusted for splits and dividends"
_ADJUSTED_INTRADAY = "prices adjusted for splits"
_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class YahooProvider:
    """`url` is asked instead of Yahoo's own hosts, such as a caching proxy; `now` tells which bar is still open."""

    url: str = ""
    timeout_s: float = _TIMEOUT_S
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: ClassVar[str] = "yahoo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        source="yahoo",
        timeframes=tuple(INTERVALS),
        adjusted="splits and dividends",
        symbols="stocks, funds, indices, FX and crypto by Yahoo's names: AAPL, SAP.DE, ^GSPC, EURUSD=X, BTC-USD",
        history=_HISTORY,
        readjusts=True,
        pause_s=0.25,
    )

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        symbol = check_symbol(symbol)
        now = self.now()
        timeframe = check_able(self.capabilities, timeframe, start, end, now)
        rows = 0
        for since, until in self._windows(timeframe, start, end, now):
            page = with_retries(lambda since=since, until=until: self._page(symbol, timeframe, since, until), wait)  # type: ignore[misc]
            rows += len(page.frame)
            yield page
        if not rows:
            raise NoBars(
                f"yahoo has no closed {timeframe} bars of {symbol} in {start or 'the beginning'} to {end or 'now'}",
                hint="check the dates, and the symbol at finance.yahoo.com",
                symbol=symbol,
                timeframe=timeframe,
            )

    def _windows(
        self, timeframe: Timeframe, start: date | None, end: date | None, now: datetime
    ) -> Iterator[tuple[datetime | None, datetime]]:
        since, until = check_range(start, end)
        until = min(until or now, now)
        earliest, length = self.capabilities.earliest(timeframe, now), _PAGE.get(timeframe)
        if earliest is None or length is None:
            yield since, until
            return
        since = max(since or earliest, earliest + _MARGIN)
        while since < until:
            yield since, min(since + length, until)
            since += length

    def _page(self, symbol: str, timeframe: Timeframe, since: datetime | None, until: datetime) -> Page:
        with _provider_errors(symbol, timeframe):
            try:
                history, about = self._ask(symbol, timeframe, since, until)
            except _Nothing:
                return Page(pl.DataFrame(schema=SCHEMA), self.name, until)
            raw = _to_polars(history, timeframe)
            closed = raw.filter(_is_closed(timeframe, about, self.now()))
            frame, note = _mended(in_range(closed, since, until - timedelta(microseconds=1)), timeframe)
            return Page(check_bars(frame), self.name, until, note)

    def _ask(self, symbol: str, timeframe: Timeframe, since: datetime | None, until: datetime) -> tuple[Any, Any]:
        import yfinance
        from yfinance.data import YfData
        from yfinance.exceptions import YFPricesMissingError

        # It switches these on for its own code, where nobody but its authors can act on them.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
        # Its cache keeps failed answers too, and would repeat them for as long as the process lives.
        YfData.cache_get.cache_clear()
        # Otherwise it logs its errors and returns an empty table.
        yfinance.config.debug.hide_exceptions = False
        ticker = yfinance.Ticker(symbol, session=_session(self.url, self.timeout_s))
        try:
            history = ticker.history(
                interval=INTERVALS[timeframe], auto_adjust=True, actions=False, **_reach(timeframe, since, until)
            )
        except YFPricesMissingError as missing:
            if missing.yahoo_reason and "doesn't exist for startDate" not in missing.yahoo_reason:
                raise
            if not missing.yahoo_reason and "exchangeTimezoneName" not in ticker.history_metadata:
                raise ValueError("it tells nothing of the symbol") from missing
            raise _Nothing from missing
        if history.empty:
            raise _Nothing
        return history, ticker.history_metadata


class _Nothing(Exception):
    """Yahoo knows the symbol and has no prices in the range."""


class _ServerFailed(Exception):
    """Yahoo's own failure, which yfinance would take for an answer."""


def _session(home: str, timeout_s: float) -> Any:
    """yfinance's own kind of session, that tells a failing server from one without bars."""
    from curl_cffi import requests

    class Session(requests.Session):  # type: ignore[type-arg]
        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            path = urlsplit(url).path
            asked = f"{home.rstrip('/')}{path}" if home else url
            response: requests.Response = super().request(method, asked, **{**options, "timeout": timeout_s})  # type: ignore[arg-type]
            if response.status_code >= 500 and path.startswith(CHART):
                raise _ServerFailed(f"HTTP {response.status_code}")
            return response

    return Session(impersonate="chrome")


def _reach(timeframe: Timeframe, since: datetime | None, until: datetime) -> dict[str, Any]:
    """Of days and weeks yfinance takes dates, those of the exchange."""
    if since is None:
        return {"period": "max"}
    if not timeframe.is_by_date:
        return {"start": since, "end": until}
    first = since.date()
    if timeframe is Timeframe.WEEK:
        first -= timedelta(days=first.weekday())
    return {"start": first, "end": (until - timedelta(microseconds=1)).date() + timedelta(days=1)}


def _to_polars(history: Any, timeframe: Timeframe) -> pl.DataFrame:
    """Intraday bars at their opening instant; daily and weekly ones at 00:00 UTC of their own date.

    That is the exchange's date at the middle of the day: where clocks change, one may stand at 23:00 of the day before.
    """
    index = history.index
    if timeframe.is_by_date:
        index = (index.tz_localize(None) + timedelta(hours=12)).normalize()
    else:
        index = index.tz_convert("UTC")
    columns = {name: history[name.capitalize()].to_numpy(dtype="float64") for name in (*PRICES, "volume")}
    stamps = pl.Series("timestamp", index.as_unit("us").asi8).cast(SCHEMA["timestamp"])
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA).sort("timestamp")


def _is_closed(timeframe: Timeframe, about: Any, now: datetime) -> pl.Expr:
    if timeframe is not Timeframe.DAY:
        return closed_by(now, timeframe)
    stamp = pl.col("timestamp")
    session = about["currentTradingPeriod"]["regular"]
    local = timedelta(seconds=about["gmtoffset"])
    session_end = _instant(session["end"])
    over = now >= session_end
    today = (session_end + local - timedelta(seconds=1)).date()
    return (stamp.dt.date() < today) | (pl.lit(over) & (stamp.dt.date() == today))


def _instant(moment: Any) -> datetime:
    """yfinance turns these epoch seconds into pandas timestamps, depending on the interval."""
    if hasattr(moment, "to_pydatetime"):
        moment = moment.to_pydatetime()
    return moment.astimezone(UTC) if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)


def _mended(frame: pl.DataFrame, timeframe: Timeframe) -> tuple[pl.DataFrame, str]:
    """Yahoo's own blemishes put right, each named in the note: rows without prices, and prices outside high and low."""
    present = frame.filter(pl.all_horizontal(pl.col(name).is_finite() & (pl.col(name) > 0) for name in PRICES))
    present = present.with_columns(pl.col("volume").fill_nan(0.0).fill_null(0.0))
    widened = present.with_columns(high=pl.max_horizontal(*PRICES), low=pl.min_horizontal(*PRICES))
    notes = [_ADJUSTED if timeframe.is_by_date else _ADJUSTED_INTRADAY]
    if left_out := len(frame) - len(present):
        notes.append(f"{left_out} bars without prices left out")
    if count := present.filter((pl.col("high") < widened["high"]) | (pl.col("low") > widened["low"])).height:
        notes.append(f"high or low widened to hold open and close in {count} bars")
    return widened, "; ".join(notes)


@contextmanager
def _provider_errors(symbol: str, timeframe: str) -> Iterator[None]:
    try:
        yield
    except BarsError as error:
        detail = f"yahoo's answer for {symbol} {timeframe} holds no right bars: {error.detail}"
        raise TransientError(
            ProviderError(detail, hint="try again later", symbol=symbol, timeframe=timeframe)
        ) from error
    except KtrdrError:
        raise
    except ImportError as error:
        raise ProviderError("yfinance cannot be imported", hint="install it with: pip install yfinance") from error
    except Exception as error:
        # yfinance lets through whatever its parsing of Yahoo's answers runs into.
        raise _failure(error, symbol, timeframe) from error


def _failure(error: Exception, symbol: str, timeframe: str) -> ProviderError | TransientError:
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError, YFTzMissingError

    asked = {"symbol": symbol, "timeframe": timeframe}
    if isinstance(error, YFRateLimitError):
        detail, hint = "yahoo refuses for now: too many requests", "wait some minutes and try again"
        return TransientError(ProviderError(detail, hint=hint, **asked), refused=True)
    if isinstance(error, YFTzMissingError):
        return ProviderError(f"yahoo knows no symbol {symbol}", hint="look it up at finance.yahoo.com", **asked)
    if isinstance(error, YFTickerMissingError):
        return ProviderError(
            f"yahoo has no {timeframe} bars of {symbol}: {' '.join(error.rationale.split())}",
            hint="check the symbol at finance.yahoo.com",
            **asked,
        )
    if isinstance(error, OSError):
        told = str(error).partition(". See http")[0].removeprefix("Failed to perform, ")
        return TransientError(
            ProviderUnreachable(f"yahoo cannot be reached: {told}", hint="check the network and try again", **asked)
        )
    if isinstance(error, _ServerFailed):
        return TransientError(ProviderError(f"yahoo fails for now: {error}", hint="try again later", **asked))
    detail = f"yahoo's answer for {symbol} {timeframe} cannot be read: {_how(error)}"
    return TransientError(ProviderError(detail, hint="try again later", **asked))


def _how(error: Exception) -> str:
    if isinstance(error, JSONDecodeError):
        return f"it is no JSON: {error.doc[:40]!r}" if error.doc else "it is empty"
    return f"it has no {error}" if isinstance(error, KeyError) else str(error) or repr(error)
