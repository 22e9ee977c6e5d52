"""What is certain is read; what is not is refused with the line, the text and the option that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ktrdr.errors import InputError
from ktrdr.market.provider import Page, fetch
from ktrdr.market.providers.csv import FileProvider
from ktrdr.payloads.files import FileReading

HEADER = "timestamp,open,high,low,close,volume\n"
BAR = "10,12,9,11,100"


def lines(*stamps: str, bar: str = BAR) -> str:
    return "".join(f"{stamp},{bar}\n" for stamp in stamps)


def imported(folder: Path, content: str | bytes, timeframe: str = "1d", symbol: str = "ACME", **reading: Any) -> Page:
    path = folder / "bars.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return fetch(FileProvider(path, reading=FileReading(**reading)), symbol, timeframe)


def stamps_of(page: Page) -> list[str]:
    return page.frame["timestamp"].dt.strftime("%Y-%m-%d %H:%M").to_list()


@pytest.mark.parametrize(
    ("stamps", "timeframe", "first", "reading"),
    [
        (["2024-01-02", "2024-01-03 00:00", "2024-01-04"], "1d", "2024-01-02 00:00", {}),
        (["20240102T000000", "20240102T010000"], "1h", "2024-01-02 00:00", {}),
        (["20240102 093000", "20240102 103000"], "1h", "2024-01-02 09:30", {}),
        (["2024-01-02 9:30", "2024-01-02 10:30"], "1h", "2024-01-02 09:30", {}),
        (["2024-01-02 00:00+00", "2024-01-02 01:00+00"], "1h", "2024-01-02 00:00", {}),
        (["2024-01-02T02:00:00.5+01:00", "2024-07-02T02:00:00.5+02:00"], "1h", "2024-01-02 01:00", {}),
        (["1704067200", "1704070800000", "1704074400000000", "1704078000000000000"], "1h", "2024-01-01 00:00", {}),
        (["1.7040672E+12", "1.7040708E+12"], "1h", "2024-01-01 00:00", {}),
        (["1/15/2024 12:00 AM", "1/15/2024 1:00 AM"], "1h", "2024-01-15 00:00", {}),
        (["02.01.2024 00:00", "02.01.2024 01:00"], "1h", "2024-01-02 00:00", {}),
        (["13/01/2024", "14/01/2024"], "1d", "2024-01-13 00:00", {}),
        (["01/02/2024", "01/03/2024", "01/04/2024"], "1d", "2024-01-02 00:00", {}),
        (["01/02/2024", "02/02/2024", "03/02/2024"], "1d", "2024-02-01 00:00", {}),
        (["24/01/02", "24/01/03", "24/01/04"], "1d", "2024-01-02 00:00", {}),
        (["01/02/2024 10:00", "01/02/2024 11:00"], "1h", "2024-02-01 10:00", {"date_format": "DMY"}),
        (["01/02/2024 10:00", "01/02/2024 11:00"], "1h", "2024-01-02 10:00", {"date_format": "MDY"}),
        (["02012024", "03012024"], "1d", "2024-01-02 00:00", {"date_format": "%d%m%Y"}),
        (["02/01/2024 10:00 +0100"], "1h", "2024-01-02 09:00", {"date_format": "%d/%m/%Y %H:%M %z"}),
        (["45293", "45294"], "1d", "2024-01-02 00:00", {"date_format": "excel"}),
        (["45293.5", "45293.5416666667"], "1h", "2024-01-02 12:00", {"date_format": "excel"}),
        (["11-Jan-24", "12-Jan-24"], "1d", "2024-01-11 00:00", {}),
        (["Jan 11, 2024", "Jan 12, 2024"], "1d", "2024-01-11 00:00", {}),
        (["Thu 11 January 2024 10:00", "Thu 11 January 2024 11:00"], "1h", "2024-01-11 10:00", {}),
        (["2024-01-02 23:00", "2024-01-02 24:00"], "1h", "2024-01-02 23:00", {}),
    ],
    ids=str,
)
def test_times_are_read_value_by_value(
    stamps: list[str], timeframe: str, first: str, reading: dict[str, Any], tmp_path: Path
) -> None:
    quoted = [f'"{stamp}"' for stamp in stamps]

    page = imported(tmp_path, HEADER + lines(*quoted), timeframe, **reading)

    assert (len(page.frame), stamps_of(page)[0]) == (len(stamps), first)
    assert page.frame["timestamp"].is_sorted()


@pytest.mark.parametrize(
    ("stamps", "timeframe", "detail", "hint"),
    [
        (["01/02/2024"], "1d", "may be 1 February 2024 or 2 January 2024", "--date-format DMY"),
        (["01/02/2024 10:00", "01/02/2024 11:00"], "1h", "no other row of the file decides it", "--date-format MDY"),
        (["13/01/2024", "01/14/2024"], "1d", "'13/01/2024' and '01/14/2024' cannot both", "--date-format"),
        (
            ["2024-01-02 10:00", "2024-01-02 11:00Z"],
            "1h",
            "a zone and others none: line 2, .* line 3",
            "one way",
        ),
        (
            ["2024-01-02", "2024-01-02 01:00"],
            "1h",
            "a time of day and others none: line 2, .* line 3",
            "one way",
        ),
        (
            ["2024-01-02", "2024-01-03 05:00Z"],
            "1d",
            "a time of day and others none: line 2, .* line 3",
            "one way",
        ),
        (["2024-01-02", "2024-01-03"], "1h", "line 2, .*dates without a time of day, which are no 1h bars", "as 1d"),
        (["45293", "45294"], "1d", "line 2, .*'45293' is not a time", "--date-format excel"),
        (["13012024", "14012024"], "1d", "line 2, .*'13012024' is not a time", "--date-format %d%m%Y"),
        (["240102", "240103"], "1d", "line 2, .*'240102' is not a time", "--date-format"),
        (["2024-01-02 09:30 EST"], "1h", "line 2, .*'2024-01-02 09:30 EST' is not a time", "--date-format"),
        (["09:30", "10:30"], "1h", "times of day without a date", "--column timestamp=NAME"),
        (["2024-01-02 10:00", "2024-01-02 10:00"], "1h", "line 3, .*: timestamp was seen before", "--bad-rows drop"),
    ],
    ids=str,
)
def test_times_that_are_not_certain_are_refused(
    stamps: list[str], timeframe: str, detail: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=detail) as refused:
        imported(tmp_path, HEADER + lines(*stamps), timeframe)

    assert refused.value.detail.startswith("bars.csv")
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("bar", "values", "reading"),
    [
        ('"42,000.00","42,017.80","41,996.55","41,999.41","4,634,000"', (42000.0, 41999.41, 4634000.0), {}),
        ('"42.000,00","42.017,80","41.996,55","41.999,41","4.634"', (42000.0, 41999.41, 4634.0), {}),
        ("42 000.00,42 017.80,41 996.55,41 999.41,4 634", (42000.0, 41999.41, 4634.0), {}),
        ("42'000.00,42'017.80,41'996.55,41'999.41,4'634", (42000.0, 41999.41, 4634.0), {}),
        ('"1,23,456.50","1,23,999.00","1,23,000.00","1,23,500.00","1,00,000"', (123456.5, 123500.0, 100000.0), {}),
        ("$10,$12,$9,$11,1.5K", (10.0, 11.0, 1500.0), {}),
        ("10 €,12 €,9 €,11 €,2M", (10.0, 11.0, 2e6), {}),
        ("USD 10,USD 12,USD 9,USD 11,3B", (10.0, 11.0, 3e9), {}),
        ("1e-5,1.2e-5,0.9e-5,1.1e-5,1e9", (1e-5, 1.1e-5, 1e9), {}),
        ("150.123,150.200,150.100,150.150,1.234", (150.123, 150.15, 1.234), {}),
        ('"42,000","42,017","41,996","41,999",5', (42000.0, 41999.0, 5.0), {"thousands": ","}),
        ('"42,000","42,017","41,996","41,999",5', (42.0, 41.999, 5.0), {"decimal": ","}),
        ("10,12,9,11,-", (10.0, 11.0, 0.0), {}),
    ],
)
def test_numbers_are_read_as_they_are_written(
    bar: str, values: tuple[float, float, float], reading: dict[str, Any], tmp_path: Path
) -> None:
    page = imported(tmp_path, HEADER + lines("2024-01-02", bar=bar), **reading)

    assert page.frame.select("open", "close", "volume").row(0) == pytest.approx(values)


@pytest.mark.parametrize(
    ("header", "bar", "detail", "hint"),
    [
        (HEADER, '"42,000","42,017","41,996","41,999",5', "open '42,000' may be 42000 or 42.000", "--thousands ,"),
        (
            HEADER.replace(",", ";"),
            "42000.0;42017.5;41996.0;41999.0;4.630",
            "'4.630' may be 4630",
            "--decimal .",
        ),
        (HEADER.replace(",", ";"), "150.123;150.200;150.100;150.150;0", "open '150.123' may be 150123", "--decimal ."),
        (HEADER, '"1,5",2.5,1.5,"2,5",9', "points and commas contradict each other: open '1,5'", "--decimal ,"),
        (HEADER, "110'165,110'170,110'160,110'165,9", 'open "110\'165" is not a number', "--thousands"),
        (HEADER, "10%,12%,9%,11%,100", "line 2, .*open '10%' is not a number", "--decimal"),
    ],
)
def test_numbers_with_two_meanings_are_refused(header: str, bar: str, detail: str, hint: str, tmp_path: Path) -> None:
    separator = ";" if ";" in header else ","

    with pytest.raises(InputError, match=detail) as refused:
        imported(tmp_path, f"{header}2024-01-02{separator}{bar}\n")

    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("content", "words", "reading"),
    [
        ("# made by acme\n" + HEADER + lines("2024-01-02"), "comma-separated", {}),
        ("# " + HEADER + lines("2024-01-02"), "comma-separated", {}),
        ("Acme export\n\n" + HEADER + lines("2024-01-02"), "1 line above the header left out", {}),
        (HEADER + ",USD,USD,USD,USD,shares\n" + lines("2024-01-02"), "comma-separated", {}),
        (HEADER + lines("2024-01-02") + "Downloaded on 2024-02-01\n", "1 line below the table left out", {}),
        (HEADER + lines("2024-01-02", bar=BAR + ","), "comma-separated", {}),
        (HEADER + lines("2024-01-02") + HEADER, "comma-separated", {}),
        ("Index,ACME.Open,ACME.High,ACME.Low,ACME.Close,ACME.Volume\n" + lines("2024-01-02"), "comma-separated", {}),
        (HEADER.replace("timestamp", "") + lines("2024-01-02"), "comma-separated", {}),
        (HEADER.replace("timestamp,", "") + lines("2024-01-02"), "comma-separated", {}),
        (HEADER.replace("timestamp", "Unnamed: 0") + lines("2024-01-02"), "comma-separated", {}),
        (lines("2024-01-02"), "no header (time, open, high, low, close, volume by position)", {}),
        ("x,y\n" + lines("2024-01-02"), "no header", {"skip": 1, "no_header": True}),
        ("sep=;\n" + (HEADER + lines("2024-01-02")).replace(",", ";"), "semicolon-separated", {}),
        ((HEADER + lines("2024-01-02")).replace(",", "^"), "'^'-separated", {"delimiter": "^"}),
        ((HEADER + lines("2024-01-02")).replace(",", " "), "space-separated", {}),
        ((HEADER + lines("2024-01-02")).encode("utf-16"), "UTF-16", {}),
        ((HEADER + lines("2024-01-02")).encode("utf-16-be"), "UTF-16-BE", {"encoding": "utf-16-be"}),
        (
            ("Datum;Er\u00f6ffnung;Hoch;Tief;Schluss;St\u00fccke\n02.01.2024;10;12;9;11;100\n").encode("cp1252"),
            "CP1252",
            {"encoding": "cp1252"},
        ),
    ],
)
def test_layouts_of_text_mean_the_same(
    content: str | bytes, words: str, reading: dict[str, Any], tmp_path: Path
) -> None:
    page = imported(tmp_path, content, **reading)

    assert page.frame.row(0)[1:] == (10.0, 12.0, 9.0, 11.0, 100.0)
    assert stamps_of(page) == ["2024-01-02 00:00"]
    assert words in page.note


@pytest.mark.parametrize(
    ("content", "detail", "hint"),
    [
        (HEADER + '"2024-01-02,10,12,9,11,100\n' + lines("2024-01-03"), "line 2: a quotation mark has no", "remove it"),
        (HEADER.replace("o", "\u00f6").encode("cp1252"), "line 1: not UTF-8 text", "--encoding cp1252"),
        ((HEADER + lines("2024-01-02")).encode("utf-16-le"), "binary file", "--encoding utf-16-le"),
        (HEADER + lines("2024-01-02", bar=BAR + ",7"), "line 2: more fields than the 6 names", "--no-header"),
        (HEADER + lines("2024-01-02", "2024-01-03") + "2024-01-0", "line 4, '2024-01-0': timestamp", "--bad-rows drop"),
        (HEADER + "\n\n" + lines("2024-01-02", bar="10,12,9,99,1"), "line 4, .*high is below", "--bad-rows drop"),
        (lines("2024-01-02", bar="10,11,12,9,100"), "no header line, .*line 1, ", "--column timestamp=1"),
        ("Date,Close\n2024-01-02,10\n", "no column open, high, low", "--column open=NAME"),
        (HEADER.replace("volume", "close (USD)") + lines("2024-01-02"), "mean the same", "--column close='close"),
    ],
)
def test_layouts_that_cannot_be_right_are_refused(content: str | bytes, detail: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=detail) as refused:
        imported(tmp_path, content)

    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("held", "symbol", "reading", "rows"),
    [
        (["ACME"], "ACME", {}, 1),
        (["ACME.US"], "ACME", {}, 1),
        (["NASDAQ:ACME"], "ACME", {}, 1),
        (["BTC/USDT"], "BTC-USDT", {}, 1),
        (["BRK.B"], "BRK-B", {}, 1),
        (["MSFT"], "ACME", {"only": "MSFT"}, 1),
        (["ACME", "ZETA", "ZETA"], "ACME", {"only": "ZETA"}, 2),
    ],
)
def test_the_symbol_of_a_file_agrees_with_the_command(
    held: list[str], symbol: str, reading: dict[str, Any], rows: int, tmp_path: Path
) -> None:
    table = "".join(f"{each},2024-01-{day:02},{BAR}\n" for day, each in enumerate(held, start=2))

    assert len(imported(tmp_path, f"symbol,{HEADER}{table}", symbol=symbol, **reading).frame) == rows


@pytest.mark.parametrize(
    ("held", "symbol", "reading", "detail", "hint"),
    [
        (["ACME", "ZETA"], "ACME", {}, "column symbol holds ACME and ZETA", "--only ACME"),
        (["MSFT"], "ACME", {}, "holds MSFT, and ACME is asked for", "import it as MSFT"),
        (["BRK.B"], "BRK.A", {}, r"holds BRK\.B, and BRK\.A is asked for", "--only BRK.B"),
        (["ACME"], "ACME", {"only": "ZETA"}, "does not hold ZETA, but ACME", "--only"),
    ],
)
def test_another_symbol_than_the_commands_is_refused(
    held: list[str], symbol: str, reading: dict[str, Any], detail: str, hint: str, tmp_path: Path
) -> None:
    table = "".join(f"{each},2024-01-{day:02},{BAR}\n" for day, each in enumerate(held, start=2))

    with pytest.raises(InputError, match=detail) as refused:
        imported(tmp_path, f"symbol,{HEADER}{table}", symbol=symbol, **reading)

    assert hint in refused.value.hint


def test_the_second_of_two_hours_begins_where_the_clock_goes_back(tmp_path: Path) -> None:
    minutes = range(0, 60, 5)
    first = [f"2024-11-03 01:{minute:02}" for minute in minutes if minute != 55]
    second = [f"2024-11-03 01:{minute:02}" for minute in minutes if minute != 20]

    page = imported(tmp_path, HEADER + lines(*first, *second), "5m", timezone="America/New_York")

    stamps = stamps_of(page)
    assert (stamps[0], stamps[10], stamps[11], stamps[-1]) == (
        "2024-11-03 05:00",
        "2024-11-03 05:50",
        "2024-11-03 06:00",
        "2024-11-03 06:55",
    )
    assert "2024-11-03 06:20" not in stamps


def test_newest_first_is_turned_round_through_that_night_too(tmp_path: Path) -> None:
    hours = ["2024-11-03 00:00", "2024-11-03 01:00", "2024-11-03 01:00", "2024-11-03 02:00"]

    page = imported(tmp_path, HEADER + lines(*hours[::-1]), "1h", timezone="America/New_York")

    assert [stamp[-5:] for stamp in stamps_of(page)] == ["04:00", "05:00", "06:00", "07:00"]
    assert "newest first, turned round" in page.note


def test_a_zone_in_the_name_of_a_column_outweighs_the_commands(tmp_path: Path) -> None:
    content = HEADER.replace("timestamp", "Date (UTC)") + lines("2024-01-02 10:00")

    assert stamps_of(imported(tmp_path, content, "1h", timezone="America/New_York")) == ["2024-01-02 10:00"]


def test_bars_stamped_at_their_close_are_told_and_moved_on_request(tmp_path: Path) -> None:
    # New York's session has half an hour at its end.
    closes = [
        f"2024-01-0{day} {time}"
        for day in (2, 3)
        for time in ("10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00")
    ]
    content = HEADER + lines(*closes)

    with pytest.raises(InputError, match="not 1h bars") as refused:
        imported(tmp_path, content, "1h", "AAPL", timezone="America/New_York")
    moved = imported(tmp_path, content, "1h", "AAPL", timezone="America/New_York", stamp="close")

    assert "stamped at their close: 2 days of XNYS have one at 16:00" in refused.value.hint
    assert "--stamp close" in refused.value.hint
    assert [stamp[-5:] for stamp in stamps_of(moved)[:7]] == [
        "14:30",
        "15:30",
        "16:30",
        "17:30",
        "18:30",
        "19:30",
        "20:30",
    ]
    assert "stamped at the close, moved to the opening" in moved.note


def test_bars_stamped_at_their_opening_are_taken_for_nothing_else(tmp_path: Path) -> None:
    opens = [f"2024-01-0{day} {hour}:30" for day in (2, 3) for hour in range(14, 21)]

    assert "stamped" not in imported(tmp_path, HEADER + lines(*opens), "1h", "AAPL").note


@pytest.mark.parametrize("timezone", ["Asia/Tokyo", "America/New_York", "UTC", ""])
@pytest.mark.parametrize(
    "dates", [["2024-01-02", "2024-01-03"], ["20240102", "20240103"], ["01/15/2024", "01/16/2024"]]
)
def test_a_date_is_that_date_in_any_zone(dates: list[str], timezone: str, tmp_path: Path) -> None:
    page = imported(tmp_path, HEADER + lines(*dates), timezone=timezone)

    assert [stamp[8:10] for stamp in stamps_of(page)] in (["02", "03"], ["15", "16"])


@pytest.mark.parametrize(
    ("content", "reading", "detail"),
    [
        (HEADER + lines("2024-01-02"), {"skip": 50}, "no line after the 50 that are skipped"),
        (HEADER + lines("2024-01-02"), {"delimiter": ";"}, "no header line, .* line 2"),
        (HEADER + lines("2024-01-02"), {"delimiter": "."}, "no header line"),
        (lines("2024.01.02 00:00"), {"format": "metatrader4"}, "line 1, .*high is below"),
        (HEADER + lines("2024-01-02", bar="10.5,12.5,9.5,11.5,1"), {"decimal": ","}, "open '10.5' is not a number"),
    ],
)
def test_what_is_said_of_a_file_must_fit_it(content: str, reading: dict[str, Any], detail: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=detail):
        imported(tmp_path, content, **reading)


def test_dates_stay_theirs_when_days_are_stamped_at_the_close(tmp_path: Path) -> None:
    page = imported(tmp_path, HEADER + lines("2024-01-02", "2024-01-03"), stamp="close")

    assert stamps_of(page) == ["2024-01-02 00:00", "2024-01-03 00:00"]


BAD = "\n".join(
    [
        HEADER.strip(),
        f"2024-01-02,{BAR}",
        "2024-01-03,10,12,9,,100",
        "2024-01-04,10,12,0,11,100",
        "2024-01-05,10,12,9,11,-1",
        "2024-01-08,13,12,9,11,100",
        "2024-01-09,ten,12,9,11,100",
        f"2024-01-10,{BAR},7",
        f"2024-01-12,{BAR}",
        f"2024-01-11,{BAR}",
        f"2024-01-11,{BAR}",
        *(f"2024-02-{day:02},{BAR}" for day in range(1, 10)),
    ]
)


def test_bad_rows_are_left_out_on_request_and_counted(tmp_path: Path) -> None:
    page = imported(tmp_path, BAD, bad_rows="drop")

    assert stamps_of(page)[:4] == ["2024-01-02 00:00", "2024-01-08 00:00", "2024-01-11 00:00", "2024-01-12 00:00"]
    assert page.frame["high"].to_list()[1] == 13.0
    for words in (
        "2 lines that cannot be read left out (7, 8)",
        "1 bar without prices left out",
        "1 bar with a price of zero or below left out",
        "1 bar with a negative or infinite volume left out",
        "high or low widened to hold open and close in 1 bar",
        "rows put in the order of time",
        "1 bar with a time seen before left out",
    ):
        assert words in page.note


def test_bad_rows_are_refused_by_their_lines_otherwise(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        imported(tmp_path, BAD)

    for words in ("line 7, '2024-01-09,ten", "line 8", "line 3", "line 4", "line 5", "line 6", "line 10", "line 11"):
        assert words in refused.value.detail


def test_a_file_that_is_mostly_bad_is_read_wrongly_and_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="open is zero or negative"):
        imported(tmp_path, HEADER + lines("2024-01-02", "2024-01-03", bar="0,0,0,0,0"), bad_rows="drop")


@pytest.mark.parametrize(
    ("header", "bar", "volume", "words"),
    [
        ("time,open,high,low,close", "10,12,9,11", 0.0, "there is no volume in the file: it is 0"),
        ("time,open,high,low,close,volume", "10,12,9,11,", 0.0, "no volume: it is 0"),
        ("time,open,high,low,close,tickvol,vol", "10,12,9,11,5,0", 5.0, "volume from tickvol, because vol is 0"),
        ("time,open,high,low,close,tickvol,vol", "10,12,9,11,5,7", 7.0, ""),
        ("time,open,high,low,close,tick_volume", "10,12,9,11,5", 5.0, "volume counts ticks"),
    ],
)
def test_a_volume_is_never_silently_zero(header: str, bar: str, volume: float, words: str, tmp_path: Path) -> None:
    page = imported(tmp_path, f"{header}\n2024-01-02,{bar}\n2024-01-03,{bar}\n")

    assert page.frame["volume"].to_list() == [volume, volume]
    assert words in page.note


def test_a_column_without_a_name_is_named_by_its_position(tmp_path: Path) -> None:
    content = ",when,o,h,l,c\n2024-01-02,x,10,12,9,11\n2024-01-03,x,10,12,9,11\n"

    page = imported(tmp_path, content, columns={"timestamp": "1", "open": "3"})

    assert stamps_of(page) == ["2024-01-02 00:00", "2024-01-03 00:00"]


@pytest.mark.parametrize("first", ["0,10,12,9,11,100", ",10,12,9,11,100", "2024-01-01,null,null,null,null,null"])
def test_the_first_row_below_a_header_is_never_taken_for_a_part_of_it(first: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2|1970"):
        imported(tmp_path, f"{HEADER}{first}\n" + lines("2024-01-02", "2024-01-03", "2024-01-04"))


def test_columns_of_other_types_than_numbers_are_refused(tmp_path: Path) -> None:
    bars = {name: [10.0] for name in ("high", "low", "close", "volume")}
    pl.DataFrame({"time": ["2024-01-02"], "open": [[10.0]], **bars}).write_parquet(tmp_path / "bars.parquet")

    with pytest.raises(InputError, match=r"row 1: open .* is not a number"):
        fetch(FileProvider(tmp_path / "bars.parquet"), "ACME", "1d")


@pytest.mark.parametrize("kind", [pl.Int32, pl.UInt64, pl.Float64, pl.Decimal(20, 0)], ids=str)
def test_epochs_of_any_type_are_read_from_parquet(kind: Any, tmp_path: Path) -> None:
    bars = {name: [10.0, 10.0] for name in ("open", "high", "low", "close", "volume")}
    frame = pl.DataFrame({"time": pl.Series([1704067200, 1704070800]).cast(kind), **bars})
    frame.write_parquet(tmp_path / "bars.parquet")

    page = fetch(FileProvider(tmp_path / "bars.parquet"), "ACME", "1h")

    assert stamps_of(page) == ["2024-01-01 00:00", "2024-01-01 01:00"]
