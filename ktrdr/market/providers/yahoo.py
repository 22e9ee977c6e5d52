"""Yahoo Finance through yfinance."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import polars as pl

from ktrdr.errors import KtrdrError, ProviderError, ProviderUnreachable
from ktrdr.market.bars import (
    PRICES,
    SCHEMA,
    TIMEFRAMES,
    check_bars,
    check_range,
    check_symbol,
    check_timeframe,
    in_range,
)
from ktrdr.market.provider import Fetched

HOST = "query2.finance.yahoo.com"
INTERVALS = {"1m": "1m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1h", "1d": "1d", "1w": "1wk"}

_ADJUSTED = "prices adjusted for splits and dividends"


@dataclass(frozen=True, slots=True)
class YahooProvider:
    """`session` replaces yfinance's own HTTP session; `now` tells which bar is still open."""

    session: Any = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: ClassVar[str] = "yahoo"

    def fetch(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, on_rows: Callable[[int], None]
    ) -> Fetched:
        symbol, timeframe = check_symbol(symbol), check_timeframe(timeframe)
        check_range(start, end)
        if timeframe not in INTERVALS:
            raise ProviderError(
                f"yahoo has no {timeframe} bars", hint=f"it has {', '.join(INTERVALS)}", timeframe=timeframe
            )
        with _provider_errors(symbol, timeframe):
            history, about = _history(symbol, timeframe, start, end, self.session)
            raw = _to_polars(history, timeframe)
            closed = raw.filter(_is_closed(timeframe, about, self.now()))
        frame, note = _mended(in_range(closed, start, end))
        if frame.is_empty():
            raise ProviderError(
                f"yahoo has no closed {timeframe} bars of {symbol} in {start or 'the beginning'} to {end or 'now'}",
                hint="check the symbol at finance.yahoo.com, and the dates: minutes reach back 7 to 60 days only",
                symbol=symbol,
                timeframe=timeframe,
            )
        on_rows(len(frame))
        return Fetched(check_bars(frame), self.name, note)


def _history(symbol: str, timeframe: str, start: date | None, end: date | None, session: Any) -> tuple[Any, Any]:
    import yfinance
    from yfinance.data import YfData

    # It switches these on for its own code, where nobody but its authors can act on them.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
    # Its cache keeps failed answers too, and would repeat them for as long as the process lives.
    YfData.cache_get.cache_clear()
    # Otherwise it logs its errors and returns an empty table.
    yfinance.config.debug.hide_exceptions = False
    ticker = yfinance.Ticker(symbol, session=session)
    reach = {"start": start, "end": end + timedelta(days=1) if end else None} if start else {"period": "max"}
    history = ticker.history(interval=INTERVALS[timeframe], auto_adjust=True, actions=False, **reach)
    return history, ticker.history_metadata


def _to_polars(history: Any, timeframe: str) -> pl.DataFrame:
    """Intraday bars at their opening instant; daily and weekly ones at 00:00 UTC of their own date."""
    index = history.index
    index = index.tz_convert("UTC") if TIMEFRAMES[timeframe] < timedelta(days=1) else index.tz_localize(None)
    columns = {name: history[name.capitalize()].to_numpy(dtype="float64") for name in (*PRICES, "volume")}
    stamps = pl.Series("timestamp", index.as_unit("us").asi8).cast(SCHEMA["timestamp"])
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA).sort("timestamp")


def _is_closed(timeframe: str, about: Any, now: datetime) -> pl.Expr:
    stamp = pl.col("timestamp")
    if timeframe != "1d":
        return stamp + TIMEFRAMES[timeframe] <= now
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


def _mended(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Yahoo's own blemishes put right, each named in the note: rows without prices, and prices outside high and low."""
    present = frame.filter(pl.all_horizontal(pl.col(name).is_finite() & (pl.col(name) > 0) for name in PRICES))
    present = present.with_columns(pl.col("volume").fill_nan(0.0).fill_null(0.0))
    widened = present.with_columns(high=pl.max_horizontal(*PRICES), low=pl.min_horizontal(*PRICES))
    notes = [_ADJUSTED]
    if left_out := len(frame) - len(present):
        notes.append(f"{left_out} bars without prices left out")
    if count := present.filter((pl.col("high") < widened["high"]) | (pl.col("low") > widened["low"])).height:
        notes.append(f"high or low widened to hold open and close in {count} bars")
    return widened, "; ".join(notes)


@contextmanager
def _provider_errors(symbol: str, timeframe: str) -> Iterator[None]:
    try:
        yield
    except KtrdrError:
        raise
    except ImportError as error:
        raise ProviderError("yfinance cannot be imported", hint="install it with: pip install yfinance") from error
    except Exception as error:
        # yfinance lets through whatever its parsing of Yahoo's answers runs into.
        raise _as_provider_error(error, symbol, timeframe) from error


def _as_provider_error(error: Exception, symbol: str, timeframe: str) -> ProviderError:
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    if isinstance(error, YFRateLimitError):
        detail, hint = "yahoo refuses for now: too many requests", "wait some minutes and try again"
    elif isinstance(error, YFTickerMissingError):
        detail, hint = (
            f"yahoo has no {timeframe} bars of {symbol}: {' '.join(error.rationale.split())}",
            "check the symbol at finance.yahoo.com",
        )
    elif isinstance(error, OSError):
        return ProviderUnreachable(
            f"yahoo cannot be reached: {error}", hint="check the network and try again", symbol=symbol
        )
    else:
        detail, hint = f"yahoo's answer for {symbol} {timeframe} cannot be read: {error!r}", "try again later"
    return ProviderError(detail, hint=hint, symbol=symbol, timeframe=timeframe)
