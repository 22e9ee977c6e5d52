from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import BarsError, InputError, ProviderConflict, SeriesNotFound, StorageError
from ktrdr.market import series_file
from ktrdr.market.bars import SCHEMA
from ktrdr.market.store import BarStore
from tests.bars import Series, every_source

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "bars")


def bars(first: int, count: int, close: float = 100.0) -> pl.DataFrame:
    """Daily bars from day number `first` of 2023 on, flat at `close`."""
    stamps = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=first + number) for number in range(count)]
    columns = dict.fromkeys(("open", "high", "low", "close"), [close] * count)
    return pl.DataFrame({"timestamp": stamps, **columns, "volume": [1.0] * count}, schema=SCHEMA)


@every_source
def test_bars_come_back_as_they_were_stored(store: BarStore, series: Series) -> None:
    frame = series("AAPL_5m")

    report = store.merge("AAPL", "5m", frame, "csv")

    assert (report.rows_new, report.rows_changed, report.rows_total) == (len(frame), 0, len(frame))
    assert store.read("aapl", "5m").equals(frame)
    day = store.read("AAPL", "5m", date(2024, 9, 3), date(2024, 9, 3))
    assert day.equals(frame.filter(pl.col("timestamp").dt.date() == date(2024, 9, 3)))


@every_source
def test_loading_the_same_again_writes_nothing(store: BarStore, series: Series) -> None:
    frame = series("AAPL_1d")
    store.merge("AAPL", "1d", frame, "sample")
    path = store.root / "AAPL" / "1d.parquet"
    before = (path.stat().st_ino, path.stat().st_mtime_ns)

    report = store.merge("AAPL", "1d", frame[100:200], "sample")

    assert (report.rows_new, report.rows_changed, report.rows_total) == (0, 0, len(frame))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before


def test_new_bars_are_added_and_changed_ones_counted(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 10), "sample")

    report = store.merge("AAPL", "1d", bars(8, 4, close=101.0), "sample")

    assert (report.rows_new, report.rows_changed, report.rows_total) == (2, 2, 12)
    assert store.read("AAPL", "1d")["close"].to_list() == [100.0] * 8 + [101.0] * 4


def test_what_is_overwritten_is_told_by_count_size_and_place(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 10), "sample")
    new = bars(6, 6, close=99.0).with_columns(volume=pl.lit(4.0))

    report = store.merge("AAPL", "1d", new, "sample")

    assert (report.rows_new, report.rows_changed) == (2, 4)
    assert report.largest_change == pytest.approx(0.01)
    assert report.first_changes == tuple(datetime(2023, 1, day, tzinfo=UTC) for day in (7, 8, 9))
    assert report.note == (
        "4 stored bars came again with other values and were overwritten "
        "(prices by up to 1 % and volume by up to 75 %): "
        "2023-01-07, 2023-01-08, 2023-01-09, …; bars before 2023-01-07 are as they were: if prices were adjusted anew, "
        "load all again"
    )
    assert store.merge("AAPL", "1d", new, "sample").note == ""


@pytest.mark.parametrize("new", [bars(8, 4), bars(0, 20), bars(30, 1)], ids=["some", "all", "none in common"])
def test_bars_of_another_provider_are_refused(store: BarStore, new: pl.DataFrame) -> None:
    store.merge("AAPL", "1d", bars(0, 10), "sample")

    with pytest.raises(
        ProviderConflict, match=r"AAPL 1d is stored from sample \(10 bars, .*\); bars from yahoo"
    ) as refused:
        store.merge("AAPL", "1d", new, "yahoo")

    assert "--replace" in refused.value.hint
    assert (refused.value.context["stored"], refused.value.context["provider"]) == ("sample", "yahoo")
    assert store.read_stored("AAPL", "1d").frame.equals(bars(0, 10))


def test_replacing_starts_the_series_anew_from_another_provider(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 10), "sample")

    report = store.merge("AAPL", "1d", bars(8, 4, close=101.0), "yahoo", replace=True)

    assert (report.rows_new, report.rows_changed, report.rows_total) == (4, 0, 4)
    stored = store.read_stored("AAPL", "1d")
    assert stored.frame.equals(bars(8, 4, close=101.0))
    assert stored.provider == store.info("AAPL", "1d").provider == report.provider == "yahoo"


