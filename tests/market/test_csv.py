from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ktrdr.errors import BarsError, InputError
from ktrdr.market.provider import Page, fetch
from ktrdr.market.providers.csv import FileProvider
from ktrdr.payloads.files import FileReading
from tests.bars import Series, csv_of, every_source

GOOD = """Date,Open,High,Low,Close,Volume
2023-01-03,10,12,9,11,100
2023-01-04,11,13,10,12,200
2023-01-05,12,14,11,13,300
"""


def imported(
    folder: Path,
    content: str | bytes,
    name: str = "prices.csv",
    timeframe: str = "1d",
    start: date | None = None,
    **mapping: Any,
) -> Page:
    path = folder / "upload"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return fetch(FileProvider(path, name, FileReading(**mapping)), "AAPL", timeframe, start, None)


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    fetched = imported(tmp_path, GOOD)

    assert fetched.frame["close"].to_list() == [11.0, 12.0, 13.0]
    assert fetched.frame["timestamp"][0] == datetime(2023, 1, 3, tzinfo=UTC)
    assert (fetched.provider, fetched.note) == ("csv", "imported from prices.csv; read as: comma-separated")


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("10,", '"10",'),
    ],
    ids=["byte order mark", "Windows lines", "old Mac lines", "semicolons", "tabs", "quotes"],
)
def test_dialects_of_csv_mean_the_same(tmp_path: Path, content: str) -> None:
    assert imported(tmp_path, content).frame.equals(imported(tmp_path, GOOD).frame)


def test_a_parquet_file_is_read_whatever_its_types(tmp_path: Path) -> None:
    pl.read_csv(GOOD.encode(), try_parse_dates=True).write_parquet(tmp_path / "prices.parquet")

    fetched = fetch(FileProvider(tmp_path / "prices.parquet"), "AAPL", "1d", date(2023, 1, 4), None)

    assert fetched.frame.equals(imported(tmp_path, GOOD).frame[1:])
    assert fetched.provider == "parquet"


@every_source
@pytest.mark.parametrize("name", ["AAPL_1d", "SPY_1h", "AAPL_1m", "EURUSD_1h"])
def test_long_files_are_read_whole(name: str, series: Series, tmp_path: Path) -> None:
    path = csv_of(series, name, tmp_path)

    fetched = fetch(FileProvider(path), "X", name.partition("_")[2], None, None)

    assert fetched.frame.equals(series(name))


