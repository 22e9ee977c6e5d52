"""Tables are stored whole, row by row with the instant since which each was known, and read as they were stored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ktrdr.errors import ConflictError, InputError, KtrdrError, StorageError, TableNotFound
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.tables import TableInfo, TableReading

MACRO = """period,release,cpi,core CPI,note
2024-01,2024-02-13,3.1,3.9,first
2024-02,2024-03-12,3.2,,
2024-01,2024-03-12,3.0,3.8,revised
"""


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    return TableStore(tmp_path / "tables")


def stored(store: TableStore, text: str, known_at: str = "release", **options: Any) -> TableInfo:
    replace = options.pop("replace", False)
    reading = TableReading(known_at=known_at, **options)
    return store.import_file("macro", text.encode(), "macro.csv", reading, replace=replace)


def known(store: TableStore) -> list[datetime]:
    return store.read("macro").frame["known_at"].to_list()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_revisions_stay_beside_the_rows_that_they_revise(store: TableStore) -> None:
    info = stored(store, MACRO)

    assert (info.columns, info.rows, info.periods, info.revisions) == (("cpi", "core CPI"), 3, 2, 1)
    assert info.layout.endswith("periods by period, without note, which have no numbers")
    assert store.list() == (info,)
    frame = store.read("macro").frame
    assert frame["cpi"].to_list() == [3.1, 3.0, 3.2]
    assert frame["core CPI"].is_nan().to_list() == [False, False, True]


@pytest.mark.parametrize(
    ("written", "zone", "instant"),
    [
        ("2024-02-13", "", utc("2024-02-14T12:00")),
        ("2024-02-13", "America/New_York", utc("2024-02-14T05:00")),
        ("2024-02-13", "Asia/Tokyo", utc("2024-02-13T15:00")),
        ("2024-02-13 08:30", "America/New_York", utc("2024-02-13T13:30")),
        # A clock shows this time twice: the later one is no look ahead.
        ("2024-11-03 01:30", "America/New_York", utc("2024-11-03T06:30")),
        ("2024-02-13T08:30:00-05:00", "", utc("2024-02-13T13:30")),
        ("2024-02-13T08:30:00Z", "Asia/Tokyo", utc("2024-02-13T08:30")),
    ],
)
def test_a_row_is_never_known_too_early(store: TableStore, written: str, zone: str, instant: datetime) -> None:
    stored(store, f"period,release,cpi\n2024-01,{written},3.1\n", timezone=zone)
    assert known(store) == [instant]


@pytest.mark.parametrize(
    ("period", "instant"),
    [
        ("2024-02", utc("2024-02-01")),
        ("2024Q2", utc("2024-04-01")),
        ("2023", utc("2023-01-01")),
        ("2024-02-29", utc("2024-02-29")),
    ],
)
def test_periods_are_months_quarters_years_and_days(store: TableStore, period: str, instant: datetime) -> None:
    stored(store, f"period,release,cpi\n{period},2025-01-15,3.1\n")
    assert store.read("macro").frame["period"].to_list() == [instant]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (
            "period,release,cpi\n2024-01,,3.1\n",
            {},
            "line 2, '2024-01,,3.1': release is missing or no time (1 such row)",
        ),
        ("period,release,cpi\n2024-01,soon,3.1\n", {}, "release is missing or no time"),
        ("period,release,cpi\n2024-01,2024-02-13 08:30,3.1\n", {}, "this time of release has no zone"),
        (
            "period,release,cpi\n2024-01,2024-03-10 02:30,3.1\n",
            {"timezone": "America/New_York"},
            "this time does not exist in America/New_York",
        ),
        (
            "period,release,cpi\n2024-01,2024-02-13,3.1\n2024-02,2024-03-12 08:30,3.1\n",
            {"timezone": "UTC"},
            "some values of release have a time of day and others none: line 2",
        ),
        ("period,release,cpi\n2024-13,2024-02-13,3.1\n", {}, "period is no period"),
        (
            "period,release,cpi\n2024-01,2024-02-13,3.1\n2024-02,2024-03-12,x\n",
            {},
            "line 3, '2024-02,2024-03-12,x': cpi is no",
        ),
        ("period,release,note\n2024-01,2024-02-13,good\n", {}, "it has no column of numbers"),
        ("period,release,cpi\n2024-01,2024-02-13,1\n2024-01,2024-02-13,2\n", {}, "two rows of one period"),
        ("period,release,known_at\n2024-01,2024-02-13,1\n", {}, "a column cannot be called 'known_at'"),
        ("period,release,cpi,cpi\n2024-01,2024-02-13,1,2\n", {}, "two columns have the same name"),
        ("symbol,release,eps\n,2024-02-13,1\n", {}, "the symbol is missing"),
        ("period,released,cpi\n2024-01,2024-02-13,1\n", {}, "there is no column 'release'"),
        (MACRO, {"timezone": "Mars"}, "'Mars' is not a time zone"),
        (MACRO, {"period_column": "month"}, "there is no column 'month'"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(
    store: TableStore, text: str, options: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError) as refused:
        stored(store, text, **options)
    assert refused.value.detail.startswith("macro.csv: ")
    assert words in refused.value.detail
    assert not store.list()


@pytest.mark.parametrize("period", ["2024-01", "2024Q1", "2024-01-31"])
def test_a_row_that_was_known_before_its_period_was_over_is_said(store: TableStore, period: str) -> None:
    (warning,) = stored(store, f"period,release,cpi\n{period},2024-01-20,1\n").warnings
    assert warning.startswith("1 row of 1 were known before their period was over, the first in line 2")


def test_an_import_adds_rows_and_changes_none(store: TableStore) -> None:
    stored(store, MACRO)
    again = stored(store, MACRO + "2024-03,2024-04-10,3.5,3.8,\n")
    assert (again.rows, again.revisions) == (4, 1)

    with pytest.raises(ConflictError, match="1 row of the file has other numbers than the stored ones"):
        stored(store, MACRO.replace("3.1", "9.9"))
    with pytest.raises(ConflictError, match="the table macro has the columns"):
        stored(store, "period,release,gdp\n2024-01,2024-02-13,1\n")
    assert store.info("macro") == again

    assert stored(store, MACRO.replace("3.1", "9.9"), replace=True).rows == 3


def test_a_table_is_removed(store: TableStore) -> None:
    info = stored(store, MACRO)
    assert store.remove("macro") == info
    with pytest.raises(TableNotFound, match="no table macro is stored"):
        store.read("macro")


def test_a_damaged_file_is_named(store: TableStore) -> None:
    stored(store, MACRO)
    path = store.root / "macro.parquet"
    path.write_bytes(path.read_bytes()[:200])
    assert store.list() == ()
    with pytest.raises(StorageError, match=r"macro\.parquet is damaged"):
        store.read("macro")


@pytest.mark.parametrize("name", ["", "../macro", "a b", "9macro", "x" * 65])
def test_a_name_is_one_that_strategies_can_hold(store: TableStore, name: str) -> None:
    with pytest.raises(KtrdrError, match="a table cannot be called"):
        store.import_file(name, MACRO.encode(), "macro.csv", TableReading(known_at="release"))