def test_daily_bars_stand_at_their_date_whatever_time_they_come_with(store: BarStore) -> None:
    opening = bars(0, 6).with_columns(pl.col("timestamp") + timedelta(hours=5))
    store.merge("AAPL", "1d", opening, "csv")

    report = store.merge("AAPL", "1d", bars(0, 6), "csv")

    assert (report.rows_new, report.rows_changed, report.rows_total) == (0, 0, 6)
    assert store.read("AAPL", "1d").equals(bars(0, 6))


def test_bars_between_the_stored_ones_are_refused(store: BarStore) -> None:
    hours = bars(0, 48).with_columns(
        timestamp=pl.lit(datetime(2023, 1, 1, tzinfo=UTC)) + pl.duration(hours=pl.row_index())
    )
    halves = hours.with_columns(pl.col("timestamp") + timedelta(minutes=30))
    store.merge("AAPL", "1h", hours, "csv")

    with pytest.raises(BarsError, match="with the stored bars of AAPL 1h these would be bars 0:30:00 apart"):
        store.merge("AAPL", "1h", halves[10:20], "csv")

    assert store.read("AAPL", "1h").equals(hours)
    later = halves.with_columns(pl.col("timestamp") + timedelta(days=10))  # as when summer time has ended
    assert store.merge("AAPL", "1h", later, "csv").rows_total == 96


pieces = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 15), st.sampled_from([99.0, 100.0, 101.0])), min_size=1)


@settings(max_examples=25, deadline=None)
@given(pieces)
def test_overlapping_merges_in_any_order_equal_the_union(sequence: list[tuple[int, int, float]]) -> None:
    expected: dict[int, float] = {}
    with TemporaryDirectory() as folder:
        store = BarStore(Path(folder))
        for first, count, close in sequence:
            piece = dict.fromkeys(range(first, first + count), close)
            report = store.merge("X", "1d", bars(first, count, close), "test")

            assert report.rows_new == len(piece.keys() - expected.keys())
            assert report.rows_changed == sum(expected.get(day, value) != value for day, value in piece.items())
            expected |= piece
            assert report.rows_total == len(expected)

        stored = store.read("X", "1d")
        union = pl.concat([bars(day, 1, close) for day, close in sorted(expected.items())])
        assert stored.equals(union)


def test_wrong_rows_leave_the_stored_series_as_it_was(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 5), "sample")

    with pytest.raises(BarsError, match=r"timestamp was seen before in 1 row \(3\)"):
        store.merge("AAPL", "1d", pl.concat([bars(3, 2), bars(4, 1)]), "csv")
    with pytest.raises(InputError, match="no bars"):
        store.merge("AAPL", "1d", bars(0, 0), "csv")

    assert store.read("AAPL", "1d").equals(bars(0, 5))


def test_dates_are_inclusive_and_an_empty_range_names_what_is_stored(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 31), "sample")

    assert len(store.read("AAPL", "1d", date(2023, 1, 10), date(2023, 1, 12))) == 3
    assert len(store.read("AAPL", "1d", datetime(2023, 1, 10, 1, tzinfo=UTC), datetime(2023, 1, 12, tzinfo=UTC))) == 2
    with pytest.raises(InputError, match="31 bars from 2023-01-01 00:00 to 2023-01-31 00:00 UTC") as refused:
        store.read("AAPL", "1d", date(2024, 1, 1))
    assert refused.value.code == "invalid_input"
    with pytest.raises(InputError, match="lies after"):
        store.read("AAPL", "1d", date(2023, 1, 12), date(2023, 1, 10))


def test_a_series_that_is_not_stored_names_the_command_and_the_nearest(store: BarStore) -> None:
    with pytest.raises(SeriesNotFound) as nothing:
        store.read("AAPL", "1d")
    assert nothing.value.hint == "load it with: ktrdr data load AAPL 1d"

    store.merge("AAPL", "1d", bars(0, 5), "sample")

    with pytest.raises(SeriesNotFound) as misspelt:
        store.info("APPL", "1d")
    assert "ktrdr data load APPL 1d" in misspelt.value.hint
    assert "did you mean AAPL" in misspelt.value.hint
    with pytest.raises(SeriesNotFound) as other_timeframe:
        store.info("AAPL", "1h")
    assert "stored for AAPL: 1d" in other_timeframe.value.hint


