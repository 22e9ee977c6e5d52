from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ktrdr.cli.loads import series_of
from tests.cli.conftest import LOAD, operation, problem, started

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

BAR = {
    "timestamp": "2023-01-03T00:00:00Z",
    "open": 130.28,
    "high": 130.9,
    "low": 124.17,
    "close": 125.07,
    "volume": 1.1e8,
}
LOADED = {
    "status": "success",
    "symbol": "AAPL",
    "timeframe": "1d",
    "provider": "sample",
    "note": "yahoo could not be reached; these are the bars that ship with ktrdr",
    "pages": 1,
    "asked": [[None, "2024-01-01T00:00:00Z"]],
    "rows_fetched": 250,
    "rows_new": 250,
    "rows_changed": 0,
    "largest_change": 0.0,
    "rows_total": 1250,
    "first": "2023-01-03T00:00:00Z",
    "last": "2023-12-29T00:00:00Z",
}


def loading(status: str, percentage: float, **changes: Any) -> dict[str, Any]:
    progress = {
        "percentage": percentage,
        "message": "Loading AAPL 1d from sample",
        "current_step": 1,
        "items_processed": 9,
    }
    return operation(status, operation_id=LOAD, operation_type="DATA_LOAD", progress=progress, **changes)


def serve_load(server: FakeServer) -> None:
    server.on("GET", f"/operations/{LOAD}", loading("RUNNING", 10), loading("RUNNING", 50), loading("COMPLETED", 100))
    server.on("GET", f"/operations/{LOAD}/metrics", {"metrics": [], "new_cursor": 0})
    server.on("GET", f"/operations/{LOAD}/results", LOADED)


