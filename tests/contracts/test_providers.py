"""What every source of bars must do, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from ktrdr.errors import InputError
from ktrdr.market.bars import SCHEMA, check_bars
from ktrdr.market.provider import Page, Provider
from ktrdr.market.provider import fetch as fetch_all
from ktrdr.market.providers import PROVIDERS, Sources
from ktrdr.market.providers.auto import AutoProvider
from ktrdr.market.providers.ccxt import CcxtProvider
from ktrdr.market.providers.csv import FileProvider
from ktrdr.market.providers.ib import IbProvider
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.market.providers.yahoo import YahooProvider
from ktrdr.market.store import BarStore

START, END = date(2023, 1, 3), date(2023, 12, 29)


def csv_file(folder: Path) -> Provider:
    frame = fetch_all(SyntheticProvider(), "AAPL", "1d").frame
    frame.write_csv(folder / "aapl.csv")
    return FileProvider(folder / "aapl.csv")


def parquet_file(folder: Path) -> Provider:
    frame = fetch_all(SyntheticProvider(), "AAPL", "1d").frame
    frame.write_parquet(folder / "aapl.parquet")
    return FileProvider(folder / "aapl.parquet")


OFFLINE: dict[str, Callable[[Path], Provider]] = {
    "sample": lambda folder: SampleProvider(),
    "synthetic": lambda folder: SyntheticProvider(),
    "auto, reached": lambda folder: AutoProvider(first=SyntheticProvider(), first_is_reachable=lambda: True),
    "auto, not reached": lambda folder: AutoProvider(first_is_reachable=lambda: False),
    "csv file": csv_file,
    "parquet file": parquet_file,
}
ALL: dict[str, Callable[[Path], Provider]] = {
    **OFFLINE,
    "yahoo": lambda folder: YahooProvider(),
    "ccxt": lambda folder: CcxtProvider("binance"),
    "ib": lambda folder: IbProvider(port=1),
}


@pytest.fixture(params=OFFLINE)
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Provider:
    return OFFLINE[request.param](tmp_path)


@pytest.fixture(params=ALL)
def refusing(request: pytest.FixtureRequest, tmp_path: Path) -> Provider:
    return ALL[request.param](tmp_path)


def fetch(provider: Provider, start: date | None = START, end: date | None = END) -> Page:
    return fetch_all(provider, "aapl", "1D", start, end)


def test_bars_are_checked_and_both_dates_are_inclusive(provider: Provider) -> None:
    frame = check_bars(fetch(provider).frame)

    assert frame.schema == pl.Schema(SCHEMA)
    assert frame["timestamp"][0] == datetime(2023, 1, 3, tzinfo=UTC)
    assert frame["timestamp"][-1] == datetime(2023, 12, 29, tzinfo=UTC)


def test_without_dates_it_serves_all_it_has(provider: Provider) -> None:
    everything = fetch(provider, None, None).frame

    assert everything.filter(pl.col("timestamp").dt.date().is_between(START, END)).equals(fetch(provider).frame)
    assert len(everything) > 1000


def test_the_server_is_named_and_the_reader_told(provider: Provider) -> None:
    fetched = fetch(provider)

    assert fetched.provider in {"sample", "synthetic", "csv", "parquet"}
    assert fetched.note


def test_pages_come_in_order_and_the_last_one_reaches_the_end(provider: Provider) -> None:
    pages = list(provider.pages("AAPL", "1d", START, END))

    stamps = [stamp for page in pages for stamp in page.frame["timestamp"]]
    assert stamps == sorted(set(stamps))
    assert pages[-1].through == datetime(2023, 12, 30, tzinfo=UTC)


def test_what_it_can_do_is_declared(refusing: Provider) -> None:
    able = refusing.capabilities

    assert "1d" in able.timeframes
    assert able.history.keys() <= set(able.timeframes)
    assert able.symbols


def test_overlapping_loads_into_a_store_agree(provider: Provider, tmp_path: Path) -> None:
    store = BarStore(tmp_path / "bars")
    store.merge("AAPL", "1d", fetch(provider, START, date(2023, 8, 1)).frame, provider.name)

    report = store.merge("AAPL", "1d", fetch(provider, date(2023, 6, 1), END).frame, provider.name)

    assert report.rows_changed == 0
    assert store.read("AAPL", "1d").equals(fetch(provider).frame)


def test_what_cannot_be_right_is_refused_before_anything_is_asked(refusing: Provider) -> None:
    for symbol, timeframe, start, end in (
        ("../../x", "1d", None, None),
        ("AAPL", "soon", None, None),
        ("AAPL", "1d", END, START),
    ):
        with pytest.raises(InputError):
            fetch_all(refusing, symbol, timeframe, start, end)


def test_the_sample_has_the_closes_that_other_sources_have() -> None:
    frame = fetch(SampleProvider()).frame
    closes = dict(zip(frame["timestamp"].dt.date(), frame["close"], strict=True))

    assert closes[date(2023, 1, 3)] == 125.07
    assert closes[date(2023, 6, 30)] == 193.97
    assert closes[date(2023, 12, 29)] == 192.53


def test_every_provider_goes_by_its_own_name() -> None:
    assert {name: create(Sources()).name for name, create in PROVIDERS.items()} == {name: name for name in PROVIDERS}


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d", "1w"])
def test_synthetic_bars_repeat_and_stand_on_weekdays(timeframe: str) -> None:
    whole = fetch_all(SyntheticProvider(seed=3), "X", timeframe, date(2020, 1, 1), date(2020, 12, 31))
    part = fetch_all(SyntheticProvider(seed=3), "X", timeframe, date(2020, 3, 1), date(2020, 6, 30))
    other = fetch_all(SyntheticProvider(seed=4), "X", timeframe, date(2020, 1, 1), date(2020, 12, 31))

    stamps = part.frame["timestamp"]
    assert whole.frame.filter(pl.col("timestamp").is_between(stamps[0], stamps[-1])).equals(part.frame)
    assert not whole.frame["close"].equals(other.frame["close"])
    assert whole.frame["timestamp"].dt.weekday().max() <= 5  # type: ignore[operator]
    assert "made-up" in whole.note