def test_the_list_tells_rows_range_and_provider(store: BarStore) -> None:
    assert store.list() == []
    store.merge("MSFT", "1d", bars(0, 3), "yahoo")
    store.merge("AAPL", "1w", bars(0, 1), "csv")
    store.merge("AAPL", "1d", bars(0, 5), "sample")

    assert [(series.symbol, series.timeframe, series.rows, series.provider) for series in store.list()] == [
        ("AAPL", "1d", 5, "sample"),
        ("AAPL", "1w", 1, "csv"),
        ("MSFT", "1d", 3, "yahoo"),
    ]
    apple = store.info("AAPL", "1d")
    assert (apple.first, apple.last) == (datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 5, tzinfo=UTC))
    assert apple.size_bytes == (store.root / "AAPL" / "1d.parquet").stat().st_size


def test_a_parquet_file_put_there_by_hand_is_a_series_too(store: BarStore) -> None:
    (store.root / "AAPL").mkdir(parents=True)
    bars(0, 5).write_parquet(store.root / "AAPL" / "1d.parquet")

    assert (store.info("AAPL", "1d").rows, store.info("AAPL", "1d").provider) == (5, "unknown")
    assert store.read_stored("AAPL", "1d").frame.equals(bars(0, 5))
    with pytest.raises(ProviderConflict, match="is stored from unknown"):
        store.merge("AAPL", "1d", bars(5, 1), "csv")
    assert store.merge("AAPL", "1d", bars(5, 1), "csv", replace=True).rows_total == 1


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (bars(0, 50).sample(fraction=1, shuffle=True, seed=3), "timestamp is earlier than the row before"),
        (pl.concat([bars(0, 5), bars(4, 5)]), r"timestamp was seen before in 1 row \(6\)"),
        (bars(0, 5).with_columns(close=pl.lit(float("nan"))), "close is missing or not a number in 5 rows"),
        (bars(0, 5).with_columns(pl.col("timestamp") + timedelta(hours=5)), "timestamp is not 00:00 UTC in 5 rows"),
    ],
    ids=["shuffled", "duplicates", "not a number", "off the date"],
)
def test_bars_that_another_tool_put_there_are_checked_when_they_are_read(
    store: BarStore, frame: pl.DataFrame, fault: str
) -> None:
    (store.root / "AAPL").mkdir(parents=True)
    path = store.root / "AAPL" / "1d.parquet"
    frame.write_parquet(path)

    for start in (None, date(2023, 1, 2)):
        with pytest.raises(StorageError, match=fault) as refused:
            store.read("AAPL", "1d", start)
        assert str(path) in refused.value.detail
        assert "ktrdr data load AAPL 1d --replace" in refused.value.hint


def test_metadata_alone_does_not_vouch_for_bars(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 300), "sample")
    path = store.root / "AAPL" / "1d.parquet"
    ours = pl.read_parquet_metadata(path)

    pl.read_parquet(path).reverse().write_parquet(path, metadata={"ktrdr": ours["ktrdr"]})

    with pytest.raises(StorageError, match="its content has changed since it was stored"):
        store.read("AAPL", "1d")


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_noticed(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        store = BarStore(Path(folder))
        store.merge("X", "1d", bars(0, 300), "sample")
        path = store.root / "X" / "1d.parquet"
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)

        with pytest.raises(StorageError):
            store.read("X", "1d", date(2023, 1, 5), date(2023, 1, 6))


