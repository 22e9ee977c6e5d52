"""Loads that ask for what is missing alone, keep what came, and notice when prices were adjusted anew."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ktrdr.errors import InputError, NoBars, ProviderError
from ktrdr.market.bars import PRICES, SCHEMA, check_range, range_filter
from ktrdr.market.fetched_ranges import read_answered
from ktrdr.market.loading import OVERLAP_BARS, Loaded, Stopped, Wanted, load
from ktrdr.market.provider import Capabilities, Page, Pages, Wait, check_able
from ktrdr.market.store import BarStore
from ktrdr.timeframe import Timeframe

NOW = datetime(2024, 6, 14, 21, 0, tzinfo=UTC)  # a Friday, after the close
ROOT = Path(__file__).parents[2]


def weekdays(first: date, last: date) -> pl.DataFrame:
    days = pl.date_range(first, last, "1d", eager=True)
    stamps = days.filter(days.dt.weekday() <= 5).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("timestamp")
    prices = {name: pl.Series([100.0 + number for number in range(len(stamps))]) for name in PRICES}
    return pl.DataFrame({"timestamp": stamps, **prices, "volume": [1e6] * len(stamps)}, schema=SCHEMA)


@dataclass
class Market:
    """A provider of so many rows a page, that notes what it is asked for, and fails or stops where it is told to."""

    bars: pl.DataFrame
    name: str = "market"
    readjusts: bool = False
    whole: bool = False
    history: dict[Timeframe, timedelta] = field(default_factory=dict)
    rows_a_page: int = 10_000
    fails_at: int | None = None
    before_page: Callable[[int], None] = lambda page: None
    asked: list[tuple[date | None, date | None]] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            self.name, tuple(Timeframe), "splits", "any", self.history, self.readjusts, whole=self.whole
        )

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        check_able(self.capabilities, timeframe, start, end, NOW)
        self.asked.append((start, end))
        since, until = check_range(start, end)
        found = self.bars if self.whole else self.bars.filter(range_filter(since, min(until or NOW, NOW)))
        if found.is_empty():
            raise NoBars("the market has nothing there")
        for number, offset in enumerate(range(0, len(found), self.rows_a_page)):
            self.before_page(number)
            if number == self.fails_at:
                raise ProviderError("the market broke")
            page = found[offset : offset + self.rows_a_page]
            is_last = offset + self.rows_a_page >= len(found)
            through = (until or NOW) if is_last else page["timestamp"][-1].astimezone(UTC) + Timeframe(timeframe).length
            yield Page(page, self.name, min(through, NOW), "")

    def asked_days(self) -> list[tuple[str, str]]:
        return [(f"{since:%m-%d}" if since else "", f"{until:%m-%d}" if until else "") for since, until in self.asked]


@dataclass
class Watching:
    stops_after: int | None = None
    shares: list[float] = field(default_factory=list)

    def on_page(self, page: Page, rows: int, share: float) -> None:
        self.shares.append(share)

    def on_storing(self, rows: int) -> None: ...

    def stop_requested(self) -> bool:
        return self.stops_after is not None and len(self.shares) >= self.stops_after

    def wait(self, seconds: float) -> None:
        if self.stop_requested():
            raise Stopped


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "bars")


def bring(
    store: BarStore,
    market: Market,
    start: date | None = None,
    end: date | None = None,
    *,
    watching: Watching | None = None,
    now: datetime = NOW,
    replaces: bool = False,
    clips: bool = False,
    timeframe: Timeframe = Timeframe.DAY,
    calendar: str = "",
) -> Loaded:
    wanted = Wanted("AAPL", timeframe, start, end, replaces=replaces, clips=clips, calendar=calendar)
    return load(store, market, wanted, watching or Watching(), now)


YEAR = weekdays(date(2024, 1, 1), date(2024, 6, 14))


def test_only_the_missing_head_and_tail_are_asked_for(store: BarStore) -> None:
    market = Market(YEAR)
    bring(store, market, date(2024, 3, 1), date(2024, 3, 29))

    loaded = bring(store, market, date(2024, 2, 1), date(2024, 4, 30))

    assert market.asked_days() == [("03-01", "03-29"), ("02-01", "02-29"), ("03-30", "04-30")]
    assert (loaded.rows_new, loaded.rows_changed, len(store.read("AAPL", "1d"))) == (43, 0, 64)


def test_what_is_there_is_not_asked_for_again(store: BarStore) -> None:
    market = Market(YEAR)
    bring(store, market, date(2024, 3, 4), date(2024, 3, 28))

    # A weekend in front, Good Friday and a weekend behind: the market has no bars there.
    loaded = bring(store, market, date(2024, 3, 2), date(2024, 3, 31))

    assert len(market.asked) == 1
    assert loaded.asked == []
    assert loaded.note == "AAPL 1d lacks nothing in that range"


def test_a_hole_is_asked_for_once_and_not_again_when_the_provider_has_nothing_there(store: BarStore) -> None:
    hole = pl.col("timestamp").dt.date().is_between(date(2024, 1, 8), date(2024, 1, 19))
    store.merge("AAPL", "1d", YEAR.filter(~hole), "market")
    market = Market(YEAR.filter(~hole))

    first = bring(store, market, date(2024, 1, 2), date(2024, 6, 13))
    second = bring(store, market, date(2024, 1, 2), date(2024, 6, 13))

    assert market.asked_days() == [("01-06", "01-21")]
    assert (first.rows_new, second.asked) == (0, [])


def test_a_hole_that_the_provider_can_fill_is_filled(store: BarStore) -> None:
    hole = pl.col("timestamp").dt.date().is_between(date(2024, 1, 8), date(2024, 1, 19))
    store.merge("AAPL", "1d", YEAR.filter(~hole), "market")

    loaded = bring(store, Market(YEAR), date(2024, 1, 2), date(2024, 6, 13))

    assert loaded.rows_new == 10
    assert store.read("AAPL", "1d").equals(YEAR)


def test_bars_of_the_newest_days_that_are_not_there_yet_are_asked_for_again(store: BarStore) -> None:
    late = Market(YEAR.filter(pl.col("timestamp") < datetime(2024, 6, 14, tzinfo=UTC)))
    bring(store, late, date(2024, 6, 3))

    loaded = bring(store, Market(YEAR), date(2024, 6, 3))

    assert loaded.rows_new == 1
    assert loaded.asked == [(datetime(2024, 6, 14, tzinfo=UTC), NOW)]


def test_before_the_close_todays_bar_is_not_asked_for(store: BarStore) -> None:
    market = Market(YEAR.filter(pl.col("timestamp") < datetime(2024, 6, 14, tzinfo=UTC)))
    bring(store, market, date(2024, 6, 3))

    bring(store, market, date(2024, 6, 3), now=NOW - timedelta(hours=6))

    assert len(market.asked) == 1


def test_bars_of_a_file_that_have_not_closed_yet_are_left_out(store: BarStore) -> None:
    whole = weekdays(date(2024, 6, 3), date(2024, 6, 21))

    loaded = bring(store, Market(whole, name="csv", whole=True))

    assert store.info("AAPL", "1d").last == datetime(2024, 6, 13, tzinfo=UTC)
    assert "left out because not closed yet: 6 bars from 2024-06-14 00:00 on" in loaded.note
    with pytest.raises(InputError, match="5 bars from 2099-06-01 00:00 on have not closed yet"):
        bring(store, Market(weekdays(date(2099, 6, 1), date(2099, 6, 5)), name="csv", whole=True))


def test_a_failing_page_keeps_those_before_it_and_the_rest_is_asked_for_the_next_time(store: BarStore) -> None:
    loaded = bring(store, Market(YEAR, rows_a_page=20, fails_at=2), date(2024, 1, 1), date(2024, 6, 13))
    assert (str(loaded.failure), loaded.rows_new, loaded.pages) == ("the market broke", 40, 2)

    market = Market(YEAR)
    resumed = bring(store, market, date(2024, 1, 1), date(2024, 6, 13))

    assert market.asked_days() == [("02-24", "06-13")]
    assert resumed.rows_new == len(YEAR) - 41
    assert store.read("AAPL", "1d").equals(YEAR[:-1])


def test_a_stop_keeps_what_came(store: BarStore) -> None:
    watching = Watching(stops_after=3)

    loaded = bring(store, Market(YEAR, rows_a_page=20), date(2024, 1, 1), date(2024, 6, 13), watching=watching)

    assert (loaded.was_stopped, loaded.rows_new, len(store.read("AAPL", "1d"))) == (True, 60, 60)
    assert watching.shares == sorted(watching.shares)
    assert 0.4 < watching.shares[-1] < 0.6


def test_a_replacement_that_does_not_come_whole_leaves_the_series_as_it_was(store: BarStore) -> None:
    bring(store, Market(YEAR))

    loaded = bring(store, Market(YEAR[:50], rows_a_page=20, fails_at=1), replaces=True)

    assert loaded.failure
    assert "the stored bars are as they were" in loaded.note
    assert store.read("AAPL", "1d").equals(YEAR)
    assert bring(store, Market(YEAR[:50]), replaces=True).failure is None
    assert store.read("AAPL", "1d").equals(YEAR[:50])


def test_nothing_at_all_is_an_error(store: BarStore) -> None:
    with pytest.raises(NoBars):
        bring(store, Market(YEAR), date(2023, 1, 1), date(2023, 2, 1))
    with pytest.raises(ProviderError, match="the market broke"):
        bring(store, Market(YEAR, fails_at=0))
    with pytest.raises(InputError, match="2025-01-01 lies in the future"):
        bring(store, Market(YEAR), date(2025, 1, 1))


def adjusted(frame: pl.DataFrame, factor: float) -> pl.DataFrame:
    return frame.with_columns(pl.col(PRICES) * factor)


def test_an_overlap_that_agrees_is_merged(store: BarStore) -> None:
    bring(store, Market(YEAR, readjusts=True), date(2024, 1, 1), date(2024, 4, 30))
    market = Market(adjusted(YEAR, 1 + 1e-7), readjusts=True)

    loaded = bring(store, market, date(2024, 1, 1), date(2024, 6, 13))

    since, _ = market.asked[0]
    assert since == store.read("AAPL", "1d", end=date(2024, 4, 30))["timestamp"][-OVERLAP_BARS]
    assert (len(market.asked), loaded.rows_new) == (1, 32)


def test_prices_that_were_adjusted_anew_reload_the_whole_series(store: BarStore) -> None:
    bring(store, Market(YEAR, readjusts=True), date(2024, 1, 1), date(2024, 4, 30))
    market = Market(adjusted(YEAR, 0.9934), readjusts=True)

    loaded = bring(store, market, date(2024, 4, 1), date(2024, 6, 13))

    assert "adjusted its prices anew, by a factor of 0.9934" in loaded.note
    assert len(market.asked) == 2
    assert store.read("AAPL", "1d").equals(adjusted(YEAR, 0.9934)[:-1])


def test_single_prices_that_differ_are_no_new_adjustment(store: BarStore) -> None:
    bring(store, Market(YEAR, readjusts=True), date(2024, 1, 1), date(2024, 4, 30))
    revised = YEAR.with_columns(
        close=pl.when(pl.col("timestamp").dt.date() == date(2024, 4, 30)).then(pl.col("open")).otherwise("close") * 1.0,
        high=pl.col("high") + 0.5,
    )

    loaded = bring(store, Market(revised, readjusts=True), date(2024, 1, 1), date(2024, 6, 13))

    assert (loaded.rows_new, loaded.rows_changed) == (32, OVERLAP_BARS)


def test_old_bars_that_cannot_be_had_again_are_not_glued_to_adjusted_ones(store: BarStore) -> None:
    bring(store, Market(YEAR, readjusts=True), date(2024, 1, 1), date(2024, 4, 30))
    split = Market(adjusted(YEAR, 0.25), readjusts=True, history={Timeframe.DAY: timedelta(days=90)})

    loaded = bring(store, split, date(2024, 4, 1), date(2024, 6, 13))

    assert loaded.failure
    assert "--replace" in loaded.failure.hint
    assert store.read("AAPL", "1d").equals(YEAR[:87])


def test_what_is_older_than_the_provider_has_is_refused_or_clipped(store: BarStore) -> None:
    market = Market(YEAR, history={Timeframe.DAY: timedelta(days=60)})

    with pytest.raises(InputError, match="market has 1d bars of the last 60 days only, from 2024-04-15"):
        bring(store, market, date(2024, 1, 1))
    loaded = bring(store, market, date(2024, 1, 1), clips=True)

    assert loaded.failure is None
    assert store.read("AAPL", "1d")["timestamp"][0] == datetime(2024, 4, 16, tzinfo=UTC)


def test_a_record_that_is_not_of_these_bars_counts_for_nothing(store: BarStore) -> None:
    bring(store, Market(YEAR))
    assert read_answered(store.root, store.info("AAPL", "1d"))

    store.merge("AAPL", "1d", YEAR[:20], "market", replace=True)

    assert read_answered(store.root, store.info("AAPL", "1d")) == []


LOADS = """
import sys
from datetime import date
from pathlib import Path
from ktrdr.market.loading import Wanted, load
from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.market.store import BarStore
from ktrdr.timeframe import Timeframe
class Silent:
    def on_page(self, page, rows, share): ...
    def on_storing(self, rows): ...
    def stop_requested(self): return False
    def wait(self, seconds): ...
