from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.errors import BarsError, InputError
from ktrdr.market.bars import (
    SCHEMA,
    check_bars,
    check_range,
    check_symbol,
    fingerprint,
    folder_name,
    symbol_of,
)
from ktrdr.market.files.frames import conform
from tests.bars import NAMES, Series, csv_of, every_source


def table(stamps: Any, **columns: Any) -> pl.DataFrame:
    rows = len(stamps)
    flat = {"open": [10.0] * rows, "high": [12.0] * rows, "low": [9.0] * rows, "close": [11.0] * rows}
    return pl.DataFrame({"timestamp": stamps, **flat, "volume": [100.0] * rows, **columns}, strict=False)


def days(count: int) -> list[date]:
    return [date(2023, 1, 1) + timedelta(days=number) for number in range(count)]


@pytest.mark.parametrize(
    "stamps",
    [
        ["2023-01-02", "2023-01-03T00:00:00Z"],
        ["2023-01-01T19:00:00-05:00", "2023-01-03 00:00"],
        ["2023/01/02", "2023.01.03 00:00:00.000"],
        [date(2023, 1, 2), date(2023, 1, 3)],
        [datetime.fromisoformat("2023-01-02"), datetime.fromisoformat("2023-01-03")],
        [1672617600, 1672704000],
        [1672617600000, 1672704000000],
        [1672617600000000000, 1672704000000000000],
        ["1672617600", "1672704000"],
        [20230102, 20230103],
    ],
    ids=str,
)
def test_every_common_way_of_writing_time_becomes_utc(stamps: list[Any]) -> None:
    frame = check_bars(conform(table(stamps)))

    assert frame.schema == pl.Schema(SCHEMA)
    assert frame["timestamp"].to_list() == [datetime(2023, 1, 2, tzinfo=UTC), datetime(2023, 1, 3, tzinfo=UTC)]


def test_column_names_are_found_in_any_case_order_and_by_their_aliases() -> None:
    frame = table(days(2)).rename({"timestamp": " Date", "close": "CLOSE", "volume": "<VOL>"})

    conformed = conform(frame.select(reversed(frame.columns)).with_columns(extra=1))

    assert conformed.columns == list(SCHEMA)
    assert conformed["close"].to_list() == [11.0, 11.0]


def test_separate_date_and_time_columns_are_joined() -> None:
    frame = table(["2023-01-02"]).rename({"timestamp": "date"}).with_columns(time=pl.lit("14:30"))

    assert conform(frame)["timestamp"][0] == datetime(2023, 1, 2, 14, 30, tzinfo=UTC)


def test_missing_columns_are_named_beside_those_found() -> None:
    with pytest.raises(BarsError, match=r"no column close; the columns found are .*open.*Final"):
        conform(table(days(1)).drop("close", "volume").with_columns(Final=1.0))


def test_all_kinds_of_faults_are_listed_at_once_with_their_rows() -> None:
    nan, inf = float("nan"), float("inf")
    stamps = [*days(6), date(2023, 1, 6), date(2023, 1, 2), *days(10)[8:]]
    frame = table(
        stamps,
        close=[11.0, nan, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0, None, 13.0],
        open=[10.0, 10.0, inf, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0],
        low=[9.0, 9.0, 9.0, -9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0],
        volume=[100.0, 100.0, 100.0, 100.0, -1.0, 100.0, 100.0, 100.0, 100.0, 100.0],
    )

    with pytest.raises(BarsError) as refused:
        check_bars(conform(frame))

    rows = {fault["message"]: (fault["count"], fault["rows"]) for fault in refused.value.context["faults"]}
    assert rows == {
        "close is missing or not a number": (2, [2, 9]),
        "open is infinite": (1, [3]),
        "low is zero or negative": (1, [4]),
        "volume is negative": (1, [5]),
        "high is below open, low or close": (1, [10]),
        "timestamp was seen before": (2, [7, 8]),
        "timestamp is earlier than the row before": (1, [8]),
    }
    assert "row 1 is the first row of data, the header is not counted" in refused.value.detail