def test_a_read_of_a_range_touches_its_own_row_groups_alone(store: BarStore) -> None:
    first = datetime(2023, 1, 1, tzinfo=UTC)
    minutes = pl.datetime_range(first, first + timedelta(minutes=149_999), "1m", eager=True)
    frame = (
        minutes.alias("timestamp")
        .to_frame()
        .select(
            "timestamp",
            *(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")),
            volume=pl.int_range(pl.len()).cast(pl.Float64),
        )
    )
    store.merge("X", "1m", frame, "test")
    path = store.root / "X" / "1m.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    days = (date(2023, 1, 1), date(2023, 1, 30)), (date(2023, 4, 1), date(2023, 4, 14))

    for start, end in days:
        expected = frame.filter(pl.col("timestamp").dt.date().is_between(start, end))
        assert store.read("X", "1m", start, end).equals(expected)
    for whole_range in ((date(2023, 2, 20), date(2023, 2, 21)), ()):
        with pytest.raises(StorageError, match="has changed since it was stored"):
            store.read("X", "1m", *whole_range)


def test_many_series_are_read_as_each_of_them(store: BarStore) -> None:
    own = {f"S{number}": bars(number, 20 + number, close=100.0 + number) for number in range(5)}
    for symbol, frame in own.items():
        store.merge(symbol, "1d", frame, f"provider of {symbol}")
    store.set_calendar("S1", "XNYS")
    own["S2"].write_parquet(store.root / "S2" / "1d.parquet")  # as another tool does

    read = store.read_many([*own, "S3"], "1d", date(2023, 1, 10), date(2023, 1, 14))

    assert list(read) == list(own)
    for symbol, stored in read.items():
        assert stored.frame.select(list(SCHEMA)).equals(
            own[symbol].filter(pl.col("timestamp").dt.day().is_between(10, 14) & (pl.col("timestamp").dt.month() == 1))
        )
    assert [stored.provider for stored in read.values()] == [
        "provider of S0",
        "provider of S1",
        "unknown",
        "provider of S3",
        "provider of S4",
    ]
    assert read["S1"].calendar == "XNYS"
    assert "session_close" in read["S1"].frame.columns


def test_the_damaged_one_of_many_series_is_named(store: BarStore) -> None:
    for symbol in ("A", "B", "C"):
        store.merge(symbol, "1d", bars(0, 20), "test")
    path = store.root / "B" / "1d.parquet"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)

    with pytest.raises(StorageError, match=r"B/1d\.parquet is damaged"):
        store.read_many(["A", "B", "C"], "1d")
    with pytest.raises(SeriesNotFound, match="no bars of D 1d"):
        store.read_many(["A", "D"], "1d")
    with pytest.raises(InputError, match="no bar of A 1d lies in"):
        store.read_many(["A"], "1d", date(2024, 1, 1))


def test_what_is_read_ahead_is_read_anew_the_second_time(store: BarStore) -> None:
    for symbol in ("A", "B"):
        store.merge(symbol, "1d", bars(0, 20), "test")

    read = store.read_ahead(["A"], ["1d"])
    store.merge("A", "1d", bars(20, 5), "test")

    assert [read("A", "1d").frame.height for _ in range(2)] == [20, 25]
    assert read("B", "1d").frame.height == 20