store, year = BarStore(Path(sys.argv[1])), int(sys.argv[2])
for month in range(1, 13, 3):
    load(store, SyntheticProvider(), Wanted("X", Timeframe.DAY, date(year, month, 1), date(year, month, 28)), Silent())
"""


@pytest.mark.processes
def test_loads_of_one_series_by_several_processes_lose_nothing(store: BarStore) -> None:
    years = range(2019, 2023)
    loading = [subprocess.Popen([sys.executable, "-c", LOADS, str(store.root), str(year)], cwd=ROOT) for year in years]

    assert [process.wait(timeout=120) for process in loading] == [0] * len(years)

    stored = store.read("X", "1d")
    whole = [date(year, month, 1) for year in years for month in range(1, 13, 3)]
    expected = sum((first + timedelta(days=day)).weekday() < 5 for first in whole for day in range(28))
    assert len(stored) == expected


def test_only_a_load_that_succeeds_names_the_calendar(store: BarStore) -> None:
    market = Market(YEAR, rows_a_page=20)
    bring(store, Market(YEAR, rows_a_page=20, fails_at=2), calendar="XLON")
    bring(store, market, watching=Watching(stops_after=1), calendar="XLON")
    assert store.calendar("AAPL") is None

    loaded = bring(store, market, calendar="XLON")

    assert store.calendar("AAPL") == "XLON"
    assert "the calendar of AAPL is XLON from now on" in loaded.note
    bring(store, market)
    assert store.calendar("AAPL") == "XLON"
    bring(store, market, calendar="guess")
    assert store.calendar("AAPL") is None


def test_what_is_missing_goes_by_the_calendar_that_the_load_names(store: BarStore) -> None:
    bring(store, Market(YEAR), date(2024, 1, 1), date(2024, 4, 30))
    path, market = store.root / "AAPL" / ".1d.answered.json", Market(YEAR)
    path.unlink()

    bring(store, market, date(2024, 1, 1), date(2024, 4, 30), calendar="24/7")

    assert market.asked_days() == [("01-06", "04-28")]  # from the first weekend to the last
