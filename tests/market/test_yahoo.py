"""The real yfinance, answered by a local server with bodies in the form of Yahoo's chart API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ktrdr.errors import InputError, NoBars, ProviderError, ProviderUnreachable
from ktrdr.market.bars import check_bars
from ktrdr.market.provider import Page, fetch
from ktrdr.market.providers.yahoo import CHART, YahooProvider
from tests.market.answers import AUTUMNS, MADE_CHARTS, SHARE, Body, autumn, chart, recorded_charts
from tests.market.exchange_server import HTML, Answer, Chart, yahoo, yahoo_minutes

NOW = datetime(2026, 1, 1, tzinfo=UTC)

every_autumn = pytest.mark.parametrize("autumn", AUTUMNS, ids=lambda source: source.__name__)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path) -> None:
    import yfinance

    yfinance.set_tz_cache_location(str(tmp_path))


@dataclass
class Ran:
    pages: list[Page]
    pauses: list[float]
    asked: list[dict[str, str]]
    error: ProviderError | None = None


def run(
    chart: Chart,
    symbol: str = "AAPL",
    timeframe: str = "1d",
    start: date | None = None,
    end: date | None = None,
    *,
    now: datetime = NOW,
) -> Ran:
    """What came, what it waited for and what it asked for, however it ended."""
    with yahoo(chart) as source:
        ran = Ran([], [], [])
        try:
            pages = YahooProvider(source.url, 0.5, lambda: now).pages(symbol, timeframe, start, end, ran.pauses.append)
            for page in pages:
                ran.pages.append(page)
        except ProviderError as error:
            ran.error = error
        ran.asked = [query for path, query in source.asked if CHART in path and "period1" in query]
        return ran


def fetched(
    body: Body,
    symbol: str,
    timeframe: str,
    start: date | None = None,
    end: date | None = None,
    now: datetime = NOW,
) -> Page:
    with yahoo(always(body)) as source:
        return fetch(YahooProvider(source.url, now=lambda: now), symbol, timeframe, start, end)


def always(body: Any) -> Chart:
    return lambda query: Answer.of(body)


WHOLE = Answer.of(autumn())


BODIES = MADE_CHARTS | recorded_charts()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_every_answer_gives_right_bars_or_says_plainly_why_not(body: Body) -> None:
    result = body["chart"]["result"][0]
    timeframe = result["meta"]["dataGranularity"]
    start = None if timeframe == "1d" else NOW.date() - timedelta(days=5)

    ran = run(always(body), result["meta"]["symbol"], timeframe, start)

    if ran.error is None:
        (page,) = ran.pages
        assert len(check_bars(page.frame)) == len(result["timestamp"])
        assert page.frame["close"].to_list() == pytest.approx(result["indicators"]["adjclose"][0]["adjclose"])
    elif result["indicators"]["quote"] != [{}]:
        assert "cannot be read: it has no 'timestamp'" in ran.error.detail
    else:
        assert isinstance(ran.error, NoBars)
        assert "timestamp" not in result


@every_autumn
def test_us_daily_bars_stand_at_midnight_utc_of_their_session(autumn: Callable[[], Body]) -> None:
    page = fetched(autumn(), "AAPL", "1d", date(2020, 8, 31), date(2020, 11, 5))

    stamps = page.frame["timestamp"]
    assert len(stamps) == 48
    assert (stamps[0], stamps[-1]) == (datetime(2020, 8, 31, tzinfo=UTC), datetime(2020, 11, 5, tzinfo=UTC))
    assert (page.provider, page.note) == ("yahoo", "prices adjusted for splits and dividends")


@every_autumn
def test_the_end_is_asked_for_inclusively_and_prices_are_adjusted(autumn: Callable[[], Body]) -> None:
    body = autumn()

    ran = run(always(body), "AAPL", "1d", date(2020, 8, 31), date(2020, 11, 6))

    assert datetime.fromtimestamp(int(ran.asked[-1]["period2"]), UTC) == datetime(2020, 11, 7, 5, tzinfo=UTC)
    indicators = body["chart"]["result"][0]["indicators"]
    ratio = indicators["adjclose"][0]["adjclose"][0] / indicators["quote"][0]["close"][0]
    assert ran.pages[0].frame["open"][0] == pytest.approx(indicators["quote"][0]["open"][0] * ratio)


@every_autumn
@pytest.mark.parametrize(
    ("now", "rows"),
    [(datetime(2020, 11, 6, 20, 59, tzinfo=UTC), 48), (datetime(2020, 11, 6, 21, 0, tzinfo=UTC), 49)],
    ids=["a minute before the close", "at the close"],
)
def test_the_daily_bar_of_a_session_that_is_still_open_is_left_out(
    autumn: Callable[[], Body], now: datetime, rows: int
) -> None:
    body = autumn()
    meta = body["chart"]["result"][0]["meta"]
    closing = int(datetime(2020, 11, 6, 21, 0, tzinfo=UTC).timestamp())
    meta["gmtoffset"] = -18000
    meta["currentTradingPeriod"]["regular"] |= {"start": closing - 23400, "end": closing, "gmtoffset": -18000}

    page = fetched(body, "AAPL", "1d", date(2020, 8, 31), date(2020, 11, 6), now)

    assert len(page.frame) == rows


def test_intraday_bars_stand_at_their_opening_and_the_open_one_is_left_out() -> None:
    opening = int(datetime(2025, 2, 3, 14, 30, tzinfo=UTC).timestamp())
    body = chart(SHARE, [opening, opening + 3600, opening + 7200], "1h")
    result = body["chart"]["result"][0]
    quote = {"open": [10.0, 11.0, 12.0], "high": [12.0, 12.0, 14.0], "low": [9.0, 10.0, 11.0]}
    result["indicators"] = {"quote": [{**quote, "close": [12.5, None, 13.0], "volume": [1, 2, 3]}]}

    now = datetime(2025, 2, 3, 17, 29, tzinfo=UTC)
    page = fetched(body, "AAPL", "1h", date(2025, 2, 3), date(2025, 2, 3), now)

    assert page.frame["timestamp"].to_list() == [datetime(2025, 2, 3, 14, 30, tzinfo=UTC)]
    assert "1 bar without prices left out" in page.note
    assert "high or low widened to hold open and close in 1 bar" in page.note


def test_a_long_range_of_minutes_comes_in_pages_that_yahoo_answers() -> None:
    ran = run(yahoo_minutes, "AAPL", "1m", date(2025, 12, 5), date(2025, 12, 28))

    assert [len(page.frame) for page in ran.pages] == [70, 70, 70, 30]
    assert all(int(query["period2"]) - int(query["period1"]) <= 7 * 86_400 for query in ran.asked)
    assert ran.pages[-1].through == datetime(2025, 12, 29, tzinfo=UTC)


def test_what_came_before_a_failure_is_there_and_the_failing_page_was_asked_for_again() -> None:
    def failing_from_the_third(query: dict[str, str]) -> Answer:
        return yahoo_minutes(query) if int(query.get("period1", 0)) < 1_766_000_000 else Answer(b"oops", 500)

    ran = run(failing_from_the_third, "AAPL", "1m", date(2025, 12, 5))

    assert [len(page.frame) for page in ran.pages] == [70, 70]
    assert ran.error
    assert ran.error.detail == "yahoo fails for now: HTTP 500 (asked 4 times)"
    assert ran.pauses == [1.0, 2.0, 4.0]


def test_a_failure_that_passes_is_waited_out() -> None:
    answers = iter([Answer(b"Too Many Requests", 429)] * 6)

    ran = run(lambda query: next(answers, WHOLE))

    assert ran.error is None
    assert len(ran.pages[0].frame) == 49
    assert ran.pauses[0] == 5.0


def test_what_yahoo_no_longer_has_is_refused_before_it_is_asked() -> None:
    with pytest.raises(InputError, match=r"yahoo has 1m bars of the last 30 days only, from 2025-12-02; 2025-10-01"):
        run(lambda query: pytest.fail("yahoo was asked"), "AAPL", "1m", date(2025, 10, 1))
    with pytest.raises(InputError, match="yahoo has no 4h bars") as refused:
        run(lambda query: pytest.fail("yahoo was asked"), "AAPL", "4h")

    assert "1h, 1d, 1w" in refused.value.hint


def refusal(code: str, description: str, status: int) -> Answer:
    return Answer.of({"chart": {"result": None, "error": {"code": code, "description": description}}}, status)


@pytest.mark.parametrize(
    ("answer", "kind", "complaint"),
    [
        (refusal("Not Found", "No data found, symbol may be delisted", 404), ProviderError, "yahoo has no 1d bars of"),
        (refusal("Bad Request", "Data doesn't exist for startDate = 1", 400), NoBars, "yahoo has no closed 1d bars"),
        (Answer(b"Too Many Requests", 429), ProviderError, "yahoo refuses for now: too many requests (asked 4 times)"),
        (Answer(b"<html>oops", 500, "text/html"), ProviderError, "yahoo fails for now: HTTP 500"),
        (refusal("Internal", "Internal", 502), ProviderError, "yahoo fails for now: HTTP 502"),
        (HTML, ProviderError, "cannot be read: it is no JSON: '<!doctype html>"),
        (Answer(b""), ProviderError, "cannot be read: it is empty"),
        (Answer.of({}), ProviderError, "cannot be read: it tells nothing of the symbol"),
        (Answer(WHOLE.body, cut=500), ProviderUnreachable, "500 bytes missing"),
        (Answer(WHOLE.body[:3000]), ProviderError, "cannot be read: it is no JSON"),
        (Answer(WHOLE.body, slow_s=0.6), ProviderUnreachable, "timed out"),
        (Answer.of({"chart": {"result": [{"meta": {}}]}}), ProviderError, "cannot be read"),
    ],
    ids=["404", "no data", "429", "500", "502", "HTML", "empty", "{}", "cut off", "half", "slow", "no meta"],
)
def test_refusals_and_rubbish_become_errors_of_the_provider(
    answer: Answer, kind: type[ProviderError], complaint: str
) -> None:
    ran = run(lambda query: answer)

    assert type(ran.error) is kind
    assert complaint in ran.error.detail
    assert ran.error.hint


def test_a_failed_answer_is_not_remembered() -> None:
    assert run(lambda query: Answer(b"<html>oops", 500)).error

    assert len(run(lambda query: WHOLE).pages[0].frame) == 49


def test_nobody_there_is_called_unreachable() -> None:
    pauses: list[float] = []

    with pytest.raises(ProviderUnreachable, match="yahoo cannot be reached"):
        list(YahooProvider("http://127.0.0.1:1").pages("AAPL", "1d", None, None, pauses.append))
