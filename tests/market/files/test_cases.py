"""Files from public bug reports, where they are at hand: each gives the right bars, or an error with the way out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ktrdr.errors import InputError
from ktrdr.market.provider import Page, fetch
from ktrdr.market.providers.csv import FileProvider
from ktrdr.payloads.files import FileReading

FOLDER = Path(__file__).parents[4] / "shared" / "cases" / "data"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the collected files are not there")


@dataclass(frozen=True)
class Right:
    """timeframe; how many bars; where they begin and end; the first one's open and volume; what the note says"""

    timeframe: str
    rows: int
    first: str
    last: str
    open: float = 42000.0
    volume: float = 4634.0
    note: str = ""
    reading: dict[str, Any] = field(default_factory=dict)
    symbol: str = "ACME"


@dataclass(frozen=True)
class Refused:
    timeframe: str
    detail: str
    hint: str
    reading: dict[str, Any] = field(default_factory=dict)
    symbol: str = "ACME"


def eight_days(note: str = "", volume: float = 4634.0, **reading: Any) -> Right:
    return Right("1d", 8, "2024-01-02 00:00", "2024-01-11 00:00", note=note, volume=volume, reading=reading)


def a_day_of_hours(note: str = "", **reading: Any) -> Right:
    return Right("1h", 24, "2024-01-02 00:00", "2024-01-02 23:00", note=note, reading=reading)


RIGHT = {
    "alphavantage-1d-newest-first": eight_days("newest first, turned round"),
    "barchart-1d-footer": eight_days("1 line below the table left out"),
    "comment-lines-on-top-1d": eight_days(),
    "excel-serial-dates-1d": Right(
        "1d",
        8,
        "2024-01-02 00:00",
        "2024-01-09 00:00",
        note="serial dates of Excel",
        reading={"date_format": "excel"},
    ),
    "investing-com-1d": eight_days("times as month/day/year", 4630.0),
    "metatrader-script-utf16-1d": eight_days("UTF-16"),
    "nasdaq-com-1d": eight_days("close from Close/Last"),
    "pandas-to_csv-unnamed-index-1d": eight_days(),
    "rows-with-trailing-comma-1d": eight_days(),
    "second-header-row-with-units-1d": eight_days(),
    "semicolon-decimal-comma-iso-dates-1d": eight_days("decimal comma"),
    "stooq-bulk-d": eight_days(),
    "thousands-separators-quoted-1d": eight_days("thousands by ','", 4_634_000.0),
    "volume-with-dot-thousands-1d": eight_days("thousands by '.'", thousands="."),
    "yfinance-download-multilevel-header-1d": Right(
        "1d", 8, "2024-01-02 00:00", "2024-01-11 00:00", open=190.0, volume=6293.0
    ),
    "dukascopy-h1": a_day_of_hours("times as day.month.year"),
    "excel-unpadded-hours-1h": a_day_of_hours(),
    "metatrader4-h1-no-header": a_day_of_hours("no header"),
    "metatrader5-h1-tabs": a_day_of_hours("volume from <TICKVOL>, because <VOL> is 0 throughout"),
    "postgres-copy-utc-plus00-1h": a_day_of_hours(),
    "tradingview-fx-1h-no-volume": Right(
        "1h", 24, "2024-01-01 22:00", "2024-01-02 21:00", volume=0.0, note="there is no volume in the file: it is 0"
    ),
    "binance-vision-spot-1h-no-header": Right(
        "1h", 24, "2024-12-31 00:00", "2024-12-31 23:00", 95000.0, 6653.0, "no header"
    ),
    "binance-1h-ms-until-2024-us-from-2025": Right(
        "1h",
        48,
        "2024-12-31 00:00",
        "2025-01-01 23:00",
        95000.0,
        6653.0,
        reading={"columns": {"timestamp": "open_time"}},
    ),
    "kaggle-btc-1m-epoch-float": Right("1m", 30, "2024-01-01 00:00", "2024-01-01 00:29", volume=4.634),
    "clock-goes-back-5m-one-bar-missing-in-the-first-hour": Right(
        "5m", 71, "2024-11-03 03:00", "2024-11-03 08:55", 101.0, 10.0, reading={"timezone": "America/New_York"}
    ),
    "yyyymmddhhmm-numbers-1m": Right("1m", 20, "2024-01-02 09:30", "2024-01-02 09:49"),
    "akshare-600519-30m-stamped-at-close": Right(
        "30m",
        72,
        "2024-01-02 01:30",
        "2024-01-12 06:30",
        10.0,
        5633.0,
        "moved to the opening",
        {"timezone": "Asia/Shanghai", "stamp": "close"},
        "600519.SS",
    ),
    "long-format-two-symbols-similar-prices-1d": Right(
        "1d", 60, "2024-01-02 00:00", "2024-03-25 00:00", 100.0, 2429.0, reading={"only": "ACME"}
    ),
    "old-yahoo-null-row-1d": Right(
        "1d",
        7,
        "2024-01-02 00:00",
        "2024-01-11 00:00",
        note="1 bar without prices left out",
        reading={"bad_rows": "drop"},
    ),
    "kaggle-old-rows-open-zero-1d": Right(
        "1d",
        5,
        "2024-01-05 00:00",
        "2024-01-11 00:00",
        41919.27,
        2737.0,
        "3 bars with a price of zero or below left out",
        {"bad_rows": "drop"},
    ),
    "crude-oil-negative-price-1d": Right(
        "1d",
        2,
        "2020-04-17 00:00",
        "2020-04-22 00:00",
        19.9,
        100.0,
        "2 bars with a price of zero",
        {"bad_rows": "drop"},
    ),
    "utc8-exchange-1d-epoch-ms-opens-16h-utc": Right(
        "1d",
        58,
        "2021-01-02 00:00",
        "2021-02-28 00:00",
        14630.98,
        11193.16493492,
        reading={"columns": {"timestamp": "open_ms"}, "timezone": "Asia/Hong_Kong"},
        symbol="BTC-USDT",
    ),
    "oanda-eurusd-1d-2200z-day-before": Right("1d", 8, "2024-01-08 00:00", "2024-01-17 00:00", 420.0, symbol="EURUSD"),
    "shib-1d-tiny-prices": Right("1d", 40, "2024-01-01 00:00", "2024-02-09 00:00", 0.0000123, 8172000000.0),
}