def test_unreadable_values_are_shown_beside_the_other_faults() -> None:
    frame = table(["2023-01-02", "soon", "2023-01-04"], open=["10", "10", "ten"], close=["-1", "11", "11"])

    with pytest.raises(BarsError) as refused:
        conform(frame)

    assert "timestamp 'soon' is not a time that can be read" in refused.value.detail
    assert "open 'ten' is not a number in 1 row (3)" in refused.value.detail
    assert "close is zero or negative in 1 row (1)" in refused.value.detail


def test_ambiguous_dates_are_refused_rather_than_guessed() -> None:
    with pytest.raises(InputError, match="01/02/2023"):
        conform(table(["01/02/2023"]))


def test_only_the_first_rows_of_many_are_listed() -> None:
    with pytest.raises(BarsError, match=r"close is zero or negative in 40 rows \(1, 2, 3, 4, 5, …\)"):
        check_bars(conform(table(days(40), close=[-1.0] * 40, low=[-2.0] * 40)))


def test_rounding_of_adjusted_prices_is_no_inconsistency() -> None:
    check_bars(conform(table(days(1), high=[11.0 * (1 - 1e-15)])))


@every_source
@pytest.mark.parametrize("name", NAMES)
def test_text_becomes_the_bars_that_typed_columns_become(name: str, series: Series, tmp_path: Path) -> None:
    path = csv_of(series, name, tmp_path)

    frame = check_bars(conform(pl.read_csv(path, infer_schema=False)))

    assert frame.equals(conform(pl.read_csv(path, try_parse_dates=True)))


@given(st.text(max_size=40))
def test_a_symbol_that_is_let_through_stays_in_its_folder(symbol: str) -> None:
    try:
        checked = check_symbol(symbol)
    except InputError:
        return
    folder, name = Path("/bars"), folder_name(symbol)
    assert (folder / name).resolve().parent == folder
    assert not name.startswith(".")
    assert symbol_of(name) == checked == check_symbol(checked)


@pytest.mark.parametrize(
    "symbol", ["../../x", "..", ".hidden", "a/b", "a\\b", "", "A" * 33, "AAPL\n", "ß" * 17, "a b", "\0"]
)
def test_symbols_that_could_leave_their_folder_are_refused(symbol: str) -> None:
    with pytest.raises(InputError, match=r"symbol .* is not allowed"):
        check_symbol(symbol)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("aapl", "AAPL"),
        ("^gspc", "^GSPC"),
        ("EURUSD=X", "EURUSD=X"),
        ("m&m.ns", "M&M.NS"),
        ("es1!", "ES1!"),
        ("I:SPX", "I:SPX"),
        ("币安人生-usdt", "币安人生-USDT"),
        ("BTC-USDT:USDT", "BTC-USDT:USDT"),
    ],
)
def test_symbols_are_kept_in_capitals(given_: str, kept: str) -> None:
    assert check_symbol(given_) == kept


def test_a_pair_with_a_slash_is_refused_with_its_own_name() -> None:
    with pytest.raises(InputError) as refused:
        check_symbol("BTC/USDT:USDT")

    assert refused.value.hint == "write the slash as a hyphen: BTC-USDT:USDT"


def test_reversed_dates_are_refused_and_one_day_is_a_range() -> None:
    with pytest.raises(InputError, match="start 2023-02-01 lies after end 2023-01-01"):
        check_range(date(2023, 2, 1), date(2023, 1, 1))
    assert check_range(date(2023, 1, 1), date(2023, 1, 1)) == (
        datetime(2023, 1, 1, tzinfo=UTC),
        datetime(2023, 1, 2, tzinfo=UTC),
    )


def test_the_fingerprint_follows_content_alone() -> None:
    frame = conform(table(days(5)))

    assert fingerprint(frame) == fingerprint(pl.concat([frame[:2], frame[2:]], rechunk=False))
    assert fingerprint(frame) != fingerprint(frame.with_columns(close=pl.col("close") + 1e-12))
    assert fingerprint(frame) != fingerprint(frame[:4])
