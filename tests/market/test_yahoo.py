"""The real yfinance, answered with recorded bodies of Yahoo's chart API instead of the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ktrdr.errors import ProviderError, ProviderUnreachable
from ktrdr.market.bars import check_bars
from ktrdr.market.provider import Fetched
from ktrdr.market.providers.yahoo import YahooProvider

RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "recorded" / "yahoo_chart"

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers are not here")

Answer = Callable[[dict[str, Any]], tuple[int, bytes]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path) -> None:
    import yfinance

    yfinance.set_tz_cache_location(str(tmp_path))


def provider(answer: Answer, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> YahooProvider:
    from curl_cffi import requests

    class RecordedSession(requests.Session):  # type: ignore[type-arg]
        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            response = requests.Response()
            response.url = url
            is_greeting = "getcrumb" in url or "fc.yahoo.com" in url
            response.status_code, response.content = (
                (200, b"crumb") if is_greeting else answer(options.get("params", {}))
            )
            return response

    return YahooProvider(session=RecordedSession(), now=lambda: now)


def recorded(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return content


def always(body: dict[str, Any]) -> Answer:
    return lambda params: (200, json.dumps(body).encode())


def fetch(source: YahooProvider, symbol: str, timeframe: str, start: date | None, end: date | None) -> Fetched:
    return source.fetch(symbol, timeframe, start, end, lambda rows: None)


def test_us_daily_bars_stand_at_midnight_utc_of_their_session() -> None:
    source = provider(always(recorded("chart-AAPL-2020-08-31-to-2020-11-07")))

    fetched = fetch(source, "AAPL", "1d", date(2020, 8, 31), date(2020, 11, 5))

    stamps = fetched.frame["timestamp"]
    assert len(stamps) == 48
    assert (stamps[0], stamps[-1]) == (datetime(2020, 8, 31, tzinfo=UTC), datetime(2020, 11, 5, tzinfo=UTC))
    assert (fetched.provider, fetched.note) == ("yahoo", "prices adjusted for splits and dividends")


def test_the_end_is_asked_for_inclusively_and_prices_are_adjusted() -> None:
    body = recorded("chart-AAPL-2020-08-31-to-2020-11-07")
    asked: list[dict[str, Any]] = []

    def answer(params: dict[str, Any]) -> tuple[int, bytes]:
        asked.append(params)
        return always(body)(params)

    fetched = fetch(provider(answer), "AAPL", "1d", date(2020, 8, 31), date(2020, 11, 6))

    assert datetime.fromtimestamp(asked[-1]["period2"], UTC) == datetime(2020, 11, 7, 5, tzinfo=UTC)
    indicators = body["chart"]["result"][0]["indicators"]
    assert fetched.frame["close"].to_list() == pytest.approx(indicators["adjclose"][0]["adjclose"])
    ratio = indicators["adjclose"][0]["adjclose"][0] / indicators["quote"][0]["close"][0]
    assert fetched.frame["open"][0] == pytest.approx(indicators["quote"][0]["open"][0] * ratio)


@pytest.mark.parametrize(
    ("name", "symbol", "rows"),
    [
        ("historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv", "NVDA", 252),
        ("historical-via-chart-dividends-TSLA-no-dividends", "TSLA", 3303),
        ("chart-EURUSD_X-2020-01-01-to-2020-01-03", "EURUSD=X", 3),
        ("chart-WSU.DE-2023-08-04-to-2023-08-09", "WSU.DE", 3),
        ("chart-BTC-USD-2020-01-01-to-2020-01-03", "BTC-USD", 3),
    ],
)
def test_recorded_answers_of_many_markets_become_right_bars(name: str, symbol: str, rows: int) -> None:
    fetched = fetch(provider(always(recorded(name))), symbol, "1d", None, None)

    assert len(check_bars(fetched.frame)) == rows


@pytest.mark.parametrize(
    ("now", "rows"),
    [(datetime(2020, 11, 6, 20, 59, tzinfo=UTC), 48), (datetime(2020, 11, 6, 21, 0, tzinfo=UTC), 49)],
    ids=["a minute before the close", "at the close"],
)
def test_the_daily_bar_of_a_session_that_is_still_open_is_left_out(now: datetime, rows: int) -> None:
    body = recorded("chart-AAPL-2020-08-31-to-2020-11-07")
    meta = body["chart"]["result"][0]["meta"]
    closing = int(datetime(2020, 11, 6, 21, 0, tzinfo=UTC).timestamp())
    meta["gmtoffset"] = -18000
    meta["currentTradingPeriod"]["regular"] |= {"start": closing - 23400, "end": closing, "gmtoffset": -18000}

    fetched = fetch(provider(always(body), now), "AAPL", "1d", date(2020, 8, 31), date(2020, 11, 6))

    assert len(fetched.frame) == rows


def test_intraday_bars_stand_at_their_opening_and_the_open_one_is_left_out() -> None:
    opening = int(datetime(2025, 2, 3, 14, 30, tzinfo=UTC).timestamp())
    body = recorded("chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m")
    result = body["chart"]["result"][0]
    session = {"timezone": "EST", "start": opening, "end": opening + 23400, "gmtoffset": -18000}
    result["meta"] |= {"dataGranularity": "1h", "tradingPeriods": [[session]]}
    result["timestamp"] = [opening, opening + 3600, opening + 7200]
    quote = {"open": [10.0, 11.0, 12.0], "high": [12.0, 12.0, 14.0], "low": [9.0, 10.0, 11.0]}
    result["indicators"] = {"quote": [{**quote, "close": [12.5, None, 13.0], "volume": [1, 2, 3]}]}

    now = datetime(2025, 2, 3, 17, 29, tzinfo=UTC)
    fetched = fetch(provider(always(body), now), "AAPL", "1h", date(2025, 2, 3), date(2025, 2, 3))

    assert fetched.frame["timestamp"].to_list() == [datetime(2025, 2, 3, 14, 30, tzinfo=UTC)]
    assert "1 bars without prices left out" in fetched.note
    assert "high or low widened to hold open and close in 1 bars" in fetched.note


def test_an_empty_answer_names_the_symbol() -> None:
    body = recorded("chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m")

    with pytest.raises(ProviderError, match="yahoo has no 1m bars of AAPL"):
        fetch(provider(always(body)), "AAPL", "1m", date(2025, 2, 1), date(2025, 2, 2))


NOT_FOUND = (
    b'{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}'
)


@pytest.mark.parametrize(
    ("status", "content", "complaint"),
    [
        (404, NOT_FOUND, "yahoo has no 1d bars of NOPE"),
        (429, b"Too Many Requests", "too many requests"),
        (500, b"<html>oops", "yahoo's answer for NOPE 1d cannot be read"),
        (200, b'{"chart": {"result": [{"meta": {}}]}}', "NOPE"),
    ],
)
def test_refusals_and_rubbish_become_provider_errors(status: int, content: bytes, complaint: str) -> None:
    source = provider(lambda params: (status, content))

    with pytest.raises(ProviderError, match=complaint) as refused:
        fetch(source, "NOPE", "1d", date(2020, 1, 1), date(2020, 2, 1))

    assert not isinstance(refused.value, ProviderUnreachable)
    assert refused.value.hint


def test_a_failed_answer_is_not_remembered() -> None:
    dates = (date(2020, 8, 31), date(2020, 11, 6))
    with pytest.raises(ProviderError):
        fetch(provider(lambda params: (500, b"<html>oops")), "AAPL", "1d", *dates)

    assert (
        len(fetch(provider(always(recorded("chart-AAPL-2020-08-31-to-2020-11-07"))), "AAPL", "1d", *dates).frame) == 49
    )


def test_a_broken_connection_is_called_unreachable() -> None:
    def answer(params: dict[str, Any]) -> tuple[int, bytes]:
        raise ConnectionResetError("reset by peer")

    with pytest.raises(ProviderUnreachable, match="reset by peer"):
        fetch(provider(answer), "AAPL", "1d", date(2020, 1, 1), None)


def test_a_timeframe_that_yahoo_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ProviderError, match="yahoo has no 4h bars") as refused:
        fetch(YahooProvider(), "AAPL", "4h", None, None)

    assert "1h, 1d, 1w" in refused.value.hint