REFUSED = {
    "volume-with-dot-thousands-1d": Refused("1d", "volume '4.634' may be 4634 or 4.634", "--thousands ."),
    "excel-serial-dates-1d": Refused("1d", "line 2, '45293,.*not a time", "--date-format excel"),
    "long-format-two-symbols-similar-prices-1d": Refused("1d", "column symbol holds ACME and ZETA", "--only ACME"),
    "alpaca-two-symbols-1d": Refused("1d", "column symbol holds ACME and ZETA", "--only ACME"),
    "daily-bars-for-import-as-1m": Refused("1m", "line 2, .*dates without a time of day.* no 1m bars", "as 1d"),
    "hourly-then-5-minute-bars-as-1h": Refused("1h", "bars 0:05:00 or so after the one before", "as 5m"),
    "crude-oil-negative-price-1d": Refused("1d", "line 4, .*open is zero or negative; line 3, ", "--bad-rows drop"),
    "kaggle-old-rows-open-zero-1d": Refused(
        "1d", "line 2, .*open is zero or negative, low is above .* \\(3 such", "--bad-rows drop"
    ),
    "old-yahoo-null-row-1d": Refused("1d", "line 5, '2024-01-05,null,.*open is missing", "--bad-rows drop"),
}


def imported(name: str, case: Right | Refused) -> Page:
    provider = FileProvider(FOLDER / f"{name}.csv", reading=FileReading(**case.reading))
    return fetch(provider, case.symbol, case.timeframe)


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_gives_the_right_bars(name: str) -> None:
    right = RIGHT[name]

    page = imported(name, right)

    stamps = page.frame["timestamp"].dt.strftime("%Y-%m-%d %H:%M").to_list()
    assert (len(stamps), stamps[0], stamps[-1]) == (right.rows, right.first, right.last)
    assert page.frame.select("open", "volume").row(0) == (right.open, right.volume)
    assert right.note in page.note


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_certain_is_refused_with_the_way_out(name: str) -> None:
    case = REFUSED[name]

    with pytest.raises(InputError, match=case.detail) as refused:
        imported(name, case)

    assert case.hint in refused.value.hint


def test_bars_stamped_at_their_close_are_recognised_by_the_sessions() -> None:
    name = "akshare-600519-30m-stamped-at-close"
    case = Right("30m", 72, "", "", reading={"timezone": "Asia/Shanghai"}, symbol="600519.SS")

    assert "stamped at their close: 9 days of XSHG have one at 11:30" in imported(name, case).note