def test_load_waits_and_says_plainly_which_provider_served(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    serve_load(server)

    ran = ktrdr(
        "data", "load", "AAPL", "1d", "--start-date", "2023-01-01", "--end-date", "2023-12-31", "--calendar", "XNYS"
    )

    assert ran.code == 0
    assert server.asked[0].json == {
        "symbol": "AAPL",
        "timeframe": "1d",
        "start_date": "2023-01-01",
        "end_date": "2023-12-31",
        "provider": "auto",
        "replace": False,
        "clip": False,
        "calendar": "XNYS",
    }
    assert [line.split(maxsplit=1)[1] for line in ran.out.splitlines()][:2] == ["AAPL 1d", "sample"]
    assert "rows total    1,250" in ran.out
    assert "2023-01-03 to 2023-12-29" in ran.out
    assert f"note: {LOADED['note']}" in ran.err


def test_several_loads_have_a_line_for_what_is_new_of_each(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    serve_load(server)

    ran = ktrdr("data", "load", "AAPL", "MSFT", "1d")

    assert ran.code == 0
    lines = [f"{symbol} 1d: Loading AAPL 1d from sample" for symbol in ("AAPL", "MSFT")]
    assert ran.err.splitlines()[:3] == [*lines, f"note: AAPL 1d, MSFT 1d: {LOADED['note']}"]
    assert [line.split()[2] for line in ran.out.splitlines()[1:]] == ["completed", "completed"]


def test_several_loads_have_a_bar_each_on_a_terminal(
    server: FakeServer, ktrdr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    serve_load(server)

    ran = ktrdr("data", "load", "AAPL", "MSFT", "1d")

    assert ran.code == 0
    assert "100 %" in ran.err
    assert "AAPL 1d: Loading" not in ran.err


def test_a_failed_load_is_exit_code_1(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    error = {"code": "provider_failed", "detail": "yahoo knows no XXXX", "hint": "check the symbol"}
    server.on("GET", f"/operations/{LOAD}", loading("FAILED", 0, error=error))
    server.on("GET", f"/operations/{LOAD}/metrics", {"metrics": [], "new_cursor": 0})
    server.on("GET", f"/operations/{LOAD}/results", {"status": "failed"})

    ran = ktrdr("data", "load", "XXXX", "1d")

    assert ran.code == 1
    assert ran.err.endswith("error: yahoo knows no XXXX\nhint: check the symbol\n")


def test_show_prints_the_last_bars_and_how_many_there_are(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/data/^GSPC/1d", {"symbol": "^GSPC", "timeframe": "1d", "total": 250, "bars": [BAR]})

    ran = ktrdr("data", "show", "^GSPC", "1d", "--start-date", "2023-01-01")

    assert server.asked[0].query == {"start": "2023-01-01", "limit": "5"}
    assert ran.out.splitlines()[1].split() == [
        "2023-01-03",
        "130.280",
        "130.900",
        "124.170",
        "125.070",
        "110,000,000",
    ]
    assert ran.err == "1 of 250 rows of ^GSPC 1d\n"
    assert ktrdr("data", "show", "^GSPC", "1d", "--json").json["bars"] == [BAR]


def test_import_sends_the_bytes_of_the_file(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    content = b"timestamp,open\n" * 100_000
    (tmp_path / "my bars.csv").write_bytes(content)
    server.on("POST", "/data/MSFT/1d/import", started(LOAD, "Import started"))
    serve_load(server)

    ran = ktrdr("data", "import", "my bars.csv", "MSFT", "1d")

    assert ran.code == 0
    assert server.asked[0].query == {"filename": "my bars.csv"}
    assert server.asked[0].body == content


def test_replacing_is_asked_of_the_server(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"x")
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    server.on("POST", "/data/AAPL/1d/import", started(LOAD, "Import started"))
    serve_load(server)

    ktrdr("data", "load", "AAPL", "1d", "--provider", "synthetic", "--replace")
    ktrdr("data", "import", "bars.csv", "AAPL", "1d", "--replace")

    assert server.asked[0].json["replace"] is True
    imports = [asked.query for asked in server.asked if asked.query and "filename" in asked.query]
    assert imports == [{"filename": "bars.csv", "replace": "true"}]


def test_a_refused_file_shows_the_rows(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"x")
    server.on("POST", "/data/MSFT/1d/import", problem(422, "invalid_bars", "rows 3, 7: high below low"))

    ran = ktrdr("data", "import", "bars.csv", "MSFT", "1d")

    assert (ran.code, ran.err.splitlines()[-1]) == (2, "error: rows 3, 7: high below low")


def test_import_takes_csv_and_parquet_alone(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.xlsx").write_bytes(b"x")

    assert ktrdr("data", "import", "bars.xlsx", "MSFT", "1d").code == 2
    assert server.asked == []


def test_list_shows_days_without_hours(server: FakeServer, ktrdr: Run) -> None:
    series = {"symbol": "AAPL", "timeframe": "1d", "rows": 1250, "provider": "sample", "size_bytes": 35_400}
    series |= {"first": "2019-01-02T00:00:00Z", "last": "2023-12-29T00:00:00Z"}
    server.on("GET", "/data", {"series": [series]})

    row = ktrdr("data", "list").out.splitlines()[1].split()

    assert row == ["AAPL", "1d", "1,250", "2019-01-02", "2023-12-29", "sample", "35.4", "kB", "-"]


def ended(operation_id: str, status: str, **changes: Any) -> dict[str, Any]:
    return loading(status, 100 if status == "COMPLETED" else 40, **changes) | {"operation_id": operation_id}


def test_several_series_are_started_at_once_and_told_in_one_table(server: FakeServer, ktrdr: Run) -> None:
    ids = [f"op_data_load_20230630_{number}" for number in range(4)]
    refused = problem(409, "provider_conflict", "SPY 1d is stored from sample", "give --replace")
    server.on("POST", "/data/load", *(started(each, "Load started") for each in ids), refused)
    error = {"code": "provider_failed", "detail": "yahoo broke", "hint": f"ktrdr operations resume {ids[3]}"}
    for number, each in enumerate(ids):
        final = ended(each, "FAILED", error=error) if number == 3 else ended(each, "COMPLETED")
        server.on("GET", f"/operations/{each}", ended(each, "RUNNING"), final)
        server.on("GET", f"/operations/{each}/results", LOADED if number < 3 else {"status": "failed", "error": error})

    ran = ktrdr("data", "load", "AAPL", "MSFT", "SPY", "--timeframes", "1d,1h", "--from", "2023-01-01")

    asked = [asked.json for asked in server.asked if asked.method == "POST"]
    assert [(load["symbol"], load["timeframe"]) for load in asked][:3] == [
        ("AAPL", "1d"),
        ("AAPL", "1h"),
        ("MSFT", "1d"),
    ]
    assert all(load["start_date"] == "2023-01-01" and load["clip"] for load in asked)
    rows = [line.split() for line in ran.out.splitlines()]
    assert ran.code == 1
    assert rows[1][:5] == ["AAPL", "1d", "completed", "sample", "250"]
    assert rows[4][:5] == ["MSFT", "1h", "failed", "-", "-"]
    assert rows[5][:3] == ["SPY", "1d", "refused"]
    assert "error: MSFT 1h: yahoo broke" in ran.err
    assert "error: SPY 1d: SPY 1d is stored from sample" in ran.err
    assert ran.err.count("note: ") == 1


@pytest.mark.parametrize(
    ("names", "timeframes", "series"),
    [
        (["AAPL", "1d"], [], [("AAPL", "1d")]),
        (["AAPL,MSFT", "1h"], [], [("AAPL", "1h"), ("MSFT", "1h")]),
        (["AAPL", "MSFT"], ["1d", "1h"], [("AAPL", "1d"), ("AAPL", "1h"), ("MSFT", "1d"), ("MSFT", "1h")]),
        (["AAPL", "AAPL"], ["1d"], [("AAPL", "1d")]),
    ],
)
def test_symbols_and_timeframes_make_series(
    names: list[str], timeframes: list[str], series: list[tuple[str, str]]
) -> None:
    assert series_of(names, timeframes) == series


def test_a_missing_timeframe_is_wrong_use(ktrdr: Run) -> None:
    ran = ktrdr("data", "load", "AAPL", "MSFT")

    assert (ran.code, ran.err.splitlines()[0]) == (
        2,
        "error: no timeframe is named; 'MSFT' is none of 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 1w",
    )
    assert ktrdr("data", "load", "AAPL", "1d", "--from", "1y", "--start-date", "2023-01-01").code == 2


def test_watch_asks_from_the_last_stored_bar_on_and_tells_what_is_new(
    server: FakeServer, ktrdr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = {"symbol": "AAPL", "timeframe": "1d", "rows": 9, "provider": "yahoo", "size_bytes": 9}
    series |= {"first": "2023-01-03T00:00:00Z", "last": "2023-06-30T00:00:00Z"}
    server.on("GET", "/data", {"series": [series]})
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    server.on("GET", f"/operations/{LOAD}", loading("COMPLETED", 100))
    server.on("GET", f"/operations/{LOAD}/results", LOADED)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    ran = ktrdr("data", "watch", "aapl", "MSFT", "--timeframes", "1d", "--every", "15m")

    starts = [asked.json.get("start_date") for asked in server.asked if asked.method == "POST"]
    assert starts == ["2023-06-30", None] * 2
    assert 890 < pauses[0] <= 900
    assert ran.code == 0
    assert ran.out.splitlines()[0].split()[1:] == ["aapl", "1d", "250", "new,", "to", "2023-12-29"]


def test_providers_are_listed_with_their_limits(server: FakeServer, ktrdr: Run) -> None:
    yahoo = {"name": "yahoo", "timeframes": ["5m", "15m", "1d"], "history_days": {"5m": 60, "15m": 60}}
    yahoo |= {"adjusted": "splits and dividends", "symbols": "AAPL"}
    server.on("GET", "/data/providers", {"providers": [yahoo]})

    row = ktrdr("data", "providers", "yahoo").out.splitlines()[1]

    assert row.split("  ")[0] == "yahoo"
    assert "5m/15m 60 days" in row
    assert server.asked[0].query == {"name": "yahoo"}


def test_import_sends_the_mapping(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"x")
    server.on("POST", "/data/MSFT/5m/import", started(LOAD, "Import started"))
    serve_load(server)

    ktrdr("data", "import", "bars.csv", "MSFT", "5m", "--column", "close=Last", "--timezone", "Europe/Berlin")

    assert server.asked[0].query == {"filename": "bars.csv", "column": "close=Last", "timezone": "Europe/Berlin"}


def test_import_sends_what_is_said_about_the_file(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"x")
    server.on("POST", "/data/MSFT/5m/import", started(LOAD, "Import started"))
    serve_load(server)

    ktrdr(
        *("data", "import", "bars.csv", "MSFT", "5m", "--format", "histdata", "--date-format", "DMY", "--decimal", ","),
        *("--no-header", "--skip", "2", "--stamp", "close", "--bad-rows", "drop", "--only", "MSFT"),
        *("--calendar", "XNYS"),
    )

    assert server.asked[0].query == {
        "filename": "bars.csv",
        "format": "histdata",
        "date_format": "DMY",
        "decimal": ",",
        "no_header": "true",
        "skip": "2",
        "stamp": "close",
        "bad_rows": "drop",
        "only": "MSFT",
        "calendar": "XNYS",
    }


def test_import_refuses_a_mark_that_is_none(server: FakeServer, ktrdr: Run) -> None:
    ran = ktrdr("data", "import", "bars.csv", "MSFT", "5m", "--decimal", "x")

    assert ran.code == 2
    assert "error: --decimal: Input should be '', '.' or ','" in ran.err


def test_several_files_are_imported_by_their_names(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    for name in ("AAPL_1d.csv", "BRK_B_1h.csv", "notes.csv"):
        (tmp_path / name).write_bytes(b"x")
    server.on("POST", "/data/AAPL/1d/import", started(LOAD, "Import started"))
    server.on("POST", "/data/BRK_B/1h/import", problem(409, "provider_conflict", "BRK_B 1h is stored from yahoo"))
    serve_load(server)

    ran = ktrdr("data", "import", str(tmp_path / "*.csv"), "--name", "{symbol}_{timeframe}")

    assert ran.code == 1
    heading, *rows = ran.out.splitlines()
    assert heading.split() == ["file", "series", "status", "rows", "new", "total", "first", "last", "quality"]
    assert [row.split()[:4] for row in rows] == [
        ["AAPL_1d.csv", "AAPL", "1d", "completed"],
        ["BRK_B_1h.csv", "BRK_B", "1h", "refused"],
        ["notes.csv", "-", "refused", "-"],
    ]
    assert "error: BRK_B_1h.csv: BRK_B 1h is stored from yahoo" in ran.err
    assert "error: notes.csv: it is not named as {symbol}_{timeframe}" in ran.err
    assert "note: AAPL_1d.csv: yahoo could not be reached" in ran.err


def test_several_files_join_one_series(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    for month in (1, 2):
        (tmp_path / f"BTC-2024-0{month}.csv").write_bytes(b"x")
    server.on("POST", "/data/BTC-USDT/1h/import", started(LOAD, "Import started"))
    serve_load(server)

    ran = ktrdr("data", "import", str(tmp_path / "BTC*.csv"), "BTC-USDT", "1h")

    assert ran.code == 0
    assert [asked.query["filename"] for asked in server.asked if asked.method == "POST"] == [
        "BTC-2024-01.csv",
        "BTC-2024-02.csv",
    ]


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        (["none*.csv", "AAPL", "1d"], "no file matches none*.csv"),
        (["a.csv"], "which symbol and timeframe are these?"),
        (["a.csv", "b.csv", "c.csv", "d.csv"], "which symbol and timeframe are these?"),
        (["a.csv", "--name", "{ticker}"], "--name '{ticker}' must hold {symbol} once"),
        (["a.csv", "--name", "{symbol}"], "must hold {timeframe} once"),
        (["a.csv", "b.csv", "AAPL", "1d", "--replace"], "--replace would keep only one of 2 files"),
    ],
)
def test_files_without_a_series_are_refused(server: FakeServer, ktrdr: Run, arguments: list[str], detail: str) -> None:
    ran = ktrdr("data", "import", *arguments)

    assert ran.code == 2
    assert detail in ran.err
    assert server.asked == []


STORED = {
    "symbol": "AAPL", "timeframe": "1d", "rows": 250, "first": "2023-01-03T00:00:00Z", "last": "2023-12-29T00:00:00Z",
    "provider": "csv", "size_bytes": 4000,
}  # fmt: skip


def test_rm_needs_a_yes(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/data", {"series": [STORED, STORED | {"timeframe": "1h"}]})

    ran = ktrdr("data", "rm", "aapl")

    assert ran.code == 2
    assert "Remove AAPL 1d (250 bars), AAPL 1h (250 bars)? Without a terminal nobody can be asked" in ran.err
    assert server.paths("DELETE") == []


def test_rm_removes_one_series_or_all(server: FakeServer, ktrdr: Run) -> None:
    server.on("DELETE", "/data/AAPL/1d", {"symbol": "AAPL", "timeframes": ["1d"], "rows": 250})
    server.on("DELETE", "/data/AAPL", {"symbol": "AAPL", "timeframes": ["1h", "4h"], "rows": 1})

    one, every = ktrdr("data", "rm", "AAPL", "1d", "--yes"), ktrdr("data", "rm", "AAPL", "--yes")

    assert one.err == "Removed AAPL 1d (250 bars)\n"
    assert every.err == "Removed AAPL 1h, 4h (1 bar)\n"


def test_rm_says_what_uses_the_bars(server: FakeServer, ktrdr: Run) -> None:
    hint = "wait until it has ended, or end it with: ktrdr operations cancel op_1"
    server.on("DELETE", "/data/AAPL/1d", problem(409, "conflict", "AAPL 1d is in use by op_1", hint))

    ran = ktrdr("data", "rm", "AAPL", "1d", "--yes")

    assert ran.err == f"error: AAPL 1d is in use by op_1\nhint: {hint}\n"


@pytest.mark.parametrize(
    ("price", "shown"),
    [(0.00001234, "0.0000123400"), (1.0664, "1.06640"), (125.07, "125.070"), (41999.41, "41,999.41")],
)
def test_prices_are_shown_with_six_significant_digits(server: FakeServer, ktrdr: Run, price: float, shown: str) -> None:
    bar = BAR | dict.fromkeys(("open", "high", "low", "close"), price)
    server.on("GET", "/data/X/1d", {"symbol": "X", "timeframe": "1d", "total": 1, "bars": [bar]})

    ran = ktrdr("data", "show", "X", "1d")

    assert ran.out.splitlines()[1].split()[1:5] == [shown] * 4
