"""Answers in the forms of Yahoo and Binance: made ones, and the recorded ones where they lie beside the project."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.bars import SHARED

Body = dict[str, Any]
CHARTS = SHARED / "recorded" / "yahoo_chart"
KLINES = SHARED / "recorded" / "binance" / "klines_BTCUSDT_30m_20190411.json"


# -- Yahoo's charts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """What Yahoo tells of a symbol, and by the clock of its exchange when a day begins and ends."""

    symbol: str
    kind: str = "EQUITY"
    zone: str = "America/New_York"
    opens: time = time(9, 30)
    hours: float = 6.5

    def opening(self, day: date) -> datetime:
        return datetime.combine(day, self.opens, ZoneInfo(self.zone))

    def period(self, day: date) -> dict[str, Any]:
        opening = self.opening(day)
        ahead = opening.utcoffset() or timedelta()
        start = int(opening.timestamp())
        return {
            "timezone": opening.tzname(),
            "start": start,
            "end": start + int(self.hours * 3600),
            "gmtoffset": int(ahead.total_seconds()),
        }

    def meta(self, granularity: str) -> dict[str, Any]:
        """As on the first working day of 2026."""
        regular = self.period(date(2026, 1, 2))
        return {
            "currency": "USD",
            "symbol": self.symbol,
            "instrumentType": self.kind,
            "firstTradeDate": 1,
            "regularMarketTime": regular["start"],
            "gmtoffset": regular["gmtoffset"],
            "timezone": regular["timezone"],
            "exchangeTimezoneName": self.zone,
            "regularMarketPrice": 100.0,
            "chartPreviousClose": 100.0,
            "priceHint": 2,
            "currentTradingPeriod": {"pre": regular, "regular": regular, "post": regular},
            "dataGranularity": granularity,
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "max"],
        }


SHARE = Listing("AAPL")
LONDON = Listing("VOD.L", zone="Europe/London", opens=time(8), hours=8.5)
TOKYO = Listing("7203.T", zone="Asia/Tokyo", opens=time(9), hours=6.5)
CURRENCY = Listing("EURUSD=X", "CURRENCY", "Europe/London", time(0), 23.98)
COIN = Listing("BTC-USD", "CRYPTOCURRENCY", "UTC", time(0), 23.98)
FUND = Listing("0P000071W8.TO", "MUTUALFUND", "America/Toronto")


def chart(listing: Listing, stamps: Sequence[int], granularity: str = "1d") -> Body:
    """A body with a bar at each of these epoch seconds."""
    meta = listing.meta(granularity)
    if not stamps:
        return _body({"meta": meta, "indicators": {"quote": [{}]}})
    if granularity != "1d":
        days = sorted({datetime.fromtimestamp(stamp, ZoneInfo(listing.zone)).date() for stamp in stamps})
        meta["tradingPeriods"] = [[listing.period(day)] for day in days]
    return _body({"meta": meta, "timestamp": list(stamps), "indicators": _indicators(len(stamps), granularity)})


def _body(result: Body) -> Body:
    return {"chart": {"result": [result], "error": None}}


def _indicators(rows: int, granularity: str) -> Body:
    close = [100.0 + 7 * row % 13 for row in range(rows)]
    quote = {
        "open": [price - 0.5 for price in close],
        "high": [price + 1.5 for price in close],
        "low": [price - 1.25 for price in close],
        "close": close,
        "volume": [1000 + row for row in range(rows)],
    }
    adjusted = {"adjclose": [{"adjclose": [price * 0.98 for price in close]}]} if granularity == "1d" else {}
    return {"quote": [quote], **adjusted}


def daily(
    listing: Listing, first: date, last: date, *, closed: Sequence[date] = (), weekdays: Sequence[int] = range(5)
) -> Body:
    every = (first + timedelta(days=number) for number in range((last - first).days + 1))
    traded = [day for day in every if day.weekday() in weekdays and day not in closed]
    return chart(listing, [int(listing.opening(day).timestamp()) for day in traded])


def autumn() -> Body:
    """A share's 49 sessions from 2020-08-31, when it is split, to 2020-11-06, when it pays a dividend."""
    body = daily(SHARE, date(2020, 8, 31), date(2020, 11, 6), closed=[date(2020, 9, 7)])
    (result,) = body["chart"]["result"]
    first, last = result["timestamp"][0], result["timestamp"][-1]
    result["events"] = {
        "splits": {str(first): {"date": first, "numerator": 4, "denominator": 1, "splitRatio": "4:1"}},
        "dividends": {str(last): {"date": last, "amount": 0.2}},
    }
    return body


def without_stamps(body: Body) -> Body:
    """Prices of nobody knows when."""
    del body["chart"]["result"][0]["timestamp"]
    return body


NEW_YEAR = date(2020, 1, 2), date(2020, 1, 10)
MADE_CHARTS: dict[str, Body] = {
    "a share": autumn(),
    "a share of London": daily(LONDON, date(2023, 3, 20), date(2023, 4, 5)),
    "a share of Tokyo": daily(TOKYO, *NEW_YEAR, closed=[date(2020, 1, 2), date(2020, 1, 3)]),
    "a currency": daily(CURRENCY, *NEW_YEAR),
    "a coin": daily(COIN, *NEW_YEAR, weekdays=range(7)),
    "a fund without prices": chart(FUND, []),
    "hours without prices": chart(SHARE, [], "1h"),
    "prices without instants": without_stamps(daily(SHARE, *NEW_YEAR)),
}


def recorded_charts() -> dict[str, Body]:
    files = (path for path in sorted(CHARTS.glob("*.json")) if path.name != "INDEX.json")
    return {path.stem: json.loads(path.read_text()) for path in files}


def recorded_autumn() -> Body:
    body: Body = json.loads((CHARTS / "chart-AAPL-2020-08-31-to-2020-11-07.json").read_text())
    return body


AUTUMNS: list[Callable[[], Body]] = [autumn, *([recorded_autumn] if CHARTS.is_dir() else [])]


# -- Binance's klines ------------------------------------------------------------------------------------------------

Klines = list[list[Any]]
HALF_HOUR_MS = 1_800_000


def made_klines() -> Klines:
    """500 half hours until midnight of 2019-04-22, numbers as text."""
    numbers, first = random.Random(1), datetime(2019, 4, 11, 14, tzinfo=UTC)
    openings = (int(first.timestamp()) * 1000 + row * HALF_HOUR_MS for row in range(500))
    return [_kline(opening, numbers.uniform(4900, 5100), numbers.uniform(100, 900)) for opening in openings]


def _kline(opening_ms: int, price: float, volume: float) -> list[Any]:
    prices = [f"{price + step:.2f}" for step in (0, 12, -15, 8)]
    traded = [f"{volume:.6f}", opening_ms + HALF_HOUR_MS - 1, f"{volume * price:.6f}", 900]
    return [opening_ms, *prices, *traded, f"{volume / 2:.6f}", f"{volume * price / 2:.6f}", "0"]


def recorded_klines() -> Klines:
    klines: Klines = json.loads(KLINES.read_text())
    return klines


ALL_KLINES: list[Callable[[], Klines]] = [made_klines, *([recorded_klines] if KLINES.is_file() else [])]
