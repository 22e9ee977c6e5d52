"""The real ccxt, answered by a local server with klines as Binance has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ktrdr.errors import InputError, NoBars, ProviderError, ProviderUnreachable
from ktrdr.market.bars import check_bars
from ktrdr.market.provider import Page
from ktrdr.market.providers import create_provider
from ktrdr.market.providers.ccxt import CcxtProvider
from tests.market.answers import ALL_KLINES, HALF_HOUR_MS, made_klines
from tests.market.exchange_server import HTML, Answer, serving

# Some exchanges' own libraries, which ccxt imports whether they are asked or not.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:google.*")

BARS = made_klines()
LAST_IS_OPEN = datetime(2019, 4, 21, 23, 40, tzinfo=UTC)

# As GET /api/v3/exchangeInfo tells it of one market.
BTCUSDT = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT"],
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "permissions": ["SPOT"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    ],
}
MARKETS = Answer.of({"timezone": "UTC", "serverTime": 1, "rateLimits": [], "exchangeFilters": [], "symbols": [BTCUSDT]})

Klines = Callable[[dict[str, str]], Answer]


class Ran:
    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.pauses: list[float] = []
        self.starts: list[int] = []
        self.error: ProviderError | None = None

    @property
    def rows(self) -> int:
        return sum(len(page.frame) for page in self.pages)


def run(
    klines: Klines,
    symbol: str = "BTC-USDT",
    start: date | None = None,
    end: date | None = None,
    *,
    timeframe: str = "30m",
    markets: Answer = MARKETS,
    rows_a_page: int = 1000,
    timeout_s: float = 5.0,
) -> Ran:
    ran = Ran()
    with serving(lambda path, query: markets if path.endswith("exchangeInfo") else klines(query)) as source:
        options: dict[str, Any] = {
            "urls": {"api": {"public": source.url, "private": source.url, "v1": source.url}},
            "options": {"fetchMarkets": {"types": ["spot"]}},
            "features": {"spot": {"fetchOHLCV": {"limit": rows_a_page}}},
            "timeout": int(timeout_s * 1000),
            "rateLimit": 1,
        }
        try:
            provider = CcxtProvider("binance", options, lambda: LAST_IS_OPEN)
            for page in provider.pages(symbol, timeframe, start, end, ran.pauses.append):
                ran.pages.append(page)
        except ProviderError as error:
            ran.error = error
        ran.starts = [int(query["startTime"]) for path, query in source.asked if "startTime" in query]
    return ran


def exchange(query: dict[str, str], bars: list[list[Any]] = BARS) -> Answer:
    since, limit = int(query.get("startTime", 0)), int(query["limit"])
    return Answer.of([bar for bar in bars if bar[0] >= since][:limit])


@pytest.mark.parametrize("klines", ALL_KLINES, ids=lambda source: source.__name__)
def test_klines_become_bars_without_the_one_that_was_still_open(klines: Callable[[], list[list[Any]]]) -> None:
    bars = klines()

    ran = run(lambda query: exchange(query, bars))

    (page,) = ran.pages
    assert len(check_bars(page.frame)) == 499
    assert page.frame.row(0)[1:] == tuple(float(number) for number in bars[0][1:6])
    assert page.frame["timestamp"][-1] == datetime(2019, 4, 21, 23, 0, tzinfo=UTC)
    assert page.provider == "ccxt:binance"


def test_a_long_range_comes_in_pages_each_after_the_last_bar_of_the_one_before() -> None:
    ran = run(exchange, start=date(2019, 4, 12), end=date(2019, 4, 18), rows_a_page=100)

    assert [len(page.frame) for page in ran.pages] == [100, 100, 100, 36]
    assert ran.starts == [ran.starts[0] + number * 100 * HALF_HOUR_MS for number in range(4)]
    assert ran.pages[-1].through == datetime(2019, 4, 19, tzinfo=UTC)


DAY_MS = 24 * 60 * 60 * 1000
AT_16 = int(datetime(2019, 3, 1, 16, tzinfo=UTC).timestamp() * 1000)
DAYS_FROM_16 = [[AT_16 + DAY_MS * day, "100", "101", "99", "100", "1", 0, "0", 1, "0", "0", "0"] for day in range(10)]


def test_a_day_that_opens_in_the_afternoon_counts_for_the_next_date() -> None:
    ran = run(lambda query: exchange(query, DAYS_FROM_16), start=date(2019, 3, 2), end=date(2019, 3, 5), timeframe="1d")

    assert [f"{stamp:%m-%d}" for page in ran.pages for stamp in page.frame["timestamp"]] == [
        "03-02", "03-03", "03-04", "03-05",
    ]  # fmt: skip
    assert str(ran.pages[0].clock) == "16:00:00 of the day before UTC"


def test_an_exchange_that_answers_for_the_asked_stretch_alone_is_asked_on() -> None:
    def windowed(query: dict[str, str]) -> Answer:
        since, limit = int(query["startTime"]), int(query["limit"])
        return Answer.of([bar for bar in BARS if since <= bar[0] < since + limit * HALF_HOUR_MS])

    ran = run(windowed, start=date(2019, 4, 1), end=date(2019, 4, 12), rows_a_page=200)

    assert ran.rows == 68
    assert len(ran.pages[0].frame) == 0


def test_what_came_before_a_failure_is_there() -> None:
    def failing(query: dict[str, str]) -> Answer:
        return exchange(query) if int(query["startTime"]) <= BARS[100][0] else Answer(b"oops", 503)

    ran = run(failing, rows_a_page=100, start=datetime(2019, 4, 11, 14, tzinfo=UTC))

    assert (ran.rows, ran.pauses) == (200, [1.0, 2.0, 4.0])
    assert ran.error
    assert ran.error.detail == "ccxt:binance fails for now: 503 Service Unavailable oops (asked 4 times)"


@pytest.mark.parametrize(
    ("answer", "kind", "complaint"),
    [
        (Answer.of({"code": -1003, "msg": "Too many requests"}, 429), ProviderError, "refuses for now: binance 429"),
        (Answer.of({"code": -1121, "msg": "Invalid symbol."}, 400), ProviderError, "refuses BTC-USDT: binance"),
        (Answer.of({"code": 0, "msg": "restricted location"}, 451), ProviderError, "does not serve this place: 451"),
        (Answer(b"nothing here", 404), ProviderError, "fails for now: 404"),
        (Answer(b"oops", 500), ProviderError, "fails for now: 500"),
        (HTML, ProviderError, "cannot be read: it begins with '<!doctype html>"),
        (Answer(b""), ProviderError, "cannot be read: it is empty"),
        (Answer(b"{}"), ProviderError, "cannot be read: it begins with '{}'"),
        (Answer(b"[]"), NoBars, "has no closed 30m bars of BTC-USDT"),
        (Answer(json.dumps(BARS).encode(), cut=900), ProviderUnreachable, "IncompleteRead"),
        (Answer(json.dumps(BARS).encode()[:5000]), ProviderError, "cannot be read: it begins with '[[15549"),
        (Answer(json.dumps(BARS).encode(), slow_s=0.6), ProviderUnreachable, "timed out"),
    ],
    ids=["429", "symbol", "451", "404", "500", "HTML", "empty", "{}", "[]", "cut off", "half", "slow"],
)
def test_refusals_and_rubbish_become_errors_of_the_provider(
    answer: Answer, kind: type[ProviderError], complaint: str
) -> None:
    ran = run(lambda query: answer, start=date(2019, 4, 12), timeout_s=0.3)

    assert type(ran.error) is kind
    assert complaint in ran.error.detail
    assert ran.error.hint


def test_bars_that_cannot_be_right_are_not_taken() -> None:
    twisted = [[stamp, low, low, high, low, volume] for stamp, low, high, _, _, volume, *_ in BARS]

    ran = run(lambda query: Answer.of(twisted))

    assert ran.error
    assert "holds no right bars: high is below open, low or close" in ran.error.detail


def test_markets_that_are_not_told_are_no_missing_market() -> None:
    assert "cannot be read" in str(run(exchange, markets=HTML).error)
    unknown = run(exchange, "ETH-USDT").error
    assert unknown
    assert (unknown.detail, unknown.hint) == ("ccxt:binance has no market ETH-USDT", "did you mean BTC-USDT?")


def test_an_exchange_is_named_behind_ccxt() -> None:
    assert create_provider("ccxt:kraken").capabilities.timeframes == ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w")
    with pytest.raises(InputError, match="ccxt knows no exchange 'binanse'") as refused:
        create_provider("ccxt:binanse")
    assert refused.value.hint == "did you mean ccxt:binance?"
    with pytest.raises(InputError, match="ccxt needs the name of an exchange"):
        create_provider("ccxt")
    with pytest.raises(InputError, match="ccxt:coinbase has no 4h bars"):
        list(create_provider("ccxt:coinbase").pages("BTC-USD", "4h", None, None))