def test_a_file_that_is_replaced_between_check_and_read_is_read_as_it_was(
    store: BarStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.merge("X", "1d", bars(0, 50, close=1.0), "one")
    check_seal = series_file._check_seal

    def check_and_replace(*arguments: Any) -> None:
        check_seal(*arguments)
        store.merge("X", "1d", bars(0, 5, close=2.0), "another", replace=True)

    monkeypatch.setattr(series_file, "_check_seal", check_and_replace)
    stored = store.read_stored("X", "1d")

    assert (stored.frame.height, stored.frame["close"].unique().to_list(), stored.provider) == (50, [1.0], "one")


def test_replacing_mends_a_damaged_series(store: BarStore) -> None:
    store.merge("AAPL", "1d", bars(0, 5), "sample")
    (store.root / "AAPL" / "1d.parquet").write_bytes(b"torn")

    store.merge("AAPL", "1d", bars(0, 9), "sample", replace=True)

    assert store.read("AAPL", "1d").equals(bars(0, 9))


@pytest.mark.parametrize("damage", ["emptied", "truncated", "overwritten", "foreign", "without rows"])
def test_a_damaged_file_is_named_with_what_to_do(
    store: BarStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.merge("AAPL", "1d", bars(0, 300), "sample")
    store.merge("MSFT", "1d", bars(0, 3), "sample")
    path = store.root / "AAPL" / "1d.parquet"
    content = path.read_bytes()
    if damage == "without rows":
        bars(0, 0).write_parquet(path)
    elif damage == "foreign":
        pl.DataFrame({"a": [1]}).write_parquet(path)
    else:
        damaged = {"emptied": b"", "truncated": content[:-20], "overwritten": b"\xff" * len(content)}
        path.write_bytes(damaged[damage])

    for use in (lambda: store.read("AAPL", "1d"), lambda: store.merge("AAPL", "1d", bars(0, 1), "x")):
        with pytest.raises(StorageError) as refused:
            use()
        assert str(path) in refused.value.detail
        assert "ktrdr data load AAPL 1d" in refused.value.hint
    assert [series.symbol for series in store.list()] == ["MSFT"]
    assert str(path) in caplog.text


def test_a_root_that_cannot_be_used_gives_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = BarStore(tmp_path / "file" / "bars")

    for use in (store.check_writable, lambda: store.merge("AAPL", "1d", bars(0, 1), "x")):
        with pytest.raises(StorageError, match="Not a directory"):
            use()


def test_a_usable_root_is_writable_and_left_clean(store: BarStore) -> None:
    store.check_writable()

    assert list(store.root.iterdir()) == []


CHILD = """
import os, signal, sys
from pathlib import Path
import polars as pl
from ktrdr.market.store import BarStore

store, bars = BarStore(Path(sys.argv[1])), pl.read_parquet(sys.argv[2])
"""

FULL_DISK = """
import resource
from ktrdr.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.merge("X", "1d", bars, "one")
except StorageError as error:
    print(error.detail)
"""

KILLED_AT = """
import ktrdr.files
def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)
{patch}
store.merge("X", "1d", bars, "one")
"""

MERGE_FOREVER = """
values = ("open", "high", "low", "close")
for price in range(1, 10**9):
    store.merge("X", "1d", bars.with_columns(pl.lit(float(price)).alias(name) for name in values), "one")
    if price == 2:
        print("going", flush=True)
"""

MERGE_PIECES = """
for number in range(int(sys.argv[3]), len(bars), 4):
    store.merge("X", "1d", bars[number:number + 2], "one")
"""


def start_child(script: str, store: BarStore, frame: pl.DataFrame, *more: str) -> subprocess.Popen[str]:
    given_bars = store.root.parent / "given.parquet"
    if not given_bars.exists():
        frame.write_parquet(given_bars)
    arguments = [sys.executable, "-c", CHILD + script, str(store.root), str(given_bars), *more]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="has no file size limit")
def test_a_full_disk_gives_the_reason_and_loses_nothing(store: BarStore) -> None:
    store.merge("X", "1d", bars(0, 5), "one")

    with start_child(FULL_DISK, store, bars(0, 3000, close=7.0)) as child:
        out, err = child.communicate(timeout=60)

    assert "File too large" in out, err
    assert store.read("X", "1d").equals(bars(0, 5))
    assert sorted(file.name for file in (store.root / "X").iterdir()) == [".1d.lock", "1d.parquet"]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize(
    ("patch", "expected_close"),
    [
        ("os.fsync = die", 1.0),
        ("os.replace = die", 1.0),
        ("ktrdr.files.sync_folder = die", 2.0),
    ],
    ids=["before the content is synced", "before the renaming", "after the renaming"],
)
def test_a_kill_at_each_step_leaves_the_old_or_the_new_file(store: BarStore, patch: str, expected_close: float) -> None:
    store.merge("X", "1d", bars(0, 5, close=1.0), "one")

    with start_child(KILLED_AT.format(patch=patch), store, bars(0, 5, close=2.0)) as child:
        _, err = child.communicate(timeout=60)

    assert child.returncode == -signal.SIGKILL, err
    assert store.read("X", "1d").equals(bars(0, 5, close=expected_close))
    assert [series.rows for series in store.list()] == [5]
    store.merge("X", "1d", bars(0, 5, close=3.0), "one")
    assert sorted(file.name for file in (store.root / "X").iterdir()) == [".1d.lock", "1d.parquet"]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_kills_at_any_instant_of_many_merges_leave_a_whole_series(store: BarStore) -> None:
    chance = random.Random(7)
    for _ in range(3):
        with start_child(MERGE_FOREVER, store, bars(0, 2000)) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "going\n"
            time.sleep(chance.uniform(0.0, 0.05))
            os.kill(child.pid, signal.SIGKILL)

        stored = store.read("X", "1d")
        assert len(stored) == store.info("X", "1d").rows == 2000
        assert stored["close"].n_unique() == 1


@pytest.mark.processes
def test_merges_of_one_series_from_several_processes_lose_nothing(store: BarStore) -> None:
    everything = bars(0, 101)
    children = [start_child(MERGE_PIECES, store, everything, str(number)) for number in range(4)]

    errors = [child.communicate(timeout=60)[1] for child in children]

    assert errors == [""] * 4
    assert store.read("X", "1d").equals(everything)