@pytest.mark.parametrize(
    ("content", "name", "complaint"),
    [
        ("", "prices.csv", "prices.csv is empty"),
        (" \n\n", "prices.csv", "prices.csv is empty"),
        ("Date,Open,High,Low,Close,Volume\n", "prices.csv", "there are no rows of data"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "prices.csv", "not UTF-8 text"),
        (b"a,b\0,c\n1,2,3\n", "prices.csv", "binary file"),
        ("\n<!DOCTYPE html><html><body>Sign in</body></html>", "prices.csv", "web page"),
        ('{"chart": []}', "prices.csv", "web page or JSON"),
        ("just some words\nand more words\n", "prices.csv", "no column timestamp, open, high, low, close"),
        ("Date,Close\n2023-01-03,11\n", "prices.csv", "no column open, high, low;"),
        (GOOD.replace("12,200", "12,200,7"), "prices.csv", "line 3, '2023-01-04,.*': more fields than the 6 columns"),
        (GOOD.replace("11,13,10,12,200", "11,13"), "prices.csv", "line 3, '2023-01-04,11,13': low is missing"),
        (GOOD.replace("12,200", "n/a,200"), "prices.csv", "line 3, '.*': close is missing or not a number"),
        (GOOD.replace("12,200", "twelve,200"), "prices.csv", "line 3, '.*': close 'twelve' is not a number"),
        (GOOD.replace("2023-01-04", "2023-13-04"), "prices.csv", "line 3, '.*': timestamp '2023-13-04' is not a time"),
        (GOOD.replace("12,14,11", "12,10,11"), "prices.csv", "line 4, '.*': high is below open, low or close"),
        (GOOD, "prices.parquet", "not a Parquet file"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "prices.parquet", "damaged"),
        (GOOD, "prices.xlsx", r"neither \.csv nor \.parquet"),
    ],
)
def test_files_that_cannot_be_right_are_refused_whole(
    tmp_path: Path, content: str | bytes, name: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as refused:
        imported(tmp_path, content, name)

    assert name in refused.value.detail
    assert refused.value.hint


def test_several_faults_are_told_in_one_go(tmp_path: Path) -> None:
    header, *rows = GOOD.splitlines()
    content = "\n".join([header, rows[0], rows[2], rows[1], rows[1], "2023-01-06,-5,14,-6,NaN,inf"])

    with pytest.raises(BarsError) as refused:
        imported(tmp_path, content)

    assert refused.value.detail.startswith("prices.csv, line 6, '2023-01-06,-5,14,-6,NaN,inf': close is missing")
    lines_by_message = {fault["message"]: fault["places"] for fault in refused.value.context["faults"]}
    assert lines_by_message == {
        "timestamp is earlier than the row before": [4],
        "timestamp was seen before": [5],
        "open is zero or negative": [6],
        "low is zero or negative": [6],
        "close is missing or not a number": [6],
        "volume is infinite": [6],
    }


def test_bars_of_a_shorter_timeframe_are_refused(tmp_path: Path) -> None:
    rows = [f"2023-01-03 14:{minute}:00,10,12,9,11,100" for minute in range(30, 40)]
    content = "\n".join(["timestamp,open,high,low,close,volume", *rows])

    with pytest.raises(InputError, match="bars 0:01:00 apart, which are not 1d bars") as refused:
        imported(tmp_path, content, timeframe="1d")

    assert refused.value.hint == "import such bars as 1m"


def test_a_stretch_of_shorter_bars_is_refused_by_its_rows(tmp_path: Path) -> None:
    stamps = [f"2023-01-03 {hour:02}:00:00" for hour in range(18)] + [f"2023-01-04 00:{5 * n:02}:00" for n in range(12)]
    content = "\n".join(["timestamp,open,high,low,close,volume", *(f"{stamp},10,12,9,11,100" for stamp in stamps)])

    with pytest.raises(
        BarsError, match=r"11 bars 0:05:00 or so after the one before \(row 20: 2023-01-04 00:05, "
    ) as refused:
        imported(tmp_path, content, timeframe="1h")

    assert refused.value.hint == "import such bars as 5m"


def test_bars_of_a_longer_timeframe_are_refused(tmp_path: Path) -> None:
    stamps = [f"2023-01-{day:02} 00:00" for day in range(2, 13)]
    content = "\n".join(["timestamp,open,high,low,close,volume", *(f"{stamp},10,12,9,11,100" for stamp in stamps)])

    with pytest.raises(BarsError, match=r"bars at least 1 day apart \(row 1: 2023-01-02 00:00, row 2: ") as refused:
        imported(tmp_path, content, timeframe="1m")

    assert refused.value.hint == "import such bars as 1d"


def test_two_bars_of_one_day_are_refused_by_their_rows(tmp_path: Path) -> None:
    content = GOOD + "2023-01-05,12,14,11,13,300\n"

    with pytest.raises(BarsError, match=r"line 5, '2023-01-05,.*': timestamp was seen before"):
        imported(tmp_path, content)


@pytest.mark.parametrize("time", ["T14:30:00Z", " 00:00:00+09:00", "T00:00-05:00"])
def test_daily_bars_are_filed_under_the_date_as_it_is_written(tmp_path: Path, time: str) -> None:
    header, *rows = GOOD.splitlines()
    content = "\n".join([header, *(row.replace(",", f"{time},", 1) for row in rows)])

    assert imported(tmp_path, content).frame.equals(imported(tmp_path, GOOD).frame)


def test_a_date_of_the_market_survives_parquet(tmp_path: Path) -> None:
    local = pl.read_csv(GOOD.encode(), try_parse_dates=True).with_columns(
        pl.col("Date").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Tokyo")
    )
    local.write_parquet(tmp_path / "prices.parquet")

    fetched = fetch(FileProvider(tmp_path / "prices.parquet"), "TM", "1d", None, None)

    assert fetched.frame.equals(imported(tmp_path, GOOD).frame)


def test_a_file_that_is_not_there_or_has_nothing_in_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read: No such file"):
        fetch(FileProvider(tmp_path / "none.csv"), "AAPL", "1d", None, None)
    with pytest.raises(InputError, match="no bar in 2024-01-01 to the end"):
        imported(tmp_path, GOOD, start=date(2024, 1, 1))


TICKS = """When,Last,Open,High,Low,Close,Vol
{0},11,10,12,9,1,100
{1},12,11,13,10,1,200
"""


def test_columns_and_a_time_zone_are_mapped(tmp_path: Path) -> None:
    content = TICKS.format("2023-01-03 09:30", "2023-01-03 09:35")

    fetched = imported(
        tmp_path, content, timeframe="5m", columns={"timestamp": "When", "close": "Last"}, timezone="America/New_York"
    )

    assert fetched.frame["close"].to_list() == [11.0, 12.0]
    assert fetched.frame["timestamp"][0] == datetime(2023, 1, 3, 14, 30, tzinfo=UTC)


def test_a_zone_of_its_own_outweighs_the_one_that_was_given(tmp_path: Path) -> None:
    content = TICKS.format("2023-01-03T09:30:00+01:00", "2023-01-03T09:35:00+01:00").replace("When", "Timestamp")

    fetched = imported(tmp_path, content, timeframe="5m", timezone="America/New_York", columns={"close": "Last"})

    assert fetched.frame["timestamp"][0] == datetime(2023, 1, 3, 8, 30, tzinfo=UTC)


def test_the_hour_that_comes_twice_is_taken_in_order(tmp_path: Path) -> None:
    hours = ["2023-10-29 01:00", "2023-10-29 02:00", "2023-10-29 02:00", "2023-10-29 03:00"]
    content = "date,open,high,low,close,volume\n" + "".join(f"{hour},1,1,1,1,1\n" for hour in hours)

    stamps = imported(tmp_path, content, timeframe="1h", timezone="Europe/Berlin").frame["timestamp"]

    assert [stamp.hour for stamp in stamps] == [23, 0, 1, 2]


def test_a_time_that_no_clock_there_showed_is_refused(tmp_path: Path) -> None:
    content = TICKS.format("2023-03-26 01:55", "2023-03-26 02:30").replace("When", "Timestamp")

    with pytest.raises(BarsError, match=r"line 3, '2023-03-26 02:30.*': this time does not exist in Europe/Berlin"):
        imported(tmp_path, content, timeframe="5m", timezone="Europe/Berlin", columns={"close": "Last"})


@pytest.mark.parametrize(
    ("mapping", "complaint", "hint"),
    [
        ({"columns": {"close": "last"}}, "no column 'last' to take close from", "did you mean 'Last'?"),
        ({"columns": {"clos": "Last"}}, "column 'clos' is not one of", "did you mean 'close'?"),
        ({"timezone": "America/NewYork"}, "is not a time zone", "did you mean 'America/New_York'?"),
    ],
)
def test_a_mapping_that_cannot_be_right_names_the_nearest(
    tmp_path: Path, mapping: dict[str, Any], complaint: str, hint: str
) -> None:
    content = TICKS.format("2023-01-03 09:30", "2023-01-03 09:35").replace("When", "Timestamp")

    with pytest.raises(InputError, match=complaint) as refused:
        imported(tmp_path, content, timeframe="5m", **mapping)

    assert refused.value.hint == hint
